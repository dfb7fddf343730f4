"""The cells of a unit under pyperf, which runs each in a process of its own."""

from __future__ import annotations

import pyperf

from tests.planted.methods import call_of, cells

INHERITED = ("PLANTED_CASES", "PLANTED_METHODS")


def main() -> None:
    """Each cell as one benchmark of one process."""
    runner = pyperf.Runner(
        values=3, warmups=1, processes=1, min_time=0.05, program_args=("-m", "tests.planted.by_pyperf")
    )
    runner.parse_args()
    runner.args.inherit_environ = list(INHERITED)
    for name, cell in cells().items():
        runner.bench_func(name, call_of(*cell))


if __name__ == "__main__":
    main()
