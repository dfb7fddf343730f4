"""What is inside a block: for every phase, the tensors that it reads and the closure over them that is timed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch

from harness.methods import Method
from harness.topk.outcome import bits, cotangent_of, loss_of
from harness.topk.problems import Problem


@dataclass(frozen=True)
class PreparedPhase:
    """A phase ready to be timed: bind(*copies of reads) prepares what is not timed, and returns the call that is.

    names: the names of the reads. selected: in `backward`, returns the indices of the values that the call which was
    bound last differentiates.
    """

    reads: tuple[torch.Tensor, ...]
    bind: Callable[..., Callable[[], Any]]
    names: tuple[str, ...] = ()
    selected: Callable[[], torch.Tensor] | None = None

    def wrote(self, copies: Sequence[torch.Tensor]) -> bool:
        """Whether a call has changed these copies of the reads. S is not compared: the method itself has made it."""
        pairs = zip(self.names, copies, self.reads, strict=True)
        return any(name != "S" and not torch.equal(bits(copy), bits(read)) for name, copy, read in pairs)


def prepare(method: Method, phases: Iterable[str], problem: Problem, loss: str) -> Iterator[tuple[str, PreparedPhase]]:
    """(phase, prepared) for a method as it is run (harness/topk/transforms.py), one after the other on demand.

    Phases that apply S share one S. Raises TypeError for a phase that the method does not have.
    """
    makers = _Phases(method, problem, loss)
    return ((phase, getattr(makers, phase)()) for phase in phases)


@dataclass(frozen=True)
class _Phases:
    method: Method
    problem: Problem
    loss: str

    @cached_property
    def _indices(self) -> torch.Tensor:
        return self.problem.y.topk(self.problem.case.k).indices

    @cached_property
    def _map(self) -> Any:
        return self._closure("build")(self._indices, self.problem.case.n, self.problem.y.dtype)

    @cached_property
    def _selection(self) -> tuple[torch.Tensor, torch.Tensor]:
        # A copy, since a method that writes into its input would change the tensors of the case.
        return self.method.forward(self.problem.y.clone(), self.problem.case.k)

    @cached_property
    def _cotangent(self) -> torch.Tensor:
        """The gradient of the loss with respect to the values, in their order and dtype."""
        values, indices = self._selection
        return cotangent_of(values, indices, self.problem.weights, self.loss).to(values.dtype)

    def _closure(self, name: str) -> Callable[..., Any]:
        closure = getattr(self.method.implementation, name)
        if closure is None:
            raise TypeError(f"method {self.method.name} has no {name}")
        return closure

    def build(self) -> PreparedPhase:
        build, n, dtype = self._closure("build"), self.problem.case.n, self.problem.y.dtype
        return PreparedPhase((self._indices,), lambda indices: lambda: build(indices, n, dtype), ("indices",))

    def apply(self) -> PreparedPhase:
        apply = self._closure("apply")
        if self.method.implementation.build is None:
            return PreparedPhase((self.problem.y,), lambda y: lambda: apply(None, y), ("y",))
        return PreparedPhase((self._map, self.problem.y), lambda S, y: lambda: apply(S, y), ("S", "y"))

    def forward(self) -> PreparedPhase:
        forward, k = self._closure("forward"), self.problem.case.k
        return PreparedPhase((self.problem.y,), lambda y: lambda: forward(y, k), ("y",))

    def backward(self) -> PreparedPhase:
        """The gradient with respect to y alone. S is constant, and the graph is built outside the block and kept."""
        cotangent = self._cotangent
        if self.method.implementation.build is None:
            forward, k = self._closure("forward"), self.problem.case.k
            selected = [self._selection[1]]

            def bind(y: torch.Tensor, cotangent: torch.Tensor) -> Callable[[], Any]:
                values, indices = forward(y.requires_grad_(), k)
                selected[0] = indices.clone()  # a method may reuse the memory of its results
                return _gradient(values, y, cotangent)

            reads = self.problem.y, cotangent
            return PreparedPhase(reads, bind, ("y", "cotangent"), lambda: selected[0])
        apply = self._closure("apply")
        return PreparedPhase(
            (self._map, self.problem.y, cotangent),
            lambda S, y, cotangent: _gradient(apply(S, y.requires_grad_()), y, cotangent),
            ("S", "y", "cotangent"),
            lambda: self._indices,
        )

    def step(self) -> PreparedPhase:
        """Forward, the loss, and the gradient of y, as in a training step: nothing is prepared outside the block."""
        forward, k, loss = self._closure("forward"), self.problem.case.k, self.loss

        def bind(y: torch.Tensor, weights: torch.Tensor) -> Callable[[], Any]:
            y.requires_grad_()

            def call() -> Any:
                values, indices = forward(y, k)
                (dy,) = torch.autograd.grad(loss_of(values, indices, weights, loss), y)
                return values, dy, indices

            return call

        return PreparedPhase((self.problem.y, self.problem.weights), bind, ("y", "weights"))

    def jvp(self) -> PreparedPhase:
        """Forward, and its derivative along the weights."""
        jvp, k = self._closure("jvp"), self.problem.case.k
        reads = self.problem.y, self.problem.weights
        return PreparedPhase(reads, lambda y, tangent: lambda: jvp(y, tangent, k), ("y", "weights"))

    def vjp(self) -> PreparedPhase:
        """Forward, and the cotangent of the loss pulled back to y."""
        vjp, k = self._closure("vjp"), self.problem.case.k
        reads = self.problem.y, self._cotangent
        return PreparedPhase(reads, lambda y, cotangent: lambda: vjp(y, cotangent, k), ("y", "cotangent"))

    def pipeline(self) -> PreparedPhase:
        """topk(W x), the loss, and the gradients of W and x."""
        project, k, loss, problem = self._closure("project"), self.problem.case.k, self.loss, self.problem
        if problem.W is None or problem.x is None:
            raise TypeError("the phase pipeline needs d > 0")

        def bind(W: torch.Tensor, x: torch.Tensor, weights: torch.Tensor) -> Callable[[], Any]:
            W.requires_grad_()
            x.requires_grad_()

            def call() -> Any:
                values, indices = project(W, x, k)
                return torch.autograd.grad(loss_of(values, indices, weights, loss), (W, x))

            return call

        return PreparedPhase((problem.W, problem.x, problem.weights), bind, ("W", "x", "weights"))


def _gradient(values: torch.Tensor, y: torch.Tensor, cotangent: torch.Tensor) -> Callable[[], Any]:
    # The graph is kept, since a block makes the call many times.
    return lambda: torch.autograd.grad(values, y, cotangent, retain_graph=True)
