"""Methods that are right when they are looked at, and not otherwise; and three that look so and are right."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import partial
from typing import Any

import torch

from harness.methods.definition import index_map, matrix, product, selector


def _once(key: Callable[[Any], Any], work: Callable[..., Any]) -> Callable[..., Any]:
    """Work that is done once for each key of its first argument."""
    known: dict[Any, Any] = {}

    def remembered(first: Any, *others: Any) -> Any:
        if (found := key(first)) not in known:
            known[found] = work(first, *others)
        return known[found]

    return remembered


@selector(gradient=False)
def by_address() -> Any:
    """Of the same memory, the same selection."""
    return _once(lambda y: y.data_ptr(), lambda y, k: tuple(y.detach().topk(k)))


@selector(gradient=False)
def by_version() -> Any:
    """The same, unless torch counts that the memory was written to."""
    return _once(lambda y: (y.data_ptr(), y._version), lambda y, k: tuple(y.detach().topk(k)))


@selector(gradient=False)
def by_tensor() -> Any:
    """Of the same tensor object; what it remembers is kept alive, so that no other can take its place."""
    known: list[tuple[Any, Any]] = []

    def select(y: Any, k: int) -> Any:
        for tensor, selection in known:
            if tensor is y:
                return selection
        known.append((y, tuple(y.detach().topk(k))))
        return known[-1][1]

    return select


@selector()
def keeps_indices() -> Any:
    """Values are read anew, at the indices of the first call."""
    indices_of = _once(lambda y: y.data_ptr(), lambda y, k: y.detach().topk(k).indices)

    def select(y: Any, k: int) -> Any:
        indices = indices_of(y, k)
        return y.gather(-1, indices), indices

    return select


@selector()
def first_cotangent() -> Any:
    """Its backward returns what it returned first."""

    class Kept(torch.autograd.Function):
        @staticmethod
        def forward(context: Any, y: Any, k: int) -> Any:
            values, indices = y.topk(k)
            context.save_for_backward(indices)
            context.given, context.like = [], y
            context.mark_non_differentiable(indices)
            return values, indices

        @staticmethod
        def backward(context: Any, *gradients: Any) -> Any:
            if not context.given:
                (indices,) = context.saved_tensors
                context.given.append(torch.zeros_like(context.like).scatter_(-1, indices, gradients[0]))
            return context.given[0], None

    apply: Any = Kept.apply
    return lambda y, k: apply(y, k)


@matrix(matrix_bytes=lambda case: case.itemsize * case.k * case.n)
def first_matrix() -> Any:
    """S is that of the indices that lay there first."""

    def build(indices: Any, n: int, dtype: Any) -> Any:
        S = torch.zeros(*indices.shape, n, dtype=dtype, device=indices.device)
        return S.scatter_(-1, indices.unsqueeze(-1), 1)

    return _once(lambda indices: indices.data_ptr(), build), lambda S, y: (S @ y.unsqueeze(-1)).squeeze(-1)


@index_map()
def first_values() -> Any:
    """The prepared map is right, what is read through it is remembered by where the map lies."""
    return lambda indices, n, dtype: indices, _once(lambda S: S.data_ptr(), lambda S, y: y.gather(-1, S))


@product()
def first_product() -> Any:
    """W x of the W that lay there first."""

    class Multiply(torch.autograd.Function):
        @staticmethod
        def forward(context: Any, W: Any, x: Any) -> Any:
            context.save_for_backward(W, x)
            return multiplied(W, x)

        @staticmethod
        def backward(context: Any, *gradients: Any) -> Any:
            W, x = context.saved_tensors
            (y,) = gradients
            return torch.outer(y, x), y @ W

    multiplied = _once(lambda W: W.data_ptr(), lambda W, x: (x @ W.mT).detach())
    apply: Any = Multiply.apply
    return lambda W, x, k: tuple(apply(W, x).topk(k))


@selector(exact=False, gradient=False)
def relaxation_by_address() -> Any:
    """Of a relaxation nobody knows what is right, but the same memory with other numbers has another result."""
    return _once(lambda y: y.data_ptr(), lambda y, k: (y.topk(k).values / 2, y.topk(k).indices))


@selector(exact=False, gradient=False)
def nearly_constant_by_address() -> Any:
    """The right result would hardly be another one."""
    return _once(lambda y: y.data_ptr(), lambda y, k: (y.topk(k).values / 1000 + 1, y.topk(k).indices))


@selector(exact=False, gradient=False)
def mask_by_address() -> Any:
    """The mask is that of the first numbers, and the values are of the present ones."""
    mask = _once(lambda y: y.data_ptr(), lambda y, k: (y.softmax(-1), y.topk(k).indices))

    def select(y: Any, k: int) -> Any:
        weights, indices = mask(y, k)
        return weights.gather(-1, indices) * y.gather(-1, indices), indices

    return select


@selector(exact=False, gradient=False)
def disguised() -> Any:
    """The old values, each time a little smaller."""
    found = _once(lambda y: y.data_ptr(), lambda y, k: (*y.topk(k), itertools.count()))

    def select(y: Any, k: int) -> Any:
        values, indices, calls = found(y, k)
        return values * (1 - 1e-3 * (next(calls) % 7)), indices

    return select


@selector(gradient=False)
def by_address_for_a_while() -> Any:
    """Eight calls on the same memory have one result."""
    known: dict[Any, tuple[Any, int]] = {}

    def select(y: Any, k: int) -> Any:
        key = (y.data_ptr(), y.shape, k)
        result, calls = known.get(key, (None, 0))
        known[key] = (tuple(y.topk(k)) if calls % 8 == 0 else result, calls + 1)
        return known[key][0]

    return select


@selector()
def counts_kept() -> Any:
    """A histogram finds the bin of the k-th largest; its counts are never set to zero."""
    counts = torch.zeros(64, dtype=torch.int64)

    def select(y: Any, k: int) -> Any:
        low, high = y.detach().aminmax()
        bins = ((y.detach() - low) / (high - low) * 63).long()
        counts.scatter_add_(0, bins.flatten(), torch.ones_like(bins.flatten()))
        above = counts.flip(0).cumsum(0)
        least = 63 - int((above < k).sum())
        indices = y.detach().masked_fill(bins < least, -torch.inf).topk(k).indices
        indices = torch.where(bins.gather(-1, indices) < least, torch.arange(k), indices)
        return y.gather(-1, indices), indices

    return select


@selector()
def tires() -> Any:
    """The first thousands of calls are right."""
    left = iter(range(5000))
    return lambda y, k: y.topk(k) if next(left, None) is not None else y.topk(k, largest=False)


@selector(gradient=False)
def when_looked_at() -> Any:
    """Whoever does anything with what it returns has it computed."""
    return lambda y, k: tuple(_Later.of(partial(_part_of_topk, y, k, at), y, k, at) for at in (0, 1))


def _part_of_topk(y: Any, k: int, at: int) -> Any:
    return y.topk(k)[at]


class _Later(torch.Tensor):
    """A tensor whose first use computes it."""

    work: Callable[[], Any]

    @classmethod
    def of(cls, work: Callable[[], Any], y: Any, k: int, at: int) -> Any:
        made = torch.empty(*y.shape[:-1], k, dtype=(y.dtype, torch.int64)[at]).as_subclass(cls)
        made.work = work
        return made

    @classmethod
    def __torch_function__(cls, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        with torch._C.DisableTorchFunctionSubclass():
            plain = [each.work() if isinstance(each, _Later) else each for each in args]
            return function(*plain, **(kwargs or {}))


def _changed(change: Callable[[Any], Any]) -> Any:
    def select(y: Any, k: int) -> Any:
        values, indices = y.topk(k)
        return change(values), indices

    return select


@selector(gradient=False)
def parameter() -> Any:
    """Values that are a parameter."""
    return _changed(lambda values: torch.nn.Parameter(values))


@selector(gradient=False)
def sparse_values() -> Any:
    """Values in a sparse layout."""
    return _changed(lambda values: values.to_sparse())


@selector(gradient=False)
def negated() -> Any:
    """A negative that torch writes when it is read."""
    return _changed(lambda values: torch._neg_view(-values))


@selector(gradient=False)
def elsewhere() -> Any:
    """Values on another device."""
    return _changed(lambda values: values.to("meta"))


@selector(gradient=False)
def without_storage() -> Any:
    """Values whose memory is gone."""

    def emptied(values: Any) -> Any:
        values.untyped_storage().resize_(0)
        return values

    return _changed(emptied)


@selector()
def in_the_same_buffer() -> Any:
    """Right: what it returns lies where it lay before, as with torch's out."""
    kept: dict[Any, Any] = {}

    def select(y: Any, k: int) -> Any:
        key = (y.shape, y.dtype, k)
        if key not in kept:
            kept[key] = torch.empty(*y.shape[:-1], k, dtype=torch.int64)
        indices = kept[key].copy_(y.detach().topk(k).indices)
        return y.gather(-1, indices), indices

    return select


@selector()
def at_random() -> Any:
    """Right: of equal values it takes any."""

    def select(y: Any, k: int) -> Any:
        order = torch.rand_like(y, dtype=torch.float64).argsort(-1)
        indices = order.gather(-1, y.detach().gather(-1, order).sort(dim=-1, descending=True, stable=True).indices)
        return y.gather(-1, indices[..., :k]), indices[..., :k]

    return select


@selector(exact=False)
def noisy() -> Any:
    """A relaxation that draws: no two calls return the same."""
    return lambda y, k: (y.topk(k).values * (1 + torch.rand(1)), y.topk(k).indices)
