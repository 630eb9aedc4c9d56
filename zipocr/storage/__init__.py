"""Files that survive a crash.

Atomic writes, locks, journals, and reading of files that cannot be trusted.
"""
