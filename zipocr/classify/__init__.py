"""Classification of normalized characters as digits and non-digits."""
