"""Two selections side by side: which entry of one belongs beside which of the other, and what only one of them has."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Alignment:
    """The union of two selections, row by row: u entries, (u,) int64 arrays.

    rows, indices: the row and the index of each entry. got, want: its place among the k of its row on either side, -1
    where that side did not select the index.
    """

    rows: np.ndarray
    indices: np.ndarray
    got: np.ndarray
    want: np.ndarray

    @classmethod
    def of(cls, got: np.ndarray, want: np.ndarray) -> Alignment:
        """Two selections (rows, k) whose indices ascend in each row; their k may differ."""
        (rows, k), want_k = got.shape, want.shape[1]
        if got.shape == want.shape and (got == want).all():
            places = np.tile(np.arange(k), rows)
            return cls(np.repeat(np.arange(rows), k), got.ravel(), places, places)
        n = 1 + max(int(got.max()), int(want.max()))
        lead = n * np.arange(rows)[:, None]  # makes one ascending list of all rows
        keys = [(lead + side).ravel() for side in (got, want)]
        union = np.union1d(*keys)
        own, theirs = (_places(side, union) for side in keys)
        return cls(union // n, union % n, np.where(own < 0, -1, own % k), np.where(theirs < 0, -1, theirs % want_k))

    @property
    def unlike(self) -> np.ndarray:
        """(u,) whether only one side selected the index."""
        return (self.got < 0) | (self.want < 0)

    def of_got(self, entries: np.ndarray) -> np.ndarray:
        """Entries (rows, k, ...) of got at the union, (u, ...); 0 where got did not select the index."""
        return self._spread(entries, self.got)

    def of_want(self, entries: np.ndarray) -> np.ndarray:
        """Entries (rows, k, ...) of want at the union, (u, ...); 0 where want did not select the index."""
        return self._spread(entries, self.want)

    def _spread(self, entries: np.ndarray, places: np.ndarray) -> np.ndarray:
        if not (places < 0).any():  # this side selected every index of the union, in this order: nothing is copied
            return entries.reshape(places.size, *entries.shape[2:])
        spread = entries[self.rows, np.maximum(places, 0)]
        spread[places < 0] = 0
        return spread


Kinds = dict[str, np.ndarray]
"""tied, flipped, requantised -> masks of the entries whose index only one side selected, and why (causes.py)."""


def by_row(alignment: Alignment, kinds: Kinds, rows: int) -> Kinds:
    """(rows,) masks: which rows have an index of the kind."""
    return {kind: np.bincount(alignment.rows[mask], minlength=rows) > 0 for kind, mask in kinds.items()}


def by_index(alignment: Alignment, kinds: Kinds, indices: np.ndarray) -> Kinds:
    """Masks over indices: which are of the kind in any row."""
    return {kind: np.isin(indices, alignment.indices[mask]) for kind, mask in kinds.items()}


def _places(indices: np.ndarray, union: np.ndarray) -> np.ndarray:
    """Where the entries of the union stand in ascending indices; -1 for those that are not there."""
    places = np.minimum(np.searchsorted(indices, union), indices.size - 1)
    return np.where(indices[places] == union, places, -1)
