"""Drawn calls of the two ways to compose selections: how many of their answers are wrong.

Run as a program, with TRITON_INTERPRET=1, it is the share of the kernels, which Triton's interpreter runs.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any
from unittest.mock import patch

from tests.acceptance.line import Line
from tests.topk_inputs import calls, fault

DRAWN, INTERPRETED = 20_000, 2_000

LONGEST = 3000
"""Values in a row of a drawn call."""

SMALL_TABLE = dict.fromkeys((2, 4, 8), ((64, 1, 32), (16, 1, 8), (4, 1, 2)))
SMALL_BLOCKS: dict[str, Any] = {
    "LEAST_ELEMENTS": 1,
    "LEAST_IN_A_ROW": 1,
    "SMALLEST_NEED": 1,
    "FILTERED_FROM": 1,
} | dict.fromkeys(("ONE_ROW", "SEVERAL_ROWS"), SMALL_TABLE)
"""Blocks in inputs of every size, so that the drawn ones need not be long."""

SMALL_SAMPLES: dict[str, Any] = {"LEAST_ELEMENTS": 1, "SAMPLE_STEP": 3, "RUN": 2} | {
    "SAMPLED": dict.fromkeys((2, 4, 8), ((1, 1 << 40, 1),)),
    "ONE_ROW": {},
    "SEVERAL_ROWS": {},
}
"""No blocks, and a threshold from a sample in inputs of every size."""

SMALL_TILES: dict[str, Any] = {"TILE": 32, "MOST_SELECTED": 8, "MAXIMA_FROM": 96, "MAXIMA_TILE": 64}
LONGEST_INTERPRETED = 400


def measure() -> Iterator[Line]:
    """Wrong answers of blockmax, and of the kernels where Triton is installed."""
    from harness.methods import blockmax

    for way, settings in (("in blocks", SMALL_BLOCKS), ("above a threshold", SMALL_SAMPLES)):
        with patch.multiple(blockmax, **settings):
            wrong = faults(blockmax.topk, DRAWN, LONGEST, None, lowest_first=False)
        yield Line(f"wrong answers of blockmax {way}, of {DRAWN} drawn calls{_first(wrong)}", len(wrong), 0.0)
    if importlib.util.find_spec("triton") is None:
        yield Line("Triton is not installed: the kernels were not interpreted", float("nan"), None)
        return
    command, environment = [sys.executable, "-m", "tests.acceptance.kernel"], os.environ | {"TRITON_INTERPRET": "1"}
    told = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.splitlines()
    yield Line(f"wrong answers of the kernels, of {INTERPRETED} interpreted{_first(told)}", len(told), 0.0)


def faults(topk: Callable[..., Any], count: int, longest: int, largest_k: int | None, lowest_first: bool) -> list[str]:
    """A line for each of so many drawn calls whose answer is wrong."""
    drawn = calls(0, count, longest, largest_k)
    return [f"{call}: {why}" for call in drawn if (why := fault(call, topk(*call.arguments), lowest_first))]


def _first(wrong: list[str]) -> str:
    return f"; the first: {wrong[0]}" if wrong else ""


def main() -> None:
    """Print a line for each wrong answer of the kernels."""
    from harness.methods.kernels import blockmax

    with patch.multiple(blockmax, **SMALL_TILES):
        for line in faults(blockmax.topk, INTERPRETED, LONGEST_INTERPRETED, blockmax.MOST_SELECTED, lowest_first=True):
            print(line)  # noqa: T201  (a program's own output)


if __name__ == "__main__":
    main()
