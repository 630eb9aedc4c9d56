"""Comparison of results with labels."""
