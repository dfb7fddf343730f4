"""Tests of others that use the fixture `benchmark` of pytest-benchmark, as what a duel measures instead of cells."""
