"""Reading many files, in order, on any backend."""
