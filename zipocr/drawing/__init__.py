"""Debug sheets and plots."""
