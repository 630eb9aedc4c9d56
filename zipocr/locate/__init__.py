"""Finds the destination's ZIP on a whole page of mail: text lines, words, candidates, a choice."""
