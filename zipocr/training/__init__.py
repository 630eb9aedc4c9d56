"""Makes the models and the sample scans; reading needs none of it."""
