"""Measurements of the models."""
