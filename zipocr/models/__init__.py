"""The shipped models and list of ZIP codes, and readers of such files."""
