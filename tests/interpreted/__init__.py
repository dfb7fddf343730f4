"""Tests of kernels in Triton's interpreter, which reads TRITON_INTERPRET when Triton is imported.

So they run in a process of their own, which tests/test_kernel.py starts: no other test sees the variable.
"""
