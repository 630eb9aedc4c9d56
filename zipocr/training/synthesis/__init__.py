"""Composed scans: what is written, by whom or what, and on which paper."""
