"""Recognition of a whole line: line image, network, CTC."""
