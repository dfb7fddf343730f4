"""How torch runs a method (the axis `transform`): wrapped around every closure that a check or a block calls."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Any, cast

import torch

from harness.device.compiler import compiled, start_compiler
from harness.methods import Method
from harness.methods.definition import Implementation
from harness.study.cells import Case
from harness.topk.modes import in_mode
from harness.vocabulary import DERIVATIVES, YARDSTICKS

Closure = Callable[..., Any]

MAPPED = {
    "build": (0, None, None),
    "apply": (0, 0),
    "forward": (0, None),
    "project": (None, 0, None),
    "jvp": (0, 0, None),
    "vjp": (0, 0, None),
}
"""closure -> for each argument the axis of rows, over which vmap maps; None for arguments without rows."""


def as_run(method: Method, case: Case) -> Method:
    """The method as it is run in a case: its closures in the mode and under the transform of the case, made once.

    Checks and blocks both get this method, so that what is checked is what is timed. Yardsticks stay as they are: they
    measure the machine, and are the same in every mode and transform.
    """
    if method.name in YARDSTICKS:
        return method
    return replace(method, make=lambda: _transformed(method.implementation, case))


def load_transforms(case: Case, phases: Collection[str]) -> None:
    """Make torch import now what it imports at its first derivative or compilation.

    These imports set warning filters and environment variables, and no method should be blamed for that.
    """
    if "backward" in phases:
        y = torch.zeros(2, requires_grad=True)
        torch.autograd.grad(y.clone(), y, torch.zeros(2))
    if case.transform == "compile":
        start_compiler()
    if any(phase in phases for phase in DERIVATIVES):
        torch.func.vjp(torch.clone, torch.zeros(1))


def as_product(method: Method) -> Method:
    """The method as it is run, reduced to its `project`: so it is checked as one that multiplies again."""
    return replace(method, make=lambda: Implementation(project=method.implementation.project))


def _transformed(own: Implementation, case: Case) -> Implementation:
    reduced = functools.partial(in_mode, mode=case.mode, device=case.device)
    closures: dict[str, Closure | None] = {
        "build": own.build,  # multiplies nothing, so no mode concerns it
        "apply": own.apply and reduced(own.apply),
        "forward": own.forward and reduced(own.forward),
        "project": own.project and reduced(own.project),
    }
    if closures["forward"] is not None:
        closures |= {"jvp": _jvp(closures["forward"]), "vjp": _vjp(closures["forward"])}
    wrap = WRAPS[case.transform]
    return Implementation(**{name: closure and wrap(closure, name) for name, closure in closures.items()})


def _jvp(forward: Closure) -> Closure:
    """Forward, and its derivative along a tangent of y (forward mode)."""

    def jvp(y: torch.Tensor, tangent: torch.Tensor, k: int) -> Any:
        return torch.func.jvp(lambda y: forward(y, k), (y,), (tangent,), has_aux=True)

    return jvp


def _vjp(forward: Closure) -> Closure:
    """Forward, and a cotangent of the values pulled back to y (reverse mode)."""

    def vjp(y: torch.Tensor, cotangent: torch.Tensor, k: int) -> Any:
        values, pullback, indices = cast(Any, torch.func.vjp(lambda y: forward(y, k), y, has_aux=True))
        (derivative,) = pullback(cotangent)
        return values, derivative, indices

    return vjp


def _eager(closure: Closure, _: str) -> Closure:
    """The closure as it is; the transform `graph` captures a whole phase instead (harness/worker/graphs.py)."""
    return closure


def _compiled(closure: Closure, _: str) -> Closure:
    return compiled(closure)


def _inferred(closure: Closure, _: str) -> Closure:
    @functools.wraps(closure)
    def inferred(*arguments: Any) -> Any:
        with torch.inference_mode():
            return closure(*arguments)

    return inferred


def _mapped(closure: Closure, name: str) -> Closure:
    """The closure over one row, mapped over the rows."""
    return torch.func.vmap(closure, in_dims=MAPPED[name])


WRAPS = {"eager": _eager, "compile": _compiled, "graph": _eager, "inference": _inferred, "vmap": _mapped}
"""transform -> wrap(closure, its name)."""
