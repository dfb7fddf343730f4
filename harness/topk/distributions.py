"""The distributions that inputs are drawn from: one decorated function for each, which returns a float64 array.

`harness list` reads this file, so torch is not imported here, and NumPy only inside the functions.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

Draw = Callable[..., "np.ndarray"]

DECIMALS = "decimals"
"""The parameter that every distribution has: to how many decimals the inputs are rounded, as if printed and copied."""


@dataclass(frozen=True)
class Distribution:
    """A named way to draw y (where d = 0), or W and x (where d > 0).

    summary: the first line of the function's docstring. scale, in_order: see `distribution`.
    """

    name: str
    summary: str
    draw: Draw
    scale: Callable[[int], float] | None
    in_order: bool

    @property
    def has_weights(self) -> bool:
        """Whether it makes sense for W and x (d > 0)."""
        return self.scale is not None

    @property
    def parameters(self) -> tuple[str, ...]:
        """The study parameters that it takes."""
        signature = inspect.signature(self.draw).parameters.values()
        return (*(argument.name for argument in signature if argument.kind is argument.KEYWORD_ONLY), DECIMALS)


DISTRIBUTIONS: dict[str, Distribution] = {}


def distribution(scale: Callable[[int], float] | None = None, *, in_order: bool = False) -> Callable[[Draw], Draw]:
    """Register draw(rng, shape, **parameters) -> float64 array.

    scale(d) multiplies W where d > 0, so that y = W x keeps its size and float16 does not overflow; without a scale
    only y can be drawn. in_order: the entries come from the generator one after another, so that an array may be drawn
    piece by piece; the others are drawn at once.
    """

    def register(draw: Draw) -> Draw:
        summary = (draw.__doc__ or "").strip().partition("\n")[0]
        DISTRIBUTIONS[draw.__name__] = Distribution(draw.__name__, summary, draw, scale, in_order)
        return draw

    return register


def _inverse(d: int) -> float:
    return 1.0 / d


def _inverse_root(d: int) -> float:
    return d**-0.5


def _one(d: int) -> float:
    return 1.0


@distribution(scale=_one, in_order=True)
def seed(rng: Any, shape: Any) -> Any:
    """Uniform in [0, 1), with W unscaled: the inputs of the worked example."""
    return rng.random(shape)


@distribution(scale=_inverse, in_order=True)
def uniform(rng: Any, shape: Any) -> Any:
    """Uniform in [0, 1)."""
    return rng.random(shape)


@distribution(scale=_inverse_root, in_order=True)
def normal(rng: Any, shape: Any) -> Any:
    """Standard normal."""
    return rng.standard_normal(shape)


@distribution(scale=_inverse_root, in_order=True)
def heavy_tailed(rng: Any, shape: Any, *, degrees: float = 2.0) -> Any:
    """Student's t with few degrees of freedom: the largest values lie far apart."""
    return rng.standard_t(degrees, shape)


@distribution(scale=_inverse, in_order=True)
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
    """Standard normal, with a run of n/256 entries raised by 8: the largest values lie in few blocks."""
    y = rng.standard_normal(shape)
    first = shape[-1] // 3
    y[..., first : first + max(1, shape[-1] // 256)] += 8.0
    return y


@distribution(scale=_inverse, in_order=True)
def constant(rng: Any, shape: Any) -> Any:
    """All equal to one third, which no dtype represents exactly."""
    import numpy as np

    return np.full(shape, 1.0 / 3.0)


@distribution(scale=_inverse_root)
def nonfinite(rng: Any, shape: Any) -> Any:
    """Standard normal, in which about one entry in 256 is inf, one -inf and one NaN."""
    import numpy as np

    y = rng.standard_normal(shape)
    kind = rng.integers(0, 256, shape)
    return np.select([kind == 0, kind == 1, kind == 2], [np.inf, -np.inf, np.nan], y)


@distribution()
def subnormal(rng: Any, shape: Any) -> Any:
    """Subnormal numbers of either sign: a third each of float16, of float32 and bfloat16, and of float64."""
    import numpy as np

    smallest, largest = np.array([-24, -149, -1074]), np.array([-14, -126, -1022])
    band = rng.integers(0, 3, shape)
    exponent = smallest[band] + rng.random(shape) * (largest - smallest)[band]
    return rng.choice([-1.0, 1.0], shape) * 2.0**exponent


@distribution(scale=lambda d: 2.0**8, in_order=True)
def overflow(rng: Any, shape: Any) -> Any:
    """Normal with standard deviation 2^15 (W: 2^23): the largest values exceed the range of float16."""
    return rng.standard_normal(shape) * 2.0**15
