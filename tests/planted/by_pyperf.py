"""The planted methods under pyperf, which runs each in a process of its own; the case comes from the environment."""

from __future__ import annotations

import json
import os

import pyperf

from harness.cells import Case
from harness.methods import method
from tests.planted.methods import call_of

INHERITED = ("PLANTED_CASE", "PLANTED_METHODS")


def main() -> None:
    """Each method as one benchmark of one process."""
    case = Case.from_axes(json.loads(os.environ["PLANTED_CASE"]))
    runner = pyperf.Runner(
        values=3, warmups=1, processes=1, min_time=0.05, program_args=("-m", "tests.planted.by_pyperf")
    )
    runner.parse_args()
    runner.args.inherit_environ = list(INHERITED)
    for name in os.environ["PLANTED_METHODS"].split():
        runner.bench_func(name, call_of(case, method(name)))


if __name__ == "__main__":
    main()
