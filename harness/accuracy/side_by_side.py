"""A method's entries beside a reference's: which belongs beside which, and where only one side selected the index."""

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
    """The arrays of both sides at the union of their selections, flat and in one dictionary.

    mine, theirs: name -> array of got's and of want's selection, in the shape that the tensor has in `Solution`. Where
    a side did not select an index, its arrays are zero.
    """
    if tensor == "dx":
        arrays = {**mine, **theirs}
    elif tensor == "dW":
        alignment = Alignment.of(got.touched[None], want.touched[None])
        arrays = {name: alignment.of_got(array[None]) for name, array in mine.items()}
        arrays |= {name: alignment.of_want(array[None]) for name, array in theirs.items()}
    else:
        alignment = Alignment.of(got.indices, want.indices)
        arrays = {name: alignment.of_got(array) for name, array in mine.items()}
        arrays |= {name: alignment.of_want(array) for name, array in theirs.items()}
    return {name: array.ravel() for name, array in arrays.items()}


def unlike_entries(tensor: str, name: str, shape: tuple[int, ...], got: Solution, references: References) -> Kinds:
    """tied, flipped, requantised -> flat masks of the entries of a tensor; causes.py says what they mean.

    name: the reference. shape: the tensor's on the method's side. An entry of dx sums over a row and one of dW over an
    index, so it has a kind where any of its terms has.
    """
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
    """Why an index was selected by one side only, as masks of the entries of the alignment.

    Against native, an index whose y is NaN or equals native's least selected value is tied, and any other is flipped.
    Against original, an index is requantised where the method agrees with the exact answer on the cast inputs, and
    flipped where it does not. Against the other references it is flipped: among equal values these choose as the
    method did, so there are no ties.
    """
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
