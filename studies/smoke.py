"""Figures of `smoke`: one of times and one of errors, drawn by the functions of the large studies."""

from __future__ import annotations

from precision import agreement
from speed import speedup

FIGURES = (speedup, agreement)
