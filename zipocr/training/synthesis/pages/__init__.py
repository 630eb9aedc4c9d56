"""Composition of whole mail pages: envelopes, address blocks, last lines, labels, and no mail."""
