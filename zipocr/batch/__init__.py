"""Reading of many files, in order and on any backend."""
