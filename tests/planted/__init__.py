"""Faults whose size is known, and the same kernels under the usual tools: what the study `instrument` measures with."""
