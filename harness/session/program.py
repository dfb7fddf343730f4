"""The program of a worker process: which harness it is of, and how an interpreter finds that."""

from __future__ import annotations

from pathlib import Path

WORKER = "harness.measure.worker"
"""The module that a worker runs. Every version of the harness has it under this name, so that a duel can start a worker
of its base."""

ELSEWHERE = "import sys; sys.path.insert(0, {home!r}); import harness; del sys.path[0]; import {worker} as w; w.main()"
"""The program of a worker whose harness is not in its working folder: `home` is on sys.path only while `harness` is
imported, so nothing else in that folder can be imported."""

HOME = Path(__file__).parents[2]
"""The folder that contains this package."""


def has_worker(folder: Path) -> bool:
    """Whether a folder contains a harness of its own."""
    return (folder / Path(*WORKER.split("."))).with_suffix(".py").is_file()


def program_of(home: Path | None) -> list[str]:
    """What an interpreter runs as the worker of the harness in a folder; None: of the one in its working folder."""
    return ["-m", WORKER] if home is None else ["-c", ELSEWHERE.format(home=str(home), worker=WORKER)]
