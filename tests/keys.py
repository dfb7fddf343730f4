"""The key of each table, and how often each is in the tables of a run: once, whatever became of the run."""

from __future__ import annotations

from collections import Counter

from harness.tables import Run

KEYS = {
    "cells": ["case", "method", "launch"],
    "timings": ["case", "method", "phase", "clock", "launch", "round"],
    "memory": ["case", "method", "phase", "launch"],
    "discrepancies": ["case", "method", "tensor", "of", "reference", "metric"],
}

Keys = dict[str, Counter[tuple[object, ...]]]


def keys_of(run: Run) -> Keys:
    """How often each key is in each table."""
    return {table: Counter(map(tuple, getattr(run, table)[columns].to_numpy())) for table, columns in KEYS.items()}
