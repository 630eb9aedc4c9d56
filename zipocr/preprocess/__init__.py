"""Preprocessing: from a page to the ink of one line."""
