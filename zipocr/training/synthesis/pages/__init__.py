"""Composition of whole pages: envelopes, address blocks, last lines, labels, and non-mail."""
