"""The tensors of a case: drawn in float64 on the CPU, then cast.

The generator is the counter-based Philox (Salmon et al. 2011, SC'11), keyed by a hash of (distribution, n, d, rows,
seed) and nothing else, so every dtype, k, device and machine sees the same numbers.

torch casts float64 to float16 and bfloat16 through float32, which can round twice. That is no error of a method: the
inputs are whatever the dtype holds after the cast, and every reference starts from there. It also means that a draw can
be kept for the next case in float32, unless a case needs float64: the halves come out the same.
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
"""Float64 numbers in a piece of a distribution that can be drawn piece by piece: 2 MiB, which stay in the cache."""


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
        """The float64 arrays (weights, and y or x and W) before rounding and cast.

        They are drawn again when first asked for: hardly any study compares with them, and they are up to four times as
        large as the tensors.
        """
        return self.originals()


def draw(case: Case) -> Problem:
    """The problem of a case: float64 draws of y, or of x and W, cast to its dtype and moved to its device.

    Raises UserError for an unknown dtype or distribution, and where d > 0 asks for W of a distribution of y alone.
    """
    return Draws().problem(case)


@dataclass
class Draws:
    """Makes one problem after another, and keeps the last numbers drawn, in case the next problem has the same."""

    _last: Drawn | None = None

    @property
    def last(self) -> Drawn:
        """The numbers of the last problem. Raises ValueError before there is one."""
        if self._last is None:
            raise ValueError("nothing was drawn")
        return self._last

    def problem(self, case: Case) -> Problem:
        """As `draw`. The tensors are copies, so that a method which writes into them does not change the next case."""
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
        drawn = Drawn.of(case)
        if self._last is None or self._last != drawn or self._last.wide < drawn.wide:
            self._last = None  # frees the memory that the next draw needs
            drawn.tensors  # noqa: B018  (drawn here, and kept only if that succeeds)
            self._last = drawn
        return self._last


@dataclass(frozen=True)
class Drawn:
    """The numbers that all cases with the same `key` and `parameters` share. wide: whether they are held in float64."""

    key: tuple[str, int, int, int, int]
    """distribution, n, d, rows, seed: the key of the generator."""
    parameters: tuple[tuple[str, Any], ...]
    """The study parameters that the distribution takes, and the decimals."""
    wide: bool = field(compare=False)

    @classmethod
    def of(cls, case: Case) -> Drawn:
        """The numbers of a case, not drawn yet. Raises UserError where d > 0 and the distribution draws only y."""
        chosen = DISTRIBUTIONS[case.distribution]
        if case.d and chosen.scale is None:
            raise UserError(f"Case: distribution '{chosen.name}' draws only y, but d = {case.d} needs W and x")
        own = tuple(parameter for parameter in case.parameters if parameter[0] in chosen.parameters)
        key = (case.distribution, case.n, case.d, case.rows, case.seed)
        return cls(key, own, wide=case.dtype == "float64")

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """name -> shape of every array; each is drawn by a generator of its own."""
        _, n, d, rows, _ = self.key
        lead = () if rows == 1 else (rows,)
        drawn = {"x": (*lead, d), "W": (n, d)} if d else {"y": (*lead, n)}
        return drawn | {"weights": (*lead, n)}

    @cached_property
    def tensors(self) -> dict[str, torch.Tensor]:
        """name -> tensor on the CPU, rounded to the decimals, in float32, or in float64 if wide."""
        import torch

        dtype = torch.float64 if self.wide else torch.float32
        return {name: self._tensor(name, dtype) for name in self.shapes}

    @cached_property
    def original(self) -> dict[str, np.ndarray]:
        """name -> float64 array before any rounding."""
        return {name: self._draw(self._generator(name), name, shape) for name, shape in self.shapes.items()}

    def _tensor(self, name: str, dtype: torch.dtype) -> torch.Tensor:
        """One of the tensors; if it can be drawn in pieces, no more than a piece is held in float64."""
        import numpy as np
        import torch

        shape, decimals = self.shapes[name], dict(self.parameters).get(DECIMALS)
        # The weights come in order whatever the distribution is, since they are always normal.
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
        chosen, own = DISTRIBUTIONS[self.key[0]], {name: value for name, value in self.parameters if name != DECIMALS}
        if name == "weights":
            return generator.standard_normal(shape)
        array: np.ndarray = chosen.draw(generator, shape, **own)
        if name == "W" and chosen.scale:
            array *= chosen.scale(self.key[2])
        return array

    def _generator(self, name: str) -> np.random.Generator:
        import numpy as np

        text = " ".join(map(str, (*self.key, name)))
        digest = hashlib.sha256(text.encode()).digest()
        key = int.from_bytes(digest[:16], "little")  # a key of Philox has 128 bits
        return np.random.Generator(np.random.Philox(key=key))
