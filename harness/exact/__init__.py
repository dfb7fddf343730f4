"""Exact arithmetic: sums and products without rounding error, and what can be proved by them."""
