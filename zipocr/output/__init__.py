"""Runs over many inputs: a single output or shards; sorting and applying results."""
