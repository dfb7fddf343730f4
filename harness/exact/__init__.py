"""Exact arithmetic: sums and products without rounding error, and what they prove."""
