"""Methods that tell how they are run, or are wrong under one transform only."""

from __future__ import annotations

from typing import Any

from harness.methods.definition import Unsupported, selector


@selector()
def tells() -> Any:
    """Refuses to work, and says in which shape and in which state of torch it was asked to."""
    import torch

    def select(y: Any, k: int) -> Any:
        deterministic = torch.are_deterministic_algorithms_enabled()
        raise Unsupported(f"{y.dim()} axes, inference {torch.is_inference_mode_enabled()}, {deterministic=}")

    return select


@selector()
def wrong_when_compiled() -> Any:
    """Values one too large, in compiled code only."""
    import torch

    def select(y: Any, k: int) -> Any:
        values, indices = y.topk(k)
        return values + torch.compiler.is_compiling(), indices

    return select


@selector()
def wrong_gradient_when_compiled() -> Any:
    """A gradient that is twice too large, in compiled code only."""
    import torch

    def select(y: Any, k: int) -> Any:
        values, indices = y.topk(k)
        return (2 * values - values.detach() if torch.compiler.is_compiling() else values), indices

    return select


@selector()
def wrong_when_mapped() -> Any:
    """The smallest of a y that is one row; of several rows the largest."""
    return lambda y, k: y.topk(k, largest=y.dim() > 1)


@selector()
def wrong_jvp() -> Any:
    """Right values and a right gradient, and a forward derivative of twice the tangent."""
    import torch

    class Select(torch.autograd.Function):
        @staticmethod
        def forward(y: Any, k: int) -> Any:
            return y.topk(k)

        @staticmethod
        def setup_context(context: Any, inputs: Any, output: Any) -> None:
            context.mark_non_differentiable(output[1])
            context.save_for_backward(output[1])
            context.save_for_forward(output[1])
            context.n = inputs[0].shape[-1]

        @staticmethod
        def backward(context: Any, given: Any, _: Any) -> Any:
            (indices,) = context.saved_tensors
            return given.new_zeros((*given.shape[:-1], context.n)).scatter(-1, indices, given), None

        @staticmethod
        def jvp(context: Any, tangent: Any, _: Any) -> Any:
            (indices,) = context.saved_tensors
            return 2 * tangent.gather(-1, indices), None

    return Select.apply
