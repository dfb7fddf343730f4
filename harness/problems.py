"""The tensors of a case: drawn in float64 on the CPU, then cast.

The generator is Philox, keyed by a hash of (distribution, n, d, rows, seed) and nothing else, so every dtype, k,
device and machine sees the same numbers. torch casts float64 to float16 and bfloat16 through float32, which can
round twice: the inputs are what the dtype then holds, and every reference is taken of that.
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.cells import Case
from harness.errors import UserError, unknown
from harness.vocabulary import DTYPES

if TYPE_CHECKING:
    import numpy as np
    import torch

Draw = Callable[..., "np.ndarray"]

DECIMALS = "decimals"
"""The parameter that every distribution has: inputs rounded to so many decimals, as when printed and copied."""


@dataclass(frozen=True)
class Distribution:
    """A named way to draw: of y where d = 0, of W and x where d > 0."""

    name: str
    summary: str
    draw: Draw
    scale: Callable[[int], float] | None

    @property
    def has_weights(self) -> bool:
        """Whether it makes sense for W and x (d > 0)."""
        return self.scale is not None

    @property
    def parameters(self) -> tuple[str, ...]:
        """The study parameters that it takes."""
        signature = inspect.signature(self.draw).parameters.values()
        return (*(each.name for each in signature if each.kind is each.KEYWORD_ONLY), DECIMALS)


@dataclass(frozen=True)
class Problem:
    """The tensors of one case.

    y is (n,) or (rows, n); x (d,) or (rows, d) and W (n, d) where d > 0, else None. `weights` has the shape of y:
    the linear loss is the sum of weights[i] y[i] over the selected. `original` holds the float64 arrays (y, or x
    and W) from before rounding and cast.
    """

    case: Case
    y: torch.Tensor
    weights: torch.Tensor
    x: torch.Tensor | None
    W: torch.Tensor | None
    original: Mapping[str, np.ndarray]


DISTRIBUTIONS: dict[str, Distribution] = {}


def distribution(scale: Callable[[int], float] | None = None) -> Callable[[Draw], Draw]:
    """Register draw(rng, shape, **parameters) -> float64 array.

    scale(d) multiplies W where d > 0; without it the distribution is of y alone.
    """

    def register(draw: Draw) -> Draw:
        summary = (draw.__doc__ or "").strip().partition("\n")[0]
        DISTRIBUTIONS[draw.__name__] = Distribution(draw.__name__, summary, draw, scale)
        return draw

    return register


def draw(case: Case) -> Problem:
    """The problem of a case: float64 draws of y, or of x and W, cast to its dtype and moved to its device.

    Raises UserError for a dtype or a distribution that there is not, and for W of a distribution that is of y alone.
    """
    import torch

    for kind, word, known in (("dtype", case.dtype, DTYPES), ("distribution", case.distribution, DISTRIBUTIONS)):
        if word not in known:
            raise unknown("Case", kind, word, known)
    original = _original(case)
    dtype = getattr(torch, case.dtype)
    held = {name: _cast(array, case, dtype) for name, array in original.items() if name != "weights"}
    x, W = held.get("x"), held.get("W")
    y = held["y"] if x is None or W is None else x @ W.mT
    weights = _cast(original["weights"], case, dtype)
    return Problem(case, y, weights, x, W, original)


def _original(case: Case) -> dict[str, np.ndarray]:
    chosen = DISTRIBUTIONS[case.distribution]
    own = {name: value for name, value in case.parameters if name in chosen.parameters and name != DECIMALS}
    lead = () if case.rows == 1 else (case.rows,)
    weights = _generator(case, "weights").standard_normal((*lead, case.n))
    if not case.d:
        return {"y": chosen.draw(_generator(case, "y"), (*lead, case.n), **own), "weights": weights}
    if chosen.scale is None:
        raise UserError(f"Case: distribution '{chosen.name}' is of y alone, and d = {case.d} asks for W and x")
    return {
        "x": chosen.draw(_generator(case, "x"), (*lead, case.d), **own),
        "W": chosen.draw(_generator(case, "W"), (case.n, case.d), **own) * chosen.scale(case.d),
        "weights": weights,
    }


def _generator(case: Case, purpose: str) -> np.random.Generator:
    import numpy as np

    text = f"{case.distribution} {case.n} {case.d} {case.rows} {case.seed} {purpose}"
    digest = hashlib.sha256(text.encode()).digest()
    return np.random.Generator(np.random.Philox(key=int.from_bytes(digest[:16], "little")))


def _cast(array: np.ndarray, case: Case, dtype: torch.dtype) -> torch.Tensor:
    import numpy as np
    import torch

    decimals = dict(case.parameters).get(DECIMALS)
    if decimals is not None:
        array = np.round(array, int(decimals))
    return torch.from_numpy(np.array(array)).to(dtype).to(case.device)


def _inverse(d: int) -> float:
    return 1.0 / d


def _inverse_root(d: int) -> float:
    return d**-0.5


def _one(d: int) -> float:
    return 1.0


@distribution(scale=_one)
def seed(rng: Any, shape: Any) -> Any:
    """Uniform in [0, 1), W as it is drawn: the inputs of the worked example."""
    return rng.random(shape)


@distribution(scale=_inverse)
def uniform(rng: Any, shape: Any) -> Any:
    """Uniform in [0, 1)."""
    return rng.random(shape)


@distribution(scale=_inverse_root)
def normal(rng: Any, shape: Any) -> Any:
    """Standard normal."""
    return rng.standard_normal(shape)


@distribution(scale=_inverse_root)
def heavy_tailed(rng: Any, shape: Any, *, degrees: float = 2.0) -> Any:
    """Student's t with few degrees of freedom: the largest stand far apart."""
    return rng.standard_t(degrees, shape)


@distribution(scale=_inverse)
def ties(rng: Any, shape: Any, *, levels: int = 16) -> Any:
    """Whole numbers below `levels`: most values are equal to others."""
    import numpy as np

    return np.floor(rng.random(shape) * levels)


@distribution()
def near_ties(rng: Any, shape: Any) -> Any:
    """1 + u 2^-e, e from 0 to 52: gaps of every size down to an ulp of float64."""
    return 1.0 + rng.random(shape) * 2.0 ** -rng.integers(0, 53, shape)


@distribution()
def ascending(rng: Any, shape: Any) -> Any:
    """Standard normal in ascending order."""
    import numpy as np

    return np.sort(rng.standard_normal(shape), axis=-1)


@distribution()
def clustered(rng: Any, shape: Any) -> Any:
    """Standard normal, a 256th of each row, side by side, 8 higher: what is searched in blocks lies in few."""
    y = rng.standard_normal(shape)
    first = shape[-1] // 3
    y[..., first : first + max(1, shape[-1] // 256)] += 8.0
    return y


@distribution(scale=_inverse)
def constant(rng: Any, shape: Any) -> Any:
    """All equal to one third: not exact in any dtype."""
    import numpy as np

    return np.full(shape, 1.0 / 3.0)


@distribution(scale=_inverse_root)
def nonfinite(rng: Any, shape: Any) -> Any:
    """Standard normal with about one entry in 256 each of inf, -inf and NaN."""
    import numpy as np

    y = rng.standard_normal(shape)
    kind = rng.integers(0, 256, shape)
    return np.select([kind == 0, kind == 1, kind == 2], [np.inf, -np.inf, np.nan], y)


@distribution()
def subnormal(rng: Any, shape: Any) -> Any:
    """Either sign, a third each in the subnormal range of float16, of float32 and bfloat16, and of float64."""
    import numpy as np

    smallest, largest = np.array([-24, -149, -1074]), np.array([-14, -126, -1022])
    band = rng.integers(0, 3, shape)
    exponent = smallest[band] + rng.random(shape) * (largest - smallest)[band]
    return rng.choice([-1.0, 1.0], shape) * 2.0**exponent


@distribution(scale=lambda d: 2.0**8)
def overflow(rng: Any, shape: Any) -> Any:
    """Normal with standard deviation 2^15 (W: 2^23): the largest pass the range of float16."""
    return rng.standard_normal(shape) * 2.0**15
