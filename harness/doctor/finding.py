"""What a check found: a word, the facts with their units, and what to do about them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Word = Literal["ok", "warn", "unknown"]

UNREAD = float("nan")
"""A figure that could not be read: it passes no check."""


@dataclass(frozen=True)
class Finding:
    """One line of the doctor; advice is there where word is 'warn'."""

    name: str
    word: Word
    found: str
    advice: str = ""

    def __str__(self) -> str:
        return f"{self.word:8} {self.name:10} {self.found}" + (f" -> {self.advice}" if self.advice else "")


def at_most(name: str, value: float, bound: float, found: str, unread: str, advice: str) -> Finding:
    """ok up to the bound and warn above it; where one of them is NaN it is unknown, and `unread` is said."""
    if math.isnan(value) or math.isnan(bound):
        return Finding(name, "unknown", unread)
    return Finding(name, "ok", found) if value <= bound else Finding(name, "warn", found, advice)


def combined(name: str, parts: Sequence[Finding]) -> Finding:
    """One finding of several: warn if one warns, ok only if there are some and all are; no advice twice."""
    words = {each.word for each in parts}
    word: Word = "warn" if "warn" in words else "ok" if words == {"ok"} else "unknown"
    found = ", ".join(each.found for each in parts)
    return Finding(name, word, found, "; ".join(dict.fromkeys(each.advice for each in parts if each.advice)))
