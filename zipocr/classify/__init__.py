"""Turns normalized characters into scores of digits and of being none."""
