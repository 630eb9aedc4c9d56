"""Generators of shipped files: sample scans, test strings, the list of ZIP codes."""
