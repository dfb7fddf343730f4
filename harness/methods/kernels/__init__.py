"""Kernels that are compiled for an accelerator at their first call; nothing here is imported before it is needed."""
