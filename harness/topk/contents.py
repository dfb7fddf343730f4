"""What a phase must return for the content that it reads: the tensors of a case, or other numbers in the same memory.

Before anything is timed, every phase is called again after its inputs were rewritten in place, so that a method which
remembers results by address, or computes them when they are looked at, is found.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch

from harness.methods import Method
from harness.topk.checks import wrong_derivative, wrong_move, wrong_outcome
from harness.topk.outcome import Outcome, cotangent_of, run_once
from harness.topk.problems import Problem
from harness.topk.relaxed import wrong_relaxed_gradients
from harness.topk.results import Remembered
from harness.topk.transforms import as_product
from harness.vocabulary import YARDSTICKS


@dataclass(frozen=True)
class Content:
    """The numbers that a phase reads: those of the case, or the ones that the memory is rewritten with.

    indices: of the k largest of problem.y; maps are built from them. multiplied: the problem with the same W and x
    whose y is their product. native: runs the native method on a problem.
    """

    problem: Problem
    indices: torch.Tensor
    multiplied: Problem
    native: Callable[[Problem], Outcome]

    @cached_property
    def values(self) -> torch.Tensor:
        """The k largest, in the order of `indices`."""
        return self.problem.y.gather(-1, self.indices)

    @cached_property
    def descending(self) -> torch.Tensor:
        """The k largest, the largest first."""
        return self.values.sort(dim=-1, descending=True).values

    @cached_property
    def gradients(self) -> Remembered:
        """dW and dx of native on W and x; nearly every right method returns their bits."""
        native = self.native(self.multiplied)
        return Remembered(gradient for gradient in (native.dW, native.dx) if gradient is not None)

    @cached_property
    def rolled(self) -> Content:
        """Other numbers in other places: y halved, weights negated, both and W rolled by a third of n, x by one.

        Halving keeps the selection, and changes the values, which shows even where a phase returns no indices.
        """
        problem, n = self.problem, self.problem.case.n
        by = max(1, n // 3)
        y, weights = problem.y.roll(by, -1) / 2, -problem.weights.roll(by, -1)
        W = None if problem.W is None else problem.W.roll(by, 0)
        x = None if problem.x is None else problem.x.roll(1, -1)
        moved = replace(problem, y=y, weights=weights, W=W, x=x)
        product = y if W is None or x is None else x @ W.mT
        return Content(moved, (self.indices + by) % n, replace(moved, y=product), self.native)

    @cached_property
    def exchanged(self) -> Content:
        """The largest y of each row changes places with one that was not selected; all other numbers stay.

        A method that knows an input again by some of its entries, or by their sum, takes this one for the old one.
        """
        problem, n = self.problem, self.problem.case.n
        # Not where somebody would look: an end, a half, a third.
        first, other = self.indices[..., :1], self._free(5 * n // 8)
        places = torch.cat((first, other), -1)
        y = problem.y.scatter(-1, places, problem.y.gather(-1, places.flip(-1)))
        # Where k = n, the other one is selected too.
        indices = torch.where(self.indices == other, first, self.indices)
        indices = torch.where(self.indices == first, other, indices)
        moved = replace(problem, y=y)
        return Content(moved, indices, moved, self.native)

    @property
    def raised(self) -> Content:
        """An entry of each row that was not selected becomes the largest; all selected ones stay.

        A method that knows an input again by what it selected from it takes this one for the old one. It is made anew
        each time, because a few phases ask for it and every copy of y that is kept takes memory.
        """
        problem, n, k = self.problem, self.problem.case.n, self.problem.case.k
        if k == n or not problem.y.isfinite().all():
            return self
        values = self.values
        other = self._free(3 * n // 7)
        largest = values.amax(-1, keepdim=True)
        above = (largest + largest.abs()).clamp(max=torch.finfo(values.dtype).max)
        moved = replace(problem, y=problem.y.scatter(-1, other, above))
        indices = self.indices.scatter(-1, values.argmin(-1, keepdim=True), other)
        return Content(moved, indices, moved, self.native)

    def _free(self, begin: int) -> torch.Tensor:
        """The first index of each row, from `begin` on and then from 0, that was not selected: (1) or (rows, 1).

        Where k = n it is `begin`.
        """
        free = torch.ones_like(self.problem.y, dtype=torch.int8).scatter_(-1, self.indices, 0)
        return (free.roll(-begin, -1).argmax(-1, keepdim=True) + begin) % self.problem.case.n

    @cached_property
    def halved(self) -> Content:
        """Every y half as large, which keeps the selection."""
        problem = replace(self.problem, y=self.problem.y / 2)
        return Content(problem, self.indices, problem, self.native)


@dataclass(frozen=True)
class Asked:
    """A phase of a method on a content, ready to judge what it returned.

    selected: returns the indices of the values that the last call of `backward` differentiates. cotangent: the one that
    backward and vjp get.
    """

    method: Method
    phase: str
    content: Content
    loss: str
    selected: Callable[[], torch.Tensor] | None = None
    cotangent: torch.Tensor | None = None

    def wrong(self, found: Mapping[str, torch.Tensor]) -> str:
        """Why what the phase returned (by name, as in results.PARTS) is wrong, or ''.

        A result that is plainly right passes at once. Only the others go through checks.py, which allows for every
        exception of an arithmetic and costs far more. Of the gradients of relaxations only NaN and infinities are
        wrong, because nothing defines what they are.
        """
        if self.method.name in YARDSTICKS:
            return wrong_move(found["values"], self.content.problem.y)
        return str(getattr(self, f"_wrong_{self.phase}")(**found))

    def _wrong_build(self, S: torch.Tensor) -> str:
        apply = self.method.implementation.apply
        assert apply is not None
        return self._wrong_apply(apply(S, self.content.problem.y.clone()))  # a copy, in case it writes into its input

    def _wrong_apply(self, values: torch.Tensor) -> str:
        if _equal(values, self.content.values):
            return ""
        return self._wrong_outcome(values, self.content.indices)

    def _wrong_forward(self, values: torch.Tensor, indices: torch.Tensor) -> str:
        return "" if self._is_selection(values, indices) else self._wrong_outcome(values, indices)

    def _wrong_backward(self, dy: torch.Tensor) -> str:
        if not self.method.exact:
            return wrong_relaxed_gradients({"dy": dy}, self.content.problem.y)
        if self.cotangent is None or self.selected is None:
            return ""
        indices = self.selected()
        if not self._are_indices(indices):
            return self._wrong_outcome(self.content.values, indices)
        y = self.content.problem.y
        values = y.gather(-1, indices)
        if self._is_selection(values, indices) and _equal(dy, _scattered(self.cotangent, indices, y)):
            return ""
        return self._wrong_outcome(values, indices, dy=dy, weights=self._weights(indices), loss="linear")

    def _wrong_step(self, values: torch.Tensor, dy: torch.Tensor, indices: torch.Tensor) -> str:
        problem = self.content.problem
        if self._is_selection(values, indices):
            cotangent = cotangent_of(values, indices, problem.weights, self.loss)
            if _equal(dy, _scattered(cotangent, indices, problem.y)):
                return ""
        return wrong_derivative(self.method, "step", (values, dy, indices), problem, self.loss)

    def _wrong_jvp(self, values: torch.Tensor, derivative: torch.Tensor, indices: torch.Tensor) -> str:
        problem = self.content.problem
        if self._is_selection(values, indices) and _equal(derivative, problem.weights.gather(-1, indices)):
            return ""
        return wrong_derivative(self.method, "jvp", (values, derivative, indices), problem, self.loss)

    def _wrong_vjp(self, values: torch.Tensor, derivative: torch.Tensor, indices: torch.Tensor) -> str:
        assert self.cotangent is not None
        problem = self.content.problem
        if self._is_selection(values, indices) and _equal(derivative, _scattered(self.cotangent, indices, problem.y)):
            return ""
        if self._are_indices(indices):
            problem = replace(problem, weights=self._weights(indices))
        return wrong_derivative(self.method, "vjp", (values, derivative, indices), problem, "linear")

    def _wrong_pipeline(self, dW: torch.Tensor, dx: torch.Tensor) -> str:
        if not self.method.exact:
            # What it selected from is the product in the mode of the case, which may overflow earlier.
            return wrong_relaxed_gradients({"dx": dx, "dW": dW}, self.content.native(self.content.multiplied).y)
        if self.content.gradients.matches((dW, dx)):
            return ""
        product, problem = as_product(self.method), self.content.multiplied
        own = run_once(product, problem, self.loss, with_dS=False)
        wrong = wrong_outcome(product, replace(own, dy=None, dW=dW, dx=dx), problem, self.loss)
        if wrong and not _equal(own.indices, run_once(product, problem, self.loss, with_dS=False).indices):
            # It breaks ties anew in every call, so this selection need not be the one that dW and dx came from.
            return wrong_outcome(product, own, problem, self.loss)
        return wrong

    def _is_selection(self, values: torch.Tensor, indices: torch.Tensor) -> bool:
        """Whether these are exactly the k largest. If not, they may still be right: an exception may excuse them."""
        if not self.method.exact or not self._are_indices(indices):
            return False
        right = _equal(values, self.content.problem.y.gather(-1, indices))
        return right and _equal(values.sort(dim=-1, descending=True).values, self.content.descending)

    def _are_indices(self, indices: torch.Tensor) -> bool:
        """Whether these are k distinct indices of each row."""
        if indices.dtype != torch.int64 or indices.shape != self.content.indices.shape:
            return False
        ascending = indices.sort(dim=-1).values
        inside = (ascending[..., 0] >= 0) & (ascending[..., -1] < self.content.problem.case.n)
        return bool(inside.all()) and bool((ascending[..., 1:] != ascending[..., :-1]).all())

    def _wrong_outcome(
        self,
        values: torch.Tensor,
        indices: torch.Tensor,
        dy: torch.Tensor | None = None,
        weights: torch.Tensor | None = None,
        loss: str = "",
    ) -> str:
        problem = self.content.problem
        problem = problem if weights is None else replace(problem, weights=weights)
        outcome = Outcome(indices, problem.y, values, dy, None, None)
        return wrong_outcome(self.method, outcome, problem, loss or self.loss)

    def _weights(self, indices: torch.Tensor) -> torch.Tensor:
        """The weights of a linear loss whose cotangent at these indices is the one that the phase got."""
        assert self.cotangent is not None
        return _scattered(self.cotangent, indices, self.content.problem.weights)


def _equal(a: torch.Tensor, b: Any) -> bool:
    return bool(a.shape == b.shape and a.dtype == b.dtype and torch.equal(a.detach(), b.detach()))


def _scattered(source: torch.Tensor, indices: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """Zeros in the shape and dtype of `like`, with the source at the indices."""
    return torch.zeros(like.shape, dtype=like.dtype, device=like.device).scatter_(-1, indices, source.to(like.dtype))
