"""The tensors of a case: drawn in float64 on the CPU, then cast.

The generator is Philox, keyed by a hash of (distribution, n, d, rows, seed) and nothing else, so every dtype, k,
device and machine sees the same numbers. torch casts float64 to float16 and bfloat16 through float32, which can
round twice: the inputs are what the dtype then holds, and every reference is taken of that. For the same reason a
draw that is kept for the next case is kept in float32, unless a case wants float64: the halves lose nothing by it.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from harness.errors import UserError, unknown
from harness.study.cells import Case
from harness.topk.distributions import DECIMALS, DISTRIBUTIONS
from harness.vocabulary import DTYPES

if TYPE_CHECKING:
    import numpy as np
    import torch

DRAWN_AT_ONCE = 2**18
"""Float64 numbers of a draw that are held at a time (2 MiB, so that they stay in the cache), where a distribution can
be drawn piece by piece."""


@dataclass(frozen=True)
class Problem:
    """The tensors of one case.

    y is (n,) or (rows, n); x (d,) or (rows, d) and W (n, d) where d > 0, else None. `weights` has the shape of y:
    the linear loss is the sum of weights[i] y[i] over the selected.
    """

    case: Case
    y: torch.Tensor
    weights: torch.Tensor
    x: torch.Tensor | None
    W: torch.Tensor | None
    originals: Callable[[], Mapping[str, np.ndarray]]

    @property
    def original(self) -> Mapping[str, np.ndarray]:
        """The float64 arrays (weights, and y or x and W) from before rounding and cast; drawn again when first asked
        for, because hardly any study compares with them and they are up to four times as large as the tensors."""
        return self.originals()


def draw(case: Case) -> Problem:
    """The problem of a case: float64 draws of y, or of x and W, cast to its dtype and moved to its device.

    Raises UserError for a dtype or a distribution that there is not, and for W of a distribution that is of y alone.
    """
    return Draws().problem(case)


@dataclass
class Draws:
    """Makes one problem after the other, and keeps the numbers of the last for a case that has the same."""

    _last: Drawn | None = None

    @property
    def last(self) -> Drawn:
        """The numbers of the last problem. Raises ValueError before there is one."""
        if self._last is None:
            raise ValueError("nothing was drawn")
        return self._last

    def problem(self, case: Case) -> Problem:
        """As `draw`; the tensors are copies, so that whatever writes into them does not reach the next case."""
        import torch

        for kind, word, known in (("dtype", case.dtype, DTYPES), ("distribution", case.distribution, DISTRIBUTIONS)):
            if word not in known:
                raise unknown("Case", kind, word, known)
        drawn = self._drawn(case)
        dtype = getattr(torch, case.dtype)  # cast before it is moved: not every device has float64
        held = {name: tensor.to(dtype, copy=True).to(case.device) for name, tensor in drawn.tensors.items()}
        x, W = held.get("x"), held.get("W")
        y = held["y"] if x is None or W is None else x @ W.mT
        return Problem(case, y, held["weights"], x, W, lambda: drawn.original)

    def _drawn(self, case: Case) -> Drawn:
        wanted = Drawn.of(case)
        if self._last is None or self._last != wanted or self._last.wide < wanted.wide:
            self._last = None  # before the next is drawn: the memory is needed for that
            wanted.tensors  # noqa: B018  (drawn here, and kept only if that succeeds)
            self._last = wanted
        return self._last


@dataclass(frozen=True)
class Drawn:
    """The numbers of all cases that have the same `key` and `parameters`. wide: whether they are held in float64."""

    key: tuple[str, int, int, int, int]
    """distribution, n, d, rows, seed: what the generator is keyed by."""
    parameters: tuple[tuple[str, Any], ...]
    """Those that the distribution takes, and the decimals."""
    wide: bool = field(compare=False)

    @classmethod
    def of(cls, case: Case) -> Drawn:
        """Not yet drawn. Raises UserError for W of a distribution that is of y alone."""
        chosen = DISTRIBUTIONS[case.distribution]
        if case.d and chosen.scale is None:
            raise UserError(f"Case: distribution '{chosen.name}' is of y alone, and d = {case.d} asks for W and x")
        own = tuple(each for each in case.parameters if each[0] in chosen.parameters)
        key = (case.distribution, case.n, case.d, case.rows, case.seed)
        return cls(key, own, wide=case.dtype == "float64")

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """name -> shape, in the order in which they are drawn (each by a generator of its own)."""
        _, n, d, rows, _ = self.key
        lead = () if rows == 1 else (rows,)
        drawn = {"x": (*lead, d), "W": (n, d)} if d else {"y": (*lead, n)}
        return drawn | {"weights": (*lead, n)}

    @cached_property
    def tensors(self) -> dict[str, torch.Tensor]:
        """Rounded to the decimals, in float32 or (wide) float64, on the CPU."""
        import torch

        dtype = torch.float64 if self.wide else torch.float32
        return {name: self._tensor(name, dtype) for name in self.shapes}

    @cached_property
    def original(self) -> dict[str, np.ndarray]:
        """The float64 arrays before any rounding."""
        return {name: self._draw(self._generator(name), name, shape) for name, shape in self.shapes.items()}

    def _tensor(self, name: str, dtype: torch.dtype) -> torch.Tensor:
        """Of an array that can be drawn in pieces no more than a piece is ever there in float64."""
        import numpy as np
        import torch

        shape, decimals = self.shapes[name], dict(self.parameters).get(DECIMALS)
        size, whole = math.prod(shape), name != "weights" and not DISTRIBUTIONS[self.key[0]].in_order
        step = size if whole else DRAWN_AT_ONCE
        generator, held = self._generator(name), torch.empty(shape, dtype=dtype)
        flat = held.view(-1)
        for start in range(0, size, step):
            piece = self._draw(generator, name, shape if whole else (min(step, size - start),))
            if decimals is not None:
                piece = np.round(piece, int(decimals))
            flat[start : start + piece.size] = torch.from_numpy(piece.reshape(-1))
        return held

    def _draw(self, generator: np.random.Generator, name: str, shape: tuple[int, ...]) -> np.ndarray:
        chosen, own = DISTRIBUTIONS[self.key[0]], {key: at for key, at in self.parameters if key != DECIMALS}
        if name == "weights":
            return generator.standard_normal(shape)
        array: np.ndarray = chosen.draw(generator, shape, **own)
        if name == "W" and chosen.scale:
            array *= chosen.scale(self.key[2])
        return array

    def _generator(self, purpose: str) -> np.random.Generator:
        import numpy as np

        text = " ".join(map(str, (*self.key, purpose)))
        digest = hashlib.sha256(text.encode()).digest()
        return np.random.Generator(np.random.Philox(key=int.from_bytes(digest[:16], "little")))
