"""Doors for images: listing, decoding, PDF, S3, manifests."""
