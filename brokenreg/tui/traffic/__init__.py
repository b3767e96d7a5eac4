"""The Traffic tab: the live list of exchanges, and one of them in detail."""
