"""Runs a client against scenarios, and judges what it did."""
