"""Kernels that are compiled for an accelerator when they are first called; nothing here is imported before that."""
