"""Fuses what both readers say of a string, and tells how sure it is and which way up it is."""
