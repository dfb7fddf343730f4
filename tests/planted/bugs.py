"""A method with a bug of its own. Each bug stands in one line, whose number the tests look for."""

from __future__ import annotations

from typing import Any

import torch

from harness.methods.definition import selector

# fmt: off
BUGS: dict[str, tuple[Any, str]] = {
    "as many as are not below": (lambda y, k: (y >= y.kthvalue(y.shape[-1] - k + 1, dim=-1, keepdim=True).values).nonzero()[:, -1].reshape(*y.shape[:-1], k), "RuntimeError"),  # noqa: E501
    "another length": (lambda y, k: y.reshape(7, -1), "RuntimeError"),
    "another dtype": (lambda y, k: torch.mm(y.reshape(-1, 8), torch.ones(8, 8, dtype=torch.float64)), "RuntimeError"),
    "no such key": (lambda y, k: {"n": 1}["k"], "KeyError"),
    "no such attribute": (lambda y, k: y.no_such_attribute, "AttributeError"),
    "operands": (lambda y, k: k + "1", "TypeError"),
    "an assertion": (lambda y, k: [k][1:] or (_ for _ in ()).throw(AssertionError("no k")), "AssertionError"),
    "an index": (lambda y, k: y[..., k + 1000], "IndexError"),
    "a division": (lambda y, k: k // 0, "ZeroDivisionError"),
}
"""What goes wrong -> how, and the type that is raised."""
# fmt: on

REFUSED_BY_VMAP = ("as many as are not below",)
"""Bugs that torch.func.vmap does not come to: a shape before them depends on data."""


@selector()
def bug(*, what: str = "") -> Any:
    """It fails, by one of its bugs."""
    return BUGS[what][0]
