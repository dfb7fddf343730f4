"""A study as cases and cells: their identity, how many there are, and the bytes that each needs."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Protocol

from harness.vocabulary import AXES, HOST, ITEMSIZE, LARGEST_INTEGER, SHAPE, YARDSTICKS

if TYPE_CHECKING:
    from harness.study.definition import Study

Scalar = bool | int | float | str

DRAWN = ("rows", "d", "distribution", "seed")
"""The axes that a draw depends on, beside n."""

COMPARED_WITH = ("native", *YARDSTICKS)
"""Methods whose times others are compared with, round by round."""

SHOWN_NOTES = 20
"""Values of k that are told one by one: a thousand of n and a thousand of k are half a million that are over n."""


@dataclass(frozen=True, slots=True)
class Case:
    """One point of the axes. All methods of a case share the same tensors.

    n: length of the vector that is selected from; k: how many are kept; rows: independent vectors;
    d: with 0, y (rows by n) itself is drawn, else x (rows by d) and W (n by d) with y = x Wᵀ;
    parameters: the study's own axes, as (name, value) pairs.
    """

    n: int
    k: int = 64
    dtype: str = "float32"
    device: str = HOST
    rows: int = 1
    d: int = 0
    distribution: str = "normal"
    seed: int = 0
    mode: str = "ieee"
    transform: str = "eager"
    threads: int = 1
    parameters: tuple[tuple[str, Scalar], ...] = ()

    @property
    def axes(self) -> dict[str, Scalar]:
        """The axes and the study's own parameters, in column order."""
        return {name: getattr(self, name) for name in AXES} | dict(self.parameters)

    @property
    def id(self) -> str:
        """First 12 hex digits of the SHA-256 of the canonical JSON of the axes."""
        text = json.dumps(self.axes, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    @property
    def itemsize(self) -> int:
        return ITEMSIZE[self.dtype]

    @property
    def input_bytes(self) -> int:
        """Bytes of y (d = 0), or of x, W and y."""
        return self.itemsize * (self.rows * self.n + self.d * (self.rows + self.n))

    @property
    def output_bytes(self) -> int:
        """Bytes of the values and of the gradient of every input."""
        return self.itemsize * self.rows * self.k + self.input_bytes

    @classmethod
    def from_axes(cls, axes: Mapping[str, Any]) -> Case:
        """The case whose `axes` these are."""
        own = tuple((name, value) for name, value in axes.items() if name not in AXES)
        return cls(**{name: axes[name] for name in AXES}, parameters=own)


assert {field.name for field in fields(Case)} == {*AXES, "parameters"}


class PlannedMethod(Protocol):
    """What planning needs to know of a method."""

    @property
    def matrix_bytes(self) -> Callable[[Case], int]: ...

    @property
    def gradient_bytes(self) -> Callable[[Case], int]: ...

    @property
    def parameters(self) -> tuple[str, ...]: ...

    def phases_for(self, case: Case) -> tuple[str, ...]: ...


@dataclass(frozen=True, slots=True)
class Cell:
    """A case and a method; `skip` is the reason why it will not be measured, or ''."""

    case: Case
    method: str
    predicted_bytes: int
    skip: str = ""


@dataclass(frozen=True)
class Plan:
    """The cases and cells of a study, made one after the other, never all at once.

    of_cases: the parameters that change a case for every method, such as those of its distribution. Cells that differ
    only in a parameter that their method does not take are one cell, in the first case that has it; what times are
    compared with (native, copy, read) is measured again wherever another method is timed.
    """

    study: Study
    methods: Mapping[str, PlannedMethod]
    of_cases: frozenset[str] = frozenset()

    @property
    def notes(self) -> list[str]:
        """What became of values that give no case of their own: one line each, of values of k at most SHOWN_NOTES."""
        told = (line for axes in self.study.axes_by_shape.values() for n in axes.n for line in _notes_on_k(n, axes.k))
        lines = list(itertools.islice(told, SHOWN_NOTES))
        if more := sum(1 for _ in told):
            lines.append(f"and {more} more values of k, dropped or merged")
        if any(0 in axes.d for axes in self.study.axes_by_shape.values()):
            only = [name for name in self.method_names if self.methods[name].phases_for(Case(n=1, k=1)) == ()]
            lines += [f"d = 0: {name} has no phase that works without W and x, dropped" for name in only]
        if "inference" in self.study.axes.transform:
            bare = Case(n=1, k=1, d=1, transform="inference")
            only = [name for name in self.method_names if self.methods[name].phases_for(bare) == ()]
            lines += [f"transform = inference: {name} has no phase without gradients, dropped" for name in only]
        if "vmap" in self.study.axes.transform and 1 in self.study.axes.rows:
            lines.append("rows = 1: vmap has no rows to map over, dropped")
        for parameter, values in self.study.parameters.items():
            once = [name for name in self.method_names if parameter in self._not_taken(name)]
            if self.study.timing:
                once = [name for name in once if name not in COMPARED_WITH]
            if once and len(values) > 1:
                lines.append(f"{parameter}: not taken by {', '.join(once)}: one cell for its {len(values)} values")
        return lines

    @property
    def method_names(self) -> tuple[str, ...]:
        """The study's methods, and the yardsticks where it times."""
        return tuple(dict.fromkeys((*self.study.methods, *(YARDSTICKS if self.study.timing else ()))))

    def __iter__(self) -> Iterator[tuple[Case, list[Cell]]]:
        """Every case with its cells, in the order of the axes; cases without a cell are left out."""
        for case in cases(self.study):
            names = [name for name in self.method_names if self._has(case, name)]
            own = [name for name in names if not self._is_merged(case, name)]
            if self.study.timing and any(name not in COMPARED_WITH for name in own):
                own = [name for name in names if name in own or name in COMPARED_WITH]
            if own:
                yield case, [self._cell(case, name) for name in own]

    @property
    def excluded(self) -> dict[int, int]:
        """Place of a rule in study.exclude -> how many cells it leaves out; of several that match, the first does."""
        found = dict.fromkeys(range(len(self.study.exclude)), 0)
        for case in cases(self.study) if found else ():
            for name in self.method_names:
                place = self._rule(case, name) if self.methods[name].phases_for(case) else None
                if place is not None:
                    found[place] += 1
        return found

    def _has(self, case: Case, method: str) -> bool:
        return bool(self.methods[method].phases_for(case)) and self._rule(case, method) is None

    def _not_taken(self, method: str) -> list[str]:
        """The study's parameters that change nothing for this method."""
        taken = self.methods[method].parameters
        return [name for name in self.study.parameters if name not in taken and name not in self.of_cases]

    def _is_merged(self, case: Case, method: str) -> bool:
        """Whether an earlier case has the same cell, with another value of a parameter that the method does not take.

        The first that no rule excludes is the one that is measured.
        """
        free = self._not_taken(method)
        if not free:
            return False
        given = dict(case.parameters)
        for values in itertools.product(*(self.study.parameters[name] for name in free)):
            other = given | dict(zip(free, values, strict=True))
            if self._rule(replace(case, parameters=tuple(other.items())), method) is None:
                return other != given
        return False

    def _rule(self, case: Case, method: str) -> int | None:
        """The place of the first rule of study.exclude that matches."""
        return next((place for place, rule in enumerate(self.study.exclude) if _matches(rule, case, method)), None)

    def _cell(self, case: Case, name: str) -> Cell:
        method = self.methods[name]
        needed = case.input_bytes + case.output_bytes + method.matrix_bytes(case)
        if "dS" in self.study.comparison.tensors:
            needed += method.gradient_bytes(case)
        limit = self.study.memory_limit(case.device)
        over = f"needs {needed} bytes, over limits.memory = {limit}" if needed > limit else ""
        return Cell(case, name, min(needed, LARGEST_INTEGER), over)


def resolve_k(k: int | str, n: int) -> int:
    """k as a number: 'all' is n and 'n/4' is n // 4."""
    if isinstance(k, int):
        return k
    return n if k == "all" else n // int(k.removeprefix("n/"))


def cases(study: Study) -> Iterator[Case]:
    """The product of the axes, with k resolved for each n; k = 0 and k > n are dropped, equal ones merged.

    Cases of one draw follow each other (DRAWN outermost), so that a worker need not draw it again for each k and dtype.
    """
    others = [name for name in AXES if name not in ("n", "k", *DRAWN)]
    own = [[(name, value) for value in values] for name, values in study.parameters.items()]
    for shape, axes in study.axes_by_shape.items():
        shaped = [*own, [(SHAPE, shape)]] if shape else own
        for n in axes.n:
            ks = dict.fromkeys(resolve_k(k, n) for k in axes.k)
            for drawn in _points(axes, DRAWN):
                for k in (k for k in ks if 1 <= k <= n):
                    for point in _points(axes, others):
                        for parameters in itertools.product(*shaped):
                            yield Case(n=n, k=k, **drawn, **point, parameters=parameters)


def _points(axes: Any, names: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Every combination of the values of some axes."""
    for values in itertools.product(*(getattr(axes, name) for name in names)):
        yield dict(zip(names, values, strict=True))


def _notes_on_k(n: int, ks: Iterable[int | str]) -> Iterator[str]:
    """What became of the values of k that give no case of their own at this n."""
    for k in ks:
        resolved = resolve_k(k, n)
        if resolved == 0 or resolved > n:
            yield f"n = {n}: k = {k} is {resolved}, dropped (1 <= k <= n)"
    kept = Counter(resolved for k in ks if 1 <= (resolved := resolve_k(k, n)) <= n)
    for k, count in sorted(kept.items()):
        if count > 1:
            yield f"n = {n}: {count} values of k are {k}, merged"


def _matches(rule: Mapping[str, tuple[Scalar, ...]], case: Case, method: str) -> bool:
    """Whether a cell has one of the values of every key. The axes one by one: nearly always the first decides."""
    for key, values in rule.items():
        if key == "method":
            same = method in values
        elif key == "k":
            same = any(resolve_k(each, case.n) == case.k for each in values)  # type: ignore[arg-type]
        else:
            same = (getattr(case, key) if key in AXES else dict(case.parameters)[key]) in values
        if not same:
            return False
    return True
