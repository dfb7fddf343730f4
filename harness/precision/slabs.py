"""Selections and sums over the selected, computed slab by slab in torch, on the device of the tensors.

No more than one slab is held in float64 at a time: float64 copies of everything would be up to four times as large as
the tensors.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

SLAB_ELEMENTS = 2**17
"""Least float64 numbers of a slab: 1 MiB, which stays in the cache of a core."""

SLABS = 256
"""Most slabs of a tensor: on an accelerator a slab costs a few launches, which must not take longer than the work."""


@dataclass(frozen=True)
class Slab:
    """Sums for some rows of a result.

    places: which rows, a slice or their numbers (m,). sums: (m, d) float64. sizes: (m, d), the sums of |terms|, or 0
    where they were not asked for (`sized`). terms: how many terms an entry has, (m, 1), or (1, 1) for all.
    """

    places: slice | torch.Tensor
    sums: torch.Tensor
    sizes: torch.Tensor
    terms: torch.Tensor


def slab_elements(total: int) -> int:
    """How many of `total` elements are converted to float64 at a time."""
    return max(SLAB_ELEMENTS, total // SLABS)


def misplaced_rows(y: torch.Tensor, indices: torch.Tensor) -> torch.Tensor:
    """(rows,) whether the indices (rows, k), distinct in each row, are not k largest of y (rows, n); NaN is greatest.

    They are the k largest if every entry above the least of them is among them. This takes one read of y, sorts
    nothing, and relies on no other selection.
    """
    import torch

    own = y.gather(-1, indices)
    missing = own.isnan()
    # NaN is above every number, so it is the least of a row only if the row has nothing else.
    level = torch.where(missing, torch.inf, own).amin(dim=-1, keepdim=True)
    level[missing.all(dim=-1)] = torch.nan
    misplaced = torch.empty(len(y), dtype=torch.bool, device=y.device)
    step = max(1, slab_elements(y.numel()) // y.shape[1])
    for start in range(0, len(y), step):
        some = slice(start, start + step)
        all_above, own_above = (above(entries[some], level[some]).sum(dim=-1) for entries in (y, own))
        misplaced[some] = all_above != own_above
    return misplaced


def above(y: torch.Tensor, level: torch.Tensor) -> torch.Tensor:
    """Where y is above level, which broadcasts; NaN is above all numbers, and nothing is above NaN."""
    return ~((y <= level) | level.isnan())


def input_gradients(indices: torch.Tensor, dy: torch.Tensor, W: torch.Tensor, *, sized: bool = True) -> Iterator[Slab]:
    """dx = dy W, (rows, d): for each row the sum of dy (rows, k) times the rows of W (n, d) at its indices (rows, k).

    Rows of W that were not selected are not read, so an infinity or a NaN in them does no harm.
    """
    import torch

    (rows, k), d = indices.shape, W.shape[1]
    elements = slab_elements(W.numel())
    part_size = max(1, min(k, elements // d))
    step = max(1, elements // (part_size * d))
    for start in range(0, rows, step):
        place = slice(start, start + step)
        sums = torch.zeros(len(indices[place]), 1, d, dtype=torch.float64, device=W.device)
        sizes = torch.zeros_like(sums)
        for first in range(0, k, part_size):
            part = slice(first, first + part_size)
            chosen, cotangent = W[indices[place, part]].double(), dy[place, None, part].double()
            sums += cotangent @ chosen
            if sized:
                sizes += cotangent.abs() @ chosen.abs_()
        yield Slab(place, sums[:, 0], sizes[:, 0], indices.new_full((1, 1), k))


def weight_gradients(indices: torch.Tensor, dy: torch.Tensor, x: torch.Tensor, *, sized: bool = True) -> Iterator[Slab]:
    """dW = dyᵀ x at the touched rows of W, ascending: sums of dy times x (rows, d) over the rows that selected them."""
    import torch

    k, d = indices.shape[1], x.shape[1]
    chosen, order = indices.flatten().sort()
    touched, times = torch.unique_consecutive(chosen, return_counts=True)
    ends, elements = times.cumsum(0), slab_elements(x.numel())
    step = max(1, elements // d)
    for first in range(0, len(touched), step):
        some = slice(first, first + step)
        sums = torch.zeros(len(touched[some]), d, dtype=torch.float64, device=x.device)
        sizes = torch.zeros_like(sums)
        if len(touched) <= step:  # all in one slab, so x can be read from its first row to its last
            parts = _by_rows(indices, dy, x, max(1, elements // (k * d)))
        else:
            begin, end = int(ends[first] - times[first]), int(ends[some][-1])
            parts = _by_members(indices, dy, x, order[begin:end], step)
        for chosen_there, products in parts:
            into = torch.searchsorted(touched[some], chosen_there)
            sums.index_add_(0, into, products)
            if sized:
                sizes.index_add_(0, into, products.abs_())
        yield Slab(touched[some], sums, sizes, times[some, None])


Parts = Iterator[tuple["torch.Tensor", "torch.Tensor"]]
"""Indices (m,), and the float64 products (m, d) that belong to them."""


def _by_rows(indices: torch.Tensor, dy: torch.Tensor, x: torch.Tensor, step: int) -> Parts:
    """All products, `step` rows of x at a time."""
    for start in range(0, len(x), step):
        some = slice(start, start + step)
        products = dy[some, :, None].double() * x[some, None].double()
        yield indices[some].flatten(), products.flatten(0, 1)


def _by_members(indices: torch.Tensor, dy: torch.Tensor, x: torch.Tensor, members: torch.Tensor, step: int) -> Parts:
    """The products at members, flat places in dy, `step` of them at a time."""
    chosen, cotangents = indices.flatten(), dy.flatten()
    for start in range(0, len(members), step):
        some = members[start : start + step]
        yield chosen[some], cotangents[some, None].double() * x[some // indices.shape[1]].double()
