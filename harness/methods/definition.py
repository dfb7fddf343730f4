"""What a method is, and the four decorators that make one of a function.

The decorated function imports what it needs (so that listing methods imports no torch) and returns the closure or
closures that are timed. Its keyword-only arguments, which have defaults, are parameters that a study may sweep; it
takes nothing else. Shapes: with rows = 1, y is (n,) and indices (k,), else (rows, n) and (rows, k); x and W are (d,)
or (rows, d), and (n, d).
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ParamSpec

from harness.errors import UserError
from harness.vocabulary import DIFFERENTIATED, INDEX_BYTES

if TYPE_CHECKING:
    from torch import Tensor

    from harness.study.cells import Case

Bytes = Callable[["Case"], int]


class Unsupported(UserError):
    """Raised by a method for what it does not do, such as a dtype or a size; the message becomes the cell's reason."""


@dataclass(frozen=True)
class Implementation:
    """The closures of a method.

    build(indices, n, dtype) -> prepared map; apply(prepared, y) -> values; forward(y, k) and
    project(W, x, k) -> (values, indices). A method has those that it can do. jvp(y, tangent, k) and
    vjp(y, cotangent, k) -> (values, derivative, indices) are made of forward where a case is run
    (harness/topk/transforms.py).
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

    make: the closures, for values of the parameters that it takes, a name each.
    exact: it returns the k largest values themselves, and their gradient (relaxations do not).
    matrix_bytes, gradient_bytes: bytes of S and of its gradient in a case.
    reads_all: applying the prepared map reads every y, not only the selected.
    passes: of a yardstick, how often it moves all of y.
    mask: of a relaxation, its values are y at its indices, each times a weight between 0 and 1.
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
        """The closures; made once, because making them imports torch."""
        return self.make()

    @property
    def has_matrix(self) -> bool:
        """Whether S is a tensor that can require a gradient (dS)."""
        return "build" in self.phases

    @property
    def has_gradient(self) -> bool:
        """Whether torch can differentiate it; what other libraries compute it cannot."""
        return "backward" in self.phases or "pipeline" in self.phases

    def at(self, case: Case) -> Method:
        """The method with those of its parameters that the case has values for; the others keep their defaults."""
        own = {name: value for name, value in case.parameters if name in self.parameters}
        return replace(self, make=functools.partial(self.make, **own)) if own else self

    def forward(self, y: Tensor, k: int) -> tuple[Tensor, Tensor]:
        """The k values selected from each row of y, and their indices (int64): y (n,) gives (k,), (rows, n) (rows, k).

        Raises TypeError for a method that begins with W and x, and what torch raises.
        """
        if self.implementation.forward is None:
            raise TypeError(f"{self.name} has no forward phase")
        values, indices = self.implementation.forward(y, k)
        return values, indices

    def phases_for(self, case: Case) -> tuple[str, ...]:
        """The phases that the method has in this case: pipeline needs W and x, vmap needs rows, and in inference mode
        nothing is differentiated."""
        if case.transform == "vmap" and case.rows == 1:
            return ()
        absent = DIFFERENTIATED if case.transform == "inference" else () if case.d else ("pipeline",)
        return tuple(phase for phase in self.phases if phase not in absent)

    def least_bytes(self, phase: str, case: Case) -> int:
        """The fewest bytes that a phase must move: each input read once, each output written once."""
        y = case.itemsize * case.rows * case.n
        values = case.itemsize * case.rows * case.k
        indices = INDEX_BYTES * case.rows * case.k
        matrix = self.matrix_bytes(case)
        if self.passes:
            return self.passes * y
        forward = y + values + indices + 2 * matrix
        apply = (matrix or indices) + (y if self.reads_all else values) + values
        backward = values + (matrix or indices) + y
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
        weights = case.itemsize * case.d * (case.n + case.rows)
        return 2 * weights + forward + values + y


Decorator = Callable[[Callable[..., Any]], Method]
Settings = ParamSpec("Settings")


def _in_parentheses(decorator: Callable[Settings, Decorator]) -> Callable[Settings, Decorator]:
    """The same decorator; a function that stands where its settings belong, as in `@selector` without parentheses, is a
    TypeError that says how to write it."""
    needed = [each.name for each in inspect.signature(decorator).parameters.values() if each.default is each.empty]
    name = decorator.__name__
    usage = f"@{name}({', '.join(f'{each}=...' for each in needed)})"

    @functools.wraps(decorator)
    def checked(*arguments: Settings.args, **settings: Settings.kwargs) -> Decorator:
        if arguments:
            raise TypeError(f"@{name} is written with parentheses, and settings in them have names: {usage}")
        return decorator(*arguments, **settings)

    return checked


@_in_parentheses
def selector(
    *, exact: bool = True, gradient: bool = True, mask: bool = False, matrix_bytes: Bytes = lambda case: 0
) -> Decorator:
    """The function returns select(y, k) -> (values, indices), which chooses for itself.

    gradient: torch can differentiate it; mask: see Method; matrix_bytes: bytes of a k by n matrix that it makes on the
    way.
    """

    def implement(select: Callable[..., Any]) -> Implementation:
        if not gradient:
            return Implementation(forward=select)
        return Implementation(forward=select, project=lambda W, x, k: select(x @ W.mT, k))

    phases = ("forward", "backward", "step", "jvp", "vjp", "pipeline") if gradient else ("forward",)
    return _decorator(implement, phases, exact=exact, mask=mask, matrix_bytes=matrix_bytes)


@_in_parentheses
def matrix(*, matrix_bytes: Bytes, gradient_bytes: Bytes | None = None, reads_all: bool = False) -> Decorator:
    """The function returns build(indices, n, dtype) -> S and apply(S, y) -> values."""
    return _decorator(
        _through_map,
        ("build", "apply", "forward", "backward", "step", "jvp", "vjp", "pipeline"),
        matrix_bytes=matrix_bytes,
        gradient_bytes=gradient_bytes or matrix_bytes,
        reads_all=reads_all,
    )


@_in_parentheses
def index_map() -> Decorator:
    """The function returns build and apply, where the prepared map is the indices: there is no matrix to build."""
    return _decorator(_through_map, ("apply", "forward", "backward", "step", "jvp", "vjp", "pipeline"))


@_in_parentheses
def product() -> Decorator:
    """The function returns project(W, x, k) -> (values, indices), which never makes y differentiable."""
    return _decorator(lambda project: Implementation(project=project), ("pipeline",))


@_in_parentheses
def yardstick(*, passes: int) -> Decorator:
    """The function returns apply(y), which moves all of y so many times."""
    return _decorator(lambda work: Implementation(apply=lambda _, y: work(y)), ("apply",), passes=passes)


def _decorator(implement: Callable[[Any], Implementation], phases: tuple[str, ...], **facts: Any) -> Decorator:
    def decorate(function: Callable[..., Any]) -> Method:
        if isinstance(function, Method):
            raise TypeError(f"{function.name} has two of these decorators: leave one of them out")
        if inspect.isclass(function):
            raise TypeError(f"{function.__name__} is a class: decorate a function that returns what is measured")
        summary = (function.__doc__ or "").strip().partition("\n")[0]
        signature = inspect.signature(function)
        own = tuple(each.name for each in signature.parameters.values() if each.kind is each.KEYWORD_ONLY)
        if len(own) < len(signature.parameters):
            told = f"{function.__name__}{signature}"
            raise TypeError(f"{told} has to return the function that is measured; its own parameters are keyword-only")
        return Method(function.__name__, summary, phases, lambda **values: implement(function(**values)), own, **facts)

    return decorate


def _through_map(closures: tuple[Callable[..., Any], Callable[..., Any]]) -> Implementation:
    build, apply = closures

    def forward(y: Tensor, k: int) -> tuple[Tensor, Tensor]:
        indices = y.detach().topk(k).indices
        return apply(build(indices, y.shape[-1], y.dtype), y), indices

    return Implementation(build, apply, forward, lambda W, x, k: forward(x @ W.mT, k))
