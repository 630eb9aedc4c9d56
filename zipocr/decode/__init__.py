"""Score fusion of both readers, with confidence and page orientation."""
