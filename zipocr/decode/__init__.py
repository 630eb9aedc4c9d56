"""Finds the ZIP in a lattice of regions, and says how sure it is."""
