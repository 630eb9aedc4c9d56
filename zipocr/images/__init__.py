"""Image files: listing, decoding, PDF, S3, manifests."""
