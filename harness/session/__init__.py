"""The parent of the workers: it orders launches, cases and blocks, and handles workers that crash, hang or end."""
