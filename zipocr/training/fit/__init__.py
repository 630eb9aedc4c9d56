"""Fitting of each part of a model."""
