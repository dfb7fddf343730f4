"""How a cell is measured: the worker process, whose turn it is, and what is inside a block."""
