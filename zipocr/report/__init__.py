"""Tells an evaluation to people and programs: sentences, pictures, JSON, and one page of HTML that needs nothing else."""
