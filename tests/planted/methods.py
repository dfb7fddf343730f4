"""Methods whose fault is known, and the cells of a unit of the study `instrument`.

Run as a program, `python -m tests.planted.methods` times those cells by torch.utils.benchmark and prints their seconds
a call as JSON.
"""

from __future__ import annotations

import json
import os
import sys
from itertools import repeat
from typing import Any

from harness.methods import method
from harness.methods.definition import product, selector
from harness.study.cells import Case
from harness.topk.problems import draw
from tests.planted.faults import delayed, moved

TOOL_SECONDS = 0.2
"""What blocked_autorange is given for one method: its own default."""


def _delayed(share: float) -> Any:
    """torch.topk, then `share` of its time once more."""
    import torch

    return delayed(torch.topk, share)


@selector()
def twin() -> Any:
    """torch.topk with the delay of the others, of nothing."""
    return _delayed(0.0)


@selector()
def twin_again() -> Any:
    """The same under another name."""
    return _delayed(0.0)


@selector()
def slower_2() -> Any:
    """2 % slower than twin."""
    return _delayed(0.02)


@selector()
def slower_3() -> Any:
    """3 % slower than twin."""
    return _delayed(0.03)


@selector()
def slower_5() -> Any:
    """5 % slower than twin."""
    return _delayed(0.05)


@selector()
def slower_10() -> Any:
    """10 % slower than twin."""
    return _delayed(0.10)


@selector()
def wrong_gradient() -> Any:
    """Right values, and a gradient that is a thousandth too large."""

    def select(y: Any, k: int) -> Any:
        values, indices = y.topk(k)
        return values + (values - values.detach()) / 1000, indices

    return select


@selector()
def more_instructions(*, loops: int = 0) -> Any:
    """torch.topk, then an empty loop of so many turns."""

    def select(y: Any, k: int) -> Any:
        selected = y.topk(k)
        for _ in repeat(None, loops):
            pass
        return selected

    return select


@product()
def ulp_off() -> Any:
    """fused, its gradient by x moved by one ulp."""
    return moved(method("fused").implementation.project, 1)


def cells() -> dict[str, tuple[Case, str]]:
    """'case method' -> both, of the unit that the environment describes."""
    cases = {key: Case.from_axes(axes) for key, axes in json.loads(os.environ["PLANTED_CASES"]).items()}
    names = os.environ["PLANTED_METHODS"].split()
    return {f"{key} {name}": (case, name) for key, case in cases.items() for name in names}


def call_of(case: Case, name: str) -> Any:
    """A call of the method's forward on the inputs of the case, one thread."""
    import torch

    torch.set_num_threads(1)
    y, chosen = draw(case).y, method(name)
    return lambda: chosen.forward(y, case.k)


def main() -> None:
    """Time the cells of the unit as torch.utils.benchmark does."""
    from torch.utils.benchmark import Timer

    seconds = {}
    for key, (case, name) in cells().items():
        timer = Timer("call()", globals={"call": call_of(case, name)})
        seconds[key] = timer.blocked_autorange(min_run_time=TOOL_SECONDS).median
    json.dump(seconds, sys.stdout)


if __name__ == "__main__":
    main()


@selector()
def allocates_too_much() -> Any:
    """It asks for a petabyte before it selects."""
    import torch

    def select(y: Any, k: int) -> Any:
        torch.empty(1 << 50, dtype=torch.uint8, device=y.device)
        return y.topk(k)

    return select
