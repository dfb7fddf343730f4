"""The result of a check: a word (ok, warn, unknown), the facts with their units, and advice."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Word = Literal["ok", "warn", "unknown"]

UNREAD = float("nan")
"""Stands for a figure that could not be read. Every check of it is `unknown`."""


@dataclass(frozen=True)
class Finding:
    """One line of the doctor; there is advice if the word is 'warn'."""

    name: str
    word: Word
    found: str
    advice: str = ""

    def __str__(self) -> str:
        return f"{self.word:8} {self.name:10} {self.found}" + (f" -> {self.advice}" if self.advice else "")


def at_most(name: str, value: float, bound: float, found: str, unread: str, advice: str) -> Finding:
    """ok if the value is at most the bound, else warn; if one of them is NaN, unknown with the text `unread`."""
    if math.isnan(value) or math.isnan(bound):
        return Finding(name, "unknown", unread)
    return Finding(name, "ok", found) if value <= bound else Finding(name, "warn", found, advice)


def combined(name: str, parts: Sequence[Finding]) -> Finding:
    """Several findings as one: warn if one warns, ok if there are some and all are ok, else unknown. Equal advice is
    given once."""
    words = {part.word for part in parts}
    word: Word = "warn" if "warn" in words else "ok" if words == {"ok"} else "unknown"
    found = ", ".join(part.found for part in parts)
    return Finding(name, word, found, "; ".join(dict.fromkeys(part.advice for part in parts if part.advice)))
