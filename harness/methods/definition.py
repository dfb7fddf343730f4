"""What a method is, and the five decorators that make a method of a function.

The decorated function imports what it needs, so that listing the methods does not import torch, and returns the closure
or closures that are timed. Its keyword-only arguments, which have defaults, are parameters that a study may sweep; it
takes no other arguments. Shapes: with rows = 1, y is (n,), x (d,) and indices (k,); otherwise they are (rows, n),
(rows, d) and (rows, k). W is (n, d).
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from harness.errors import UserError
from harness.methods.usage import in_parentheses, keyword_parameters, refuse_other
from harness.vocabulary import DIFFERENTIATED, INDEX_BYTES

if TYPE_CHECKING:
    from torch import Tensor

    from harness.study.cells import Case

Bytes = Callable[["Case"], int]


class Unsupported(UserError):
    """Raised by a method that does not support something, such as a dtype or a size.

    The cell becomes `unsupported`, with the message as its reason.
    """


@dataclass(frozen=True)
class Implementation:
    """The closures of a method; None for what it cannot do.

    build(indices, n, dtype) -> the map (S, or the indices); apply(map, y) -> values; forward(y, k) and
    project(W, x, k) -> (values, indices). jvp(y, tangent, k) and vjp(y, cotangent, k) -> (values, derivative, indices)
    are derived from forward where a case is run (harness/topk/transforms.py).
    """

    build: Callable[..., Any] | None = None
    apply: Callable[..., Any] | None = None
    forward: Callable[..., Any] | None = None
    project: Callable[..., Any] | None = None
    jvp: Callable[..., Any] | None = None
    vjp: Callable[..., Any] | None = None


@dataclass(frozen=True)
class Method:
    """One way to select k of n values.

    phases: those that it can be timed in. make(**parameters): makes its closures.
    parameters: the names of the study parameters that it takes.
    exact: it returns the k largest values themselves, and their gradient (relaxations do not).
    matrix_bytes, gradient_bytes: bytes of S and of its gradient in a case.
    reads_all: applying the map reads every y, not only the selected ones.
    passes: for a yardstick, how often it moves all of y.
    mask: for a relaxation, whether its values are y at its indices times weights between 0 and 1.
    """

    name: str
    summary: str
    phases: tuple[str, ...]
    make: Callable[..., Implementation]
    parameters: tuple[str, ...] = ()
    exact: bool = True
    matrix_bytes: Bytes = lambda case: 0
    gradient_bytes: Bytes = lambda case: 0
    reads_all: bool = False
    passes: int = 0
    mask: bool = False

    @functools.cached_property
    def implementation(self) -> Implementation:
        """The closures, made when first asked for, because making them imports torch."""
        return self.make()

    @property
    def has_matrix(self) -> bool:
        """Whether S is a tensor that can require a gradient (dS)."""
        return "build" in self.phases

    @property
    def has_gradient(self) -> bool:
        """Whether torch can differentiate it, which is not so for methods that compute in other libraries."""
        return "backward" in self.phases or "pipeline" in self.phases

    def at(self, case: Case) -> Method:
        """The method with its parameters set to the case's values; parameters without one keep their defaults."""
        own = {name: value for name, value in case.parameters if name in self.parameters}
        return replace(self, make=functools.partial(self.make, **own)) if own else self

    def forward(self, y: Tensor, k: int) -> tuple[Tensor, Tensor]:
        """The k values selected from each row of y, and their int64 indices: (k,) for y (n,), (rows, k) for (rows, n).

        Raises TypeError for a method without forward, such as one that begins with W and x, and what torch raises.
        """
        if self.implementation.forward is None:
            raise TypeError(f"{self.name} has no forward phase")
        values, indices = self.implementation.forward(y, k)
        return values, indices

    def phases_for(self, case: Case) -> tuple[str, ...]:
        """The phases that the method has in this case.

        The pipeline needs W and x, vmap needs several rows, and in inference mode nothing can be differentiated.
        """
        if case.transform == "vmap" and case.rows == 1:
            return ()
        absent = DIFFERENTIATED if case.transform == "inference" else () if case.d else ("pipeline",)
        return tuple(phase for phase in self.phases if phase not in absent)

    def least_bytes(self, phase: str, case: Case) -> int:
        """The fewest bytes that a phase must move if it reads every input once and writes every output once."""
        y = case.itemsize * case.rows * case.n
        values = case.itemsize * case.rows * case.k
        indices = INDEX_BYTES * case.rows * case.k
        matrix = self.matrix_bytes(case)
        if self.passes:
            return self.passes * y
        forward = y + values + indices + 2 * matrix  # S is written and read
        apply = (matrix or indices) + (y if self.reads_all else values) + values
        backward = values + (matrix or indices) + y  # the cotangent is read, dy is written
        by_phase = {
            "build": indices + matrix,
            "apply": apply,
            "forward": forward,
            "backward": backward,
            "step": forward + backward,
            "jvp": forward + apply,
            "vjp": forward + backward,
        }
        if phase in by_phase:
            return by_phase[phase]
        weights = case.itemsize * case.d * (case.n + case.rows)  # W and x are read, dW and dx are written
        return 2 * weights + forward + values + y


Decorator = Callable[[Callable[..., Any]], Method]


@in_parentheses
def selector(
    *, exact: bool = True, gradient: bool = True, mask: bool = False, matrix_bytes: Bytes = lambda case: 0
) -> Decorator:
    """For a function that returns select(y, k) -> (values, indices), which chooses the indices itself.

    gradient: whether torch can differentiate select; without it the method has only the phase forward. exact, mask: see
    `Method`. matrix_bytes: bytes of a k by n matrix that it makes on the way.
    """

    def implement(select: Callable[..., Any]) -> Implementation:
        if not gradient:
            return Implementation(forward=select)
        return Implementation(forward=select, project=lambda W, x, k: select(x @ W.mT, k))

    phases = ("forward", "backward", "step", "jvp", "vjp", "pipeline") if gradient else ("forward",)
    return _decorator(implement, ("select(y, k)",), phases, exact=exact, mask=mask, matrix_bytes=matrix_bytes)


@in_parentheses
def matrix(*, matrix_bytes: Bytes, gradient_bytes: Bytes | None = None, reads_all: bool = False) -> Decorator:
    """For a function that returns build(indices, n, dtype) -> S and apply(S, y) -> values."""
    return _decorator(
        _through_map,
        ("build(indices, n, dtype)", "apply(S, y)"),
        ("build", "apply", "forward", "backward", "step", "jvp", "vjp", "pipeline"),
        matrix_bytes=matrix_bytes,
        gradient_bytes=gradient_bytes or matrix_bytes,
        reads_all=reads_all,
    )


@in_parentheses
def index_map() -> Decorator:
    """For a function that returns build and apply as `matrix` does, but whose map is the indices: nothing is built."""
    returns = ("build(indices, n, dtype)", "apply(indices, y)")
    return _decorator(_through_map, returns, ("apply", "forward", "backward", "step", "jvp", "vjp", "pipeline"))


@in_parentheses
def product() -> Decorator:
    """For a function that returns project(W, x, k) -> (values, indices), where y itself never requires a gradient."""
    return _decorator(lambda project: Implementation(project=project), ("project(W, x, k)",), ("pipeline",))


@in_parentheses
def yardstick(*, passes: int) -> Decorator:
    """For a function that returns apply(y), which moves all of y `passes` times."""
    return _decorator(lambda work: Implementation(apply=lambda _, y: work(y)), ("apply(y)",), ("apply",), passes=passes)


def _decorator(
    implement: Callable[[Any], Implementation], returns: tuple[str, ...], phases: tuple[str, ...], **facts: Any
) -> Decorator:
    """A decorator for functions whose result `implement` turns into closures; returns: what they have to return."""

    def decorate(function: Callable[..., Any]) -> Method:
        if isinstance(function, Method):
            raise TypeError(f"{function.name} has two of these decorators: leave one of them out")
        own = keyword_parameters(function)
        summary = (function.__doc__ or "").strip().partition("\n")[0]

        def make(**values: Any) -> Implementation:
            returned = function(**values)
            refuse_other(function.__name__, returned, returns)
            return implement(returned)

        return Method(function.__name__, summary, phases, make, own, **facts)

    return decorate


def _through_map(closures: tuple[Callable[..., Any], Callable[..., Any]]) -> Implementation:
    build, apply = closures

    def forward(y: Tensor, k: int) -> tuple[Tensor, Tensor]:
        indices = y.detach().topk(k).indices
        return apply(build(indices, y.shape[-1], y.dtype), y), indices

    return Implementation(build, apply, forward, lambda W, x, k: forward(x @ W.mT, k))
