"""Pytest suites with the fixture `benchmark` of pytest-benchmark: a duel can measure their tests instead of cells."""
