"""Cases and cells: what identifies them, in which order a study has them, and how many bytes they need."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from harness.vocabulary import AXES, HOST, ITEMSIZE, SHAPE

if TYPE_CHECKING:
    from harness.study.definition import Study

Scalar = bool | int | float | str

DRAWN = ("rows", "d", "distribution", "seed")
"""The axes that, together with n, determine which numbers are drawn."""


@dataclass(frozen=True, slots=True)
class Case:
    """One point of the axes. All methods of a case share the same tensors.

    n: length of the vector that is selected from; k: how many entries are kept; rows: number of independent vectors;
    d: with 0, y (rows by n) itself is drawn, else x (rows by d) and W (n by d), and y = x Wᵀ;
    parameters: the study's own axes, as (name, value) pairs.
    """

    n: int
    k: int = 64
    dtype: str = "float32"
    device: str = HOST
    rows: int = 1
    d: int = 0
    distribution: str = "normal"
    seed: int = 0
    mode: str = "ieee"
    transform: str = "eager"
    threads: int = 1
    parameters: tuple[tuple[str, Scalar], ...] = ()

    @property
    def axes(self) -> dict[str, Scalar]:
        """The axes and the study's own parameters, in column order."""
        return {name: getattr(self, name) for name in AXES} | dict(self.parameters)

    @property
    def id(self) -> str:
        """First 12 hex digits of the SHA-256 of the canonical JSON of the axes."""
        text = json.dumps(self.axes, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    @property
    def itemsize(self) -> int:
        return ITEMSIZE[self.dtype]

    @property
    def input_bytes(self) -> int:
        """Bytes of y (d = 0), or of x, W and y."""
        return self.itemsize * (self.rows * self.n + self.d * (self.rows + self.n))

    @property
    def output_bytes(self) -> int:
        """Bytes of the values and of the gradient of every input."""
        return self.itemsize * self.rows * self.k + self.input_bytes

    @classmethod
    def from_axes(cls, axes: Mapping[str, Any]) -> Case:
        """The case with these `axes`."""
        own = tuple((name, value) for name, value in axes.items() if name not in AXES)
        return cls(**{name: axes[name] for name in AXES}, parameters=own)


assert {field.name for field in fields(Case)} == {*AXES, "parameters"}


@dataclass(frozen=True, slots=True)
class Cell:
    """A case and a method. skip: why the cell will not be measured, or ''."""

    case: Case
    method: str
    predicted_bytes: int
    skip: str = ""


def resolve_k(k: int | str, n: int) -> int:
    """k as a number: 'all' is n, and 'n/4' is n // 4."""
    if isinstance(k, int):
        return k
    return n if k == "all" else n // int(k.removeprefix("n/"))


def cases(study: Study) -> Iterator[Case]:
    """The product of the axes, with k resolved for each n: k = 0 and k > n are dropped, and equal cases merged.

    Cases that share a draw follow one another (the axes DRAWN are the outer loops), so that a worker draws it once and
    not again for each k and dtype.
    """
    others = [name for name in AXES if name not in ("n", "k", *DRAWN)]
    own = [[(name, value) for value in values] for name, values in study.parameters.items()]
    for shape, axes in study.axes_by_shape.items():
        shaped = [*own, [(SHAPE, shape)]] if shape else own
        for n in axes.n:
            ks = dict.fromkeys(resolve_k(k, n) for k in axes.k)
            for drawn in _points(axes, DRAWN):
                for k in (k for k in ks if 1 <= k <= n):
                    for point in _points(axes, others):
                        for parameters in itertools.product(*shaped):
                            yield Case(n=n, k=k, **drawn, **point, parameters=parameters)


def _points(axes: Any, names: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Every combination of the values of these axes."""
    for values in itertools.product(*(getattr(axes, name) for name in names)):
        yield dict(zip(names, values, strict=True))
