"""The parent of the workers: which launch and which case comes next, whose turn it is, and what becomes of a worker."""
