"""The shipped models and the list of ZIPs, and how such files are read."""
