"""What tests ask a worker: the request that opens a case, and what it replies about methods."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from harness.session import request
from harness.session.process import Worker
from harness.study.cells import Case
from harness.vocabulary import PHASES

USUAL: dict[str, Any] = {
    "phases": ["build", "apply", "forward", "backward", "pipeline"],
    "loss": "square",
    "tensors": ["values", "dy", "dS", "selection"],
    "references": ["native"],
    "metrics": ["ulp_max", "flips"],
    "block_seconds": 0.0001,
}


def opening(case: Case, **changes: Any) -> dict[str, Any]:
    """The request that opens a case."""
    return request.opening(case, **(USUAL | changes))


def checked(
    worker: Worker, case: Case, *names: str, loss: str = "square", phases: Sequence[str] = PHASES
) -> list[dict[str, Any]]:
    """The replies about methods in a case, by default with all phases."""
    assert worker.ask(opening(case, phases=list(phases), loss=loss), 60) == {"status": "ok"}
    return [worker.ask({"op": "check", "method": name, "measure": ["errors", "memory"]}, 60) for name in names]
