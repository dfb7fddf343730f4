"""The ticks of axes: sizes, ratios, times and errors, written the same way in every figure.

A logarithmic axis gets as many round numbers as there is room for, whatever its range: decades where the range is wide,
and 0.5x, 0.8x, 1x, 1.25x, 2x where it is narrow. matplotlib's own locator gives an axis of less than a decade one tick
or none.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from matplotlib.ticker import FixedLocator, FuncFormatter, Locator, NullLocator, PercentFormatter

from harness.verdicts.wording import two_digits

FEWEST, MOST, MOST_BELOW = 3, 7, 5
"""Number of ticks of an axis; below a panel, where labels stand beside one another, at most MOST_BELOW."""

DECADES = (12, 8, 6, 4, 3, 2)
MANTISSAS: tuple[tuple[float, ...], ...] = ((1,), (1, 3), (1, 2, 5))
BETWEEN, BETWEEN_RATIOS = (1, 1.5, 2, 3, 5, 7), (1, 1.25, 2, 3, 5, 8)
NEAR_ONE = {1.25: 0, 8: -1}
STEPS = (2.0, 1.0, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001)
"""Series of ticks from coarse to fine. DECADES: powers of ten, one for so many decades. MANTISSAS: numbers of each
decade. BETWEEN: more numbers of each decade; those for ratios hold both 0.8x and 1.25x, which are as much slower as
faster (but neither 80x nor 0.125x, whose labels would touch those of 100x and 0.1x). NEAR_ONE: the power of ten of
the one decade that has such a number. STEPS: equal steps, in units of 1 near 1 and elsewhere of the power of ten
below."""

KIBI, MEBI = 2**10, 2**20
MOST_SIZES = 6

LANE = 100.0
"""0 is drawn at the least value above 0 divided by this."""

SURE = 1.2
"""Largest ratio of the ends of an interval for which two digits are certain: about 10 % on each side."""


class RoundNumbers(Locator):
    """Ticks of a logarithmic axis: the finest series of round numbers that has room."""

    axis: Any

    def __init__(self, between: Sequence[float] = BETWEEN_RATIOS) -> None:
        self.between = between

    def __call__(self) -> list[float]:
        low, high = sorted(self.axis.get_view_interval())
        return self.tick_values(low, high)

    def tick_values(self, low: float, high: float) -> list[float]:
        """The ticks between two positive ends."""
        if not (0 < low < high < math.inf):
            return []
        room = MOST_BELOW if self.axis and self.axis.axis_name == "x" else MOST
        most = max(FEWEST, min(room, self.axis.get_tick_space())) if self.axis else room
        chosen: list[float] = []
        for ticks in _series(low, high, self.between):
            if len(ticks) > most and chosen:
                break
            chosen = ticks
        return chosen


def _series(low: float, high: float, between: Sequence[float]) -> Iterator[list[float]]:
    """The ticks of each series between low and high, from the coarsest that has any to the finest."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    series = [[10.0**power for power in range(first, last + 1) if power % step == 0] for step in DECADES]
    series += [
        [m * 10.0**power for power in range(first, last + 1) for m in mantissas if NEAR_ONE.get(m, power) == power]
        for mantissas in (*MANTISSAS, between)
    ]
    if high / low < 10:
        unit = 1.0 if 0.1 <= low < 10 else 10.0 ** math.floor(math.log10(low))
        steps = [step * unit for step in STEPS]
        series += [
            [step * count for count in range(math.floor(low / step), math.ceil(high / step) + 1)] for step in steps
        ]
    inside = ([float(f"{tick:.6g}") for tick in ticks if _between(low, tick, high)] for ticks in series)
    known = 0
    for ticks in inside:
        if len(ticks) > known:
            known = len(ticks)
            yield ticks


def _between(low: float, value: float, high: float) -> bool:
    return low * (1 - 1e-9) <= value <= high * (1 + 1e-9)


def speedup(row: Mapping[Any, Any]) -> str:
    """The speed-up of a row, rounded as its interval allows."""
    return rounded(row["speedup"], row["low"], row["high"])


def times(value: float, _: object = None) -> str:
    """0.5 -> '0.5x'."""
    return f"{value:g}x"


def seconds(value: float, _: object = None) -> str:
    """2e-5 -> '20 µs'."""
    for unit, name in ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs")):
        if value >= unit * (1 - 1e-9):
            return f"{value / unit:.4g} {name}"
    return f"{value / 1e-9:.4g} ns"


def rounded_seconds(value: float) -> str:
    """A time with two digits: 2.04e-6 -> '2.0 µs'."""
    number, unit = seconds(float(f"{value:.2g}")).split()
    return f"{number}{'.0' if len(number) == 1 else ''} {unit}"


def number(value: float, _: object = None) -> str:
    """20.0 -> '20'."""
    return f"{value:g}"


def percent(value: float, _: object = None) -> str:
    """0.5 -> '0.5 %'. The value is in per cent."""
    return f"{value:g} %"


def error(value: float, _: object = None) -> str:
    """2e-8 -> 2·10⁻⁸ in mathtext; a number from 0.01 to below 10⁴ is written out."""
    if 1e-2 <= value < 10**4:
        return f"{value:g}"
    exponent = math.floor(math.log10(value) + 1e-9)
    mantissa = f"{value / 10.0**exponent:.3g}"
    return f"$10^{{{exponent}}}$" if mantissa == "1" else f"${mantissa}\\cdot10^{{{exponent}}}$"


def log(
    axis: Any, which: str, text: Callable[[float, object], str], zero: float | None = None, zero_text: str = "0"
) -> None:
    """Make the x or the y axis logarithmic, with round numbers as ticks.

    text: writes a tick, one of the functions above. zero: where 0, and values too small to be told apart from it, are
    drawn; zero_text: the text of the tick there.
    """
    (axis.set_xscale if which == "x" else axis.set_yscale)("log")
    own = axis.xaxis if which == "x" else axis.yaxis
    own.set_minor_locator(NullLocator())
    between = BETWEEN_RATIOS if text is times else BETWEEN
    if zero is None:
        own.set_major_locator(RoundNumbers(between))
        own.set_major_formatter(FuncFormatter(text))
        return
    own.set_major_locator(_AndZero(zero, between))
    own.set_major_formatter(
        FuncFormatter(lambda value, place: zero_text if value <= zero * (1 + 1e-6) else text(value, place))
    )


def zero_of(values: Any) -> float | None:
    """Where 0 is drawn on a logarithmic axis of these values: well below the least value above 0.

    None where no value is 0, or where all are.
    """
    above = values[values > 0]
    return float(above.min()) / LANE if (values == 0).any() and len(above) else None


class _AndZero(RoundNumbers):
    """A tick where 0 is drawn, and round numbers from ten times that value upwards."""

    def __init__(self, zero: float, between: Sequence[float]) -> None:
        super().__init__(between)
        self.zero = zero

    def tick_values(self, low: float, high: float) -> list[float]:
        lane = [self.zero] if low <= self.zero <= high else []
        return [*lane, *super().tick_values(max(low, self.zero * 10), high)]


def shares(axis: Any, which: str) -> None:
    """Make the x or the y axis linear from 0 to 1, with ticks in per cent."""
    own = axis.xaxis if which == "x" else axis.yaxis
    (axis.set_xlim if which == "x" else axis.set_ylim)(-0.04, 1.04)
    own.set_major_formatter(PercentFormatter(1.0, decimals=0, symbol=" %"))


def size_text(value: int) -> str:
    """A length, exact and in few characters: '1000', '16Ki' for 16384, '1M' for a million, '128256'."""
    value = int(value)
    if value >= 10 * KIBI and value % KIBI == 0 and value & (value - 1) == 0:
        return f"{value // MEBI}Mi" if value % MEBI == 0 else f"{value // KIBI}Ki"
    if value >= 10**4 and value % 1000 == 0:
        return f"{value // 10**6}M" if value % 10**6 == 0 else f"{value // 1000}k"
    return str(value)


def sizes(axis: Any, values: Iterable[int]) -> None:
    """Make the x axis logarithmic, with a tick at each of these lengths, or at as many of them as there is room for."""
    ticks = sorted({int(length) for length in values})
    axis.set_xscale("log", base=2)
    axis.margins(x=0.1)  # otherwise the last label of a panel stands on the first one of the next
    kept = ticks[-1:]
    least = 0.75 * math.log(ticks[-1] / ticks[0]) / MOST_SIZES
    for tick in reversed(ticks[:-1]):
        if math.log(kept[-1] / tick) >= least:
            kept.append(tick)
    axis.xaxis.set_major_locator(FixedLocator(sorted(kept)))
    axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: size_text(round(value))))
    axis.xaxis.set_minor_locator(NullLocator())


def rounded(value: float, low: float = math.nan, high: float = math.nan) -> str:
    """A ratio with two digits, after '~' where the second digit is uncertain: there is no interval, or one wider than
    SURE."""
    text = f"{two_digits(value)}x"
    return text if high / low <= SURE else f"~{text}"
