"""Methods that select rightly and whose gradient is wrong, or sparse, in a way that one call does not show."""

from __future__ import annotations

from typing import Any

import torch

from harness.methods.definition import product, selector


@selector()
def of_the_last_forward() -> Any:
    """Every graph differentiates the selection that was made last."""
    last: list[Any] = [None]

    class Select(torch.autograd.Function):
        @staticmethod
        def forward(context: Any, y: Any, k: int) -> Any:
            values, last[0] = y.topk(k)
            context.like = y
            context.mark_non_differentiable(last[0])
            return values, last[0]

        @staticmethod
        def backward(context: Any, *gradients: Any) -> Any:
            return torch.zeros_like(context.like).scatter_(-1, last[0], gradients[0]), None

    apply: Any = Select.apply
    return lambda y, k: apply(y, k)


@selector()
def in_another_order_later() -> Any:
    """From the second call on, the gradients go to the selected entries in ascending order of their indices."""

    class Select(torch.autograd.Function):
        @staticmethod
        def forward(context: Any, y: Any, k: int) -> Any:
            values, indices = y.topk(k)
            context.like, context.indices = y, indices.clone()
            context.mark_non_differentiable(indices)
            return values, indices

        @staticmethod
        def backward(context: Any, *gradients: Any) -> Any:
            gradient = torch.zeros_like(context.like).scatter_(-1, context.indices, gradients[0])
            context.indices = context.indices.sort(-1).values
            return gradient, None

    apply: Any = Select.apply
    return lambda y, k: apply(y, k)


@selector()
def sparse_gradient() -> Any:
    """The gradient of y is a sparse tensor."""

    def select(y: Any, k: int) -> Any:
        indices = y.detach().topk(k).indices
        return torch.gather(y, -1, indices, sparse_grad=True), indices

    return select


@product()
def sparse_rows() -> Any:
    """The gradient of W is a sparse tensor."""

    def project(W: Any, x: Any, k: int) -> Any:
        indices = (x @ W.mT).detach().topk(k).indices
        chosen = torch.nn.functional.embedding(indices, W, sparse=True)
        return (chosen @ x.unsqueeze(-1)).squeeze(-1), indices

    return project


@selector()
def of_contiguous_cotangents() -> Any:
    """The gradient reads the memory of the cotangent as if it had a place for each entry."""

    class Select(torch.autograd.Function):
        @staticmethod
        def forward(context: Any, y: Any, k: int) -> Any:
            values, indices = y.topk(k)
            context.like, context.indices = y, indices
            context.mark_non_differentiable(indices)
            return values, indices

        @staticmethod
        def backward(context: Any, *gradients: Any) -> Any:
            given = gradients[0]
            read = given if given.is_contiguous() else torch.zeros(given.shape, dtype=given.dtype)
            return torch.zeros_like(context.like).scatter_(-1, context.indices, read), None

    apply: Any = Select.apply
    return lambda y, k: apply(y, k)
