"""The selections of NumPy, on the memory of y itself: forward only, since torch cannot differentiate them."""

from __future__ import annotations

from typing import Any

from harness.methods.definition import Unsupported, selector


@selector(gradient=False)
def numpy_argpartition() -> Any:
    """The last k of numpy.argpartition."""
    import numpy as np
    import torch

    def select(y: Any, k: int) -> Any:
        array = _array(y)
        indices = np.argpartition(array, array.shape[-1] - k, axis=-1)[..., array.shape[-1] - k :]
        return torch.from_numpy(np.take_along_axis(array, indices, -1)), torch.from_numpy(indices)

    return select


@selector(gradient=False)
def numpy_partition() -> Any:
    """numpy.partition finds the k-th largest; the entries above it and the first equal ones are selected."""
    import numpy as np
    import torch

    def select(y: Any, k: int) -> Any:
        array = _array(y)
        place = array.shape[-1] - k
        kth = np.partition(array, place, axis=-1)[..., place : place + 1]
        nan = np.isnan(kth)  # NaN is the largest in NumPy's order, as in torch's
        above = ~((array <= kth) | nan)
        equal = (array == kth) | (nan & np.isnan(array))
        room = k - above.sum(axis=-1, keepdims=True)
        kept = above | (equal & (equal.cumsum(axis=-1) <= room))
        indices = np.nonzero(kept)[-1].reshape(*array.shape[:-1], k)
        return torch.from_numpy(np.take_along_axis(array, indices, -1)), torch.from_numpy(indices)

    return select


def _array(y: Any) -> Any:
    """y as an array over the same memory; raises Unsupported for a dtype or a device that NumPy does not have."""
    try:
        return y.numpy()
    except TypeError as error:
        raise Unsupported(str(error)) from None
