"""One line of the acceptance: what was measured, beside its bound."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Line:
    """bound: what `measured` must not pass, or (at_least) must reach; None: told for comparison only."""

    what: str
    measured: float
    bound: float | None
    at_least: bool = False

    @property
    def holds(self) -> bool:
        """NaN never holds."""
        if self.bound is None:
            return True
        return self.measured >= self.bound if self.at_least else self.measured <= self.bound

    def __str__(self) -> str:
        if self.bound is None:
            return f"  --    {self.measured:10.4g}   {'':12}   {self.what}"
        sign = ">=" if self.at_least else "<="
        return f"  {'ok' if self.holds else 'FAILS':6}{self.measured:10.4g}   {sign} {self.bound:<9.4g}   {self.what}"
