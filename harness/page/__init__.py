"""A report that a person reads: one HTML file, made from tables alone; and what `history` makes its page with. Readers
only."""
