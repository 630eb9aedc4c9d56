"""Tells an evaluation to people and programs.

Sentences, pictures, JSON, and one page of HTML that needs nothing else.
"""
