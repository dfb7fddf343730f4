"""The plan of a study: which cells each case has, which are skipped or merged, and why."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from harness.study.cells import Case, Cell, Scalar, cases, resolve_k
from harness.vocabulary import AXES, LARGEST_INTEGER, YARDSTICKS

if TYPE_CHECKING:
    from harness.study.definition import Study

COMPARED_WITH = ("native", *YARDSTICKS)
"""The methods that the times of all others are compared with, round by round."""

SHOWN_NOTES = 20
"""How many values of k get a note of their own: with a thousand values of n and of k, half a million k are over n."""


class PlannedMethod(Protocol):
    """What planning needs to know about a method."""

    @property
    def matrix_bytes(self) -> Callable[[Case], int]: ...

    @property
    def gradient_bytes(self) -> Callable[[Case], int]: ...

    @property
    def parameters(self) -> tuple[str, ...]: ...

    def phases_for(self, case: Case) -> tuple[str, ...]: ...


@dataclass(frozen=True)
class Plan:
    """The cases and cells of a study, generated one case at a time and never all held at once.

    of_cases: the parameters that change a case for every method, such as those of its distribution. Cells that differ
    only in a parameter that their method does not take are merged into one cell, which belongs to the first such case.
    The methods that times are compared with (native, copy, read) are the exception: they are measured again in every
    case in which another method is timed.
    """

    study: Study
    methods: Mapping[str, PlannedMethod]
    of_cases: frozenset[str] = frozenset()

    @property
    def notes(self) -> list[str]:
        """One line for each value of the study that gives no case or cell of its own; on k at most SHOWN_NOTES."""
        on_k = (line for axes in self.study.axes_by_shape.values() for n in axes.n for line in _notes_on_k(n, axes.k))
        lines = list(itertools.islice(on_k, SHOWN_NOTES))
        if more := sum(1 for _ in on_k):
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
        return lines + self._notes_on_parameters()

    @property
    def method_names(self) -> tuple[str, ...]:
        """The study's methods, and in a timed study the yardsticks too."""
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
        """Index of a rule in study.exclude -> how many cells it leaves out; the first rule that matches counts."""
        counts = dict.fromkeys(range(len(self.study.exclude)), 0)
        for case in cases(self.study) if counts else ():
            for name in self.method_names:
                index = self._rule(case, name) if self.methods[name].phases_for(case) else None
                if index is not None:
                    counts[index] += 1
        return counts

    def _notes_on_parameters(self) -> list[str]:
        lines = []
        for parameter, values in self.study.parameters.items():
            once = [name for name in self.method_names if parameter in self._not_taken(name)]
            if self.study.timing:
                once = [name for name in once if name not in COMPARED_WITH]
            if once and len(values) > 1:
                lines.append(f"{parameter}: not taken by {', '.join(once)}: one cell for its {len(values)} values")
        return lines

    def _has(self, case: Case, method: str) -> bool:
        return bool(self.methods[method].phases_for(case)) and self._rule(case, method) is None

    def _not_taken(self, method: str) -> list[str]:
        """The study's parameters that change nothing for this method."""
        taken = self.methods[method].parameters
        return [name for name in self.study.parameters if name not in taken and name not in self.of_cases]

    def _is_merged(self, case: Case, method: str) -> bool:
        """Whether an earlier case has the same cell, with another value of a parameter that the method does not take.

        Of such cells the first that no rule excludes is measured.
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
        """Index of the first rule of study.exclude that matches the cell, or None."""
        return next((index for index, rule in enumerate(self.study.exclude) if _matches(rule, case, method)), None)

    def _cell(self, case: Case, name: str) -> Cell:
        method = self.methods[name]
        needed = case.input_bytes + case.output_bytes + method.matrix_bytes(case)
        if "dS" in self.study.comparison.tensors:
            needed += method.gradient_bytes(case)
        limit = self.study.memory_limit(case.device)
        over = f"needs {needed} bytes, over limits.memory = {limit}" if needed > limit else ""
        # cells.csv holds 64-bit integers; a dense S of a large case needs more bytes than they can count.
        return Cell(case, name, min(needed, LARGEST_INTEGER), over)


def _notes_on_k(n: int, ks: Iterable[int | str]) -> Iterator[str]:
    """A note for each value of k that gives no case of its own at this n."""
    for k in ks:
        resolved = resolve_k(k, n)
        if resolved == 0 or resolved > n:
            yield f"n = {n}: k = {k} is {resolved}, dropped (1 <= k <= n)"
    kept = Counter(resolved for k in ks if 1 <= (resolved := resolve_k(k, n)) <= n)
    for k, count in sorted(kept.items()):
        if count > 1:
            yield f"n = {n}: {count} values of k are {k}, merged"


def _matches(rule: Mapping[str, tuple[Scalar, ...]], case: Case, method: str) -> bool:
    """Whether the cell has one of the allowed values of every key of the rule."""
    # Every rule is tried on every cell, and the first key nearly always decides: the case's axes are never collected.
    for key, values in rule.items():
        if key == "method":
            same = method in values
        elif key == "k":
            same = any(resolve_k(value, case.n) == case.k for value in values)  # type: ignore[arg-type]
        else:
            same = (getattr(case, key) if key in AXES else dict(case.parameters)[key]) in values
        if not same:
            return False
    return True
