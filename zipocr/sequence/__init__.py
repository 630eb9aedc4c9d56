"""Reads a line as a whole, without cutting it: a small convolutional network over the straightened writing, and the strings it spells."""
