"""Digits to learn from, and who wrote them."""
