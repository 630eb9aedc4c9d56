"""Training of the models, and generation of the sample scans; not needed for reading."""
