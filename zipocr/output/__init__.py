"""Runs over many inputs: one output, shards, and what is done with results."""
