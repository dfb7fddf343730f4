"""The operator under autograd, torch.func, torch.compile and torch's own checks of custom operators."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from harness.methods.kernels.blockmax import positions, topk

over = pytest.mark.parametrize
both_ends = over("largest", [True, False])

pytestmark = [
    pytest.mark.usefixtures("small"),
    pytest.mark.filterwarnings("ignore:.*torch.jit.script:Warning"),  # of torch's own forward mode
]


def shuffled(*shape: int) -> Any:
    """Distinct numbers, one apart."""
    count = torch.Size(shape).numel()
    return torch.randperm(count, generator=torch.Generator().manual_seed(count)).double().view(shape)


@both_ends
def test_derivatives_of_every_kind(largest: bool) -> None:
    y = shuffled(2, 20).requires_grad_()

    def select(y: Any) -> Any:
        return topk(y, 3, largest=largest).values ** 2

    assert torch.autograd.gradcheck(select, (y,), check_forward_ad=True, fast_mode=True)
    assert torch.autograd.gradgradcheck(select, (y,), fast_mode=True)
    (gradient,) = torch.autograd.grad(select(y).sum(), y)
    (native,) = torch.autograd.grad((y.topk(3, -1, largest).values ** 2).sum(), y)
    assert torch.equal(gradient, native)


def test_functional_derivatives() -> None:
    y, tangent = shuffled(2, 40), shuffled(2, 40).flip(-1)
    values, derivative, *_ = torch.func.jvp(lambda y: topk(y, 4).values, (y,), (tangent,))
    native = y.topk(4)
    assert torch.equal(values, native.values)
    assert torch.equal(derivative, tangent.gather(-1, native.indices))
    _, pull, *_ = torch.func.vjp(lambda y: topk(y, 4).values, y)
    assert torch.equal(pull(values)[0], torch.zeros_like(y).scatter(-1, native.indices, values))


@over("axis", [0, 1])
def test_it_can_be_mapped_over_any_axis(axis: int) -> None:
    y = shuffled(4, 24)
    batched = y.movedim(0, axis)
    values, indices = torch.func.vmap(lambda row: tuple(topk(row, 4)), in_dims=axis)(batched)
    assert torch.equal(values, y.topk(4).values)
    assert torch.equal(indices, y.topk(4).indices)
    twice = torch.func.vmap(torch.func.vmap(lambda row: topk(row, 4).values))(y.view(4, 2, 12))
    assert torch.equal(twice, y.view(4, 2, 12).topk(4).values)
    squares = torch.func.vmap(torch.func.grad(lambda row: (topk(row, 4).values ** 2).sum()))(y)
    assert torch.equal(squares, torch.zeros_like(y).scatter(-1, indices, 2 * values))


@over("dynamic", [False, True])
def test_it_compiles_without_a_break(dynamic: bool) -> None:
    def step(y: Any) -> Any:
        values, indices = topk(y, 4)
        return (values**2).sum(), indices

    compiled = torch.compile(step, fullgraph=True, dynamic=dynamic, backend="aot_eager")
    for n in (40, 43):
        y = shuffled(2, n).requires_grad_()
        loss, indices = compiled(y)
        assert torch.equal(indices, y.topk(4).indices)
        (gradient,) = torch.autograd.grad(loss, y)
        assert torch.equal(gradient, torch.zeros_like(gradient).scatter(-1, indices, 2 * y.topk(4).values))


@over("requires_grad", [False, True])
def test_the_operator_passes_the_checks_of_torch(requires_grad: bool) -> None:
    y = shuffled(2, 24).requires_grad_(requires_grad)
    found = torch.library.opcheck(positions, (y, 3, True, True))
    assert set(found.values()) == {"SUCCESS"}
