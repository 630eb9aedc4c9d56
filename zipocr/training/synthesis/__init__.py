"""Composition of training images."""
