"""Reports of an evaluation.

As text, figures, JSON, and one self-contained HTML page.
"""
