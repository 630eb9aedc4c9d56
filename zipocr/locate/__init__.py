"""Localization of the destination ZIP on a whole page: text lines, words, candidates, choice."""
