"""A method's entries beside a reference's: which belongs beside which, and where the two selected unlike indices."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from harness.accuracy.references import Reference, References
from harness.precision.alignment import Alignment, Kinds, by_index, by_row
from harness.precision.solution import Solution


def side_by_side(
    tensor: str,
    got: Solution | Reference,
    want: Reference,
    mine: Mapping[str, np.ndarray],
    theirs: Mapping[str, np.ndarray],
) -> dict[str, np.ndarray]:
    """The entries of both at the union of the two selections, flat; what a side did not select is zero there."""
    if tensor == "dx":
        found = {**mine, **theirs}
    elif tensor == "dW":
        alignment = Alignment.of(got.touched[None], want.touched[None])
        found = {name: alignment.of_got(each[None]) for name, each in mine.items()}
        found |= {name: alignment.of_want(each[None]) for name, each in theirs.items()}
    else:
        alignment = Alignment.of(got.indices, want.indices)
        found = {name: alignment.of_got(each) for name, each in mine.items()}
        found |= {name: alignment.of_want(each) for name, each in theirs.items()}
    return {name: each.ravel() for name, each in found.items()}


def unlike_entries(tensor: str, name: str, shape: tuple[int, ...], got: Solution, references: References) -> Kinds:
    """tied, flipped, requantised -> flat masks of the entries of a tensor."""
    reference = references.get(name, got)
    alignment = Alignment.of(got.indices, reference.indices)
    kinds = _kinds(alignment, name, got, references)
    if tensor == "dx":
        masks = {kind: np.repeat(mask, shape[1]) for kind, mask in by_row(alignment, kinds, shape[0]).items()}
    elif tensor == "dW":
        union = np.union1d(got.touched, reference.touched)
        masks = {kind: np.repeat(mask, shape[1]) for kind, mask in by_index(alignment, kinds, union).items()}
    else:
        times = shape[2] if len(shape) == 3 else 1
        masks = {kind: np.repeat(mask, times) for kind, mask in kinds.items()}
    return masks


def _kinds(alignment: Alignment, name: str, got: Solution, references: References) -> Kinds:
    none = np.zeros_like(alignment.unlike)
    if name == "native":
        y, native = references.native.y, references.native.values
        threshold = np.min(np.where(np.isnan(native), np.inf, native), axis=-1)[alignment.rows]
        own = y[alignment.rows, alignment.indices]
        at_threshold = (own == threshold) | np.isnan(own)
        tied = alignment.unlike & at_threshold
        return {"tied": tied, "flipped": alignment.unlike & ~at_threshold, "requantised": none}
    if name != "original":
        return {"tied": none, "flipped": alignment.unlike, "requantised": none}
    exact = np.zeros(got.y.shape, dtype=bool)
    np.put_along_axis(exact, references.get("exact", got).indices, True, -1)
    agrees = (alignment.got >= 0) == exact[alignment.rows, alignment.indices]
    return {"tied": none, "flipped": alignment.unlike & ~agrees, "requantised": alignment.unlike & agrees}
