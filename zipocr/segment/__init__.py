"""Segmentation of a line of writing into regions that may be digits."""
