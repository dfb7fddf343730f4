"""Two selections side by side: which entry of one stands beside which of the other, and what is in one only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Alignment:
    """The union of two selections (rows, k), row by row: got's places and want's, -1 where a side has not the index.

    rows, indices, got, want: (u,) each entry's row, index, and place among the k of its row.
    """

    rows: np.ndarray
    indices: np.ndarray
    got: np.ndarray
    want: np.ndarray

    @classmethod
    def of(cls, got: np.ndarray, want: np.ndarray) -> Alignment:
        """Of selections whose indices ascend in each row."""
        (rows, k), other = got.shape, want.shape[1]
        if got.shape == want.shape and (got == want).all():
            places = np.tile(np.arange(k), rows)
            return cls(np.repeat(np.arange(rows), k), got.ravel(), places, places)
        n = 1 + max(int(got.max()), int(want.max()))
        lead = n * np.arange(rows)[:, None]  # one ascending list of all rows
        keys = [(lead + side).ravel() for side in (got, want)]
        union = np.union1d(*keys)
        own, others = (_places(side, union) for side in keys)
        return cls(union // n, union % n, np.where(own < 0, -1, own % k), np.where(others < 0, -1, others % other))

    @property
    def unlike(self) -> np.ndarray:
        """(u,) whether only one side selected the index."""
        return (self.got < 0) | (self.want < 0)

    def of_got(self, entries: np.ndarray) -> np.ndarray:
        """Entries (rows, k, ...) of got at the union, (u, ...); 0 where it has not the index."""
        return self._spread(entries, self.got)

    def of_want(self, entries: np.ndarray) -> np.ndarray:
        """The same of want."""
        return self._spread(entries, self.want)

    def _spread(self, entries: np.ndarray, places: np.ndarray) -> np.ndarray:
        if places.size == entries.shape[0] * entries.shape[1] and not (places < 0).any():
            return entries.reshape(places.size, *entries.shape[2:])
        found = entries[self.rows, np.maximum(places, 0)]
        found[places < 0] = 0
        return found


Kinds = dict[str, np.ndarray]
"""tied, flipped, requantised -> (u,) masks of the unlike entries of an alignment."""


def by_row(alignment: Alignment, kinds: Kinds, rows: int) -> Kinds:
    """(rows,) masks: rows that have an unlike index of the kind."""
    return {kind: np.bincount(alignment.rows[mask], minlength=rows) > 0 for kind, mask in kinds.items()}


def by_index(alignment: Alignment, kinds: Kinds, indices: np.ndarray) -> Kinds:
    """Masks over some indices: those that are unlike in any row."""
    return {kind: np.isin(indices, alignment.indices[mask]) for kind, mask in kinds.items()}


def _places(indices: np.ndarray, union: np.ndarray) -> np.ndarray:
    found = np.minimum(np.searchsorted(indices, union), indices.size - 1)
    return np.where(indices[found] == union, found, -1)
