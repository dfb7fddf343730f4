"""A report that a person reads: one HTML file, made from tables alone. Readers only."""
