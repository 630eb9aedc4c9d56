"""Cuts a line of writing into regions that could be digits."""
