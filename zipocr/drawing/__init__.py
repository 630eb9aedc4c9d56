"""Pictures of what was read."""
