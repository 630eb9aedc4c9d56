"""Makers of what ships: sample scans, test strings, the list of ZIPs."""
