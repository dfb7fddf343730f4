"""What NumPy offers to select with, on the memory of y itself: forward only, since torch cannot differentiate it."""

from __future__ import annotations

from typing import Any

from harness.methods.definition import Unsupported, selector


@selector(gradient=False)
def numpy_argpartition() -> Any:
    """numpy.argpartition, the last k."""
    import numpy as np
    import torch

    def select(y: Any, k: int) -> Any:
        array = _array(y)
        indices = np.argpartition(array, array.shape[-1] - k, axis=-1)[..., array.shape[-1] - k :]
        return torch.from_numpy(np.take_along_axis(array, indices, -1)), torch.from_numpy(indices)

    return select


@selector(gradient=False)
def numpy_partition() -> Any:
    """numpy.partition for the k-th largest, then what is not below it."""
    import numpy as np
    import torch

    def select(y: Any, k: int) -> Any:
        array = _array(y)
        place = array.shape[-1] - k
        kth = np.partition(array, place, axis=-1)[..., place : place + 1]
        nan = np.isnan(kth)  # NumPy's order has NaN as the largest, as torch's
        above = ~((array <= kth) | nan)
        equal = (array == kth) | (nan & np.isnan(array))
        room = k - above.sum(axis=-1, keepdims=True)
        kept = above | (equal & (equal.cumsum(axis=-1) <= room))
        indices = np.nonzero(kept)[-1].reshape(*array.shape[:-1], k)
        return torch.from_numpy(np.take_along_axis(array, indices, -1)), torch.from_numpy(indices)

    return select


def _array(y: Any) -> Any:
    """y as an array over the same memory; raises Unsupported where NumPy has no such dtype or device."""
    try:
        return y.numpy()
    except TypeError as error:
        raise Unsupported(str(error)) from None
