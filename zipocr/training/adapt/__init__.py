"""Adaptation of a model to corrections."""
