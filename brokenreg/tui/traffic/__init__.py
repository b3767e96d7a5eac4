"""The live list of exchanges, and one of them in detail."""
