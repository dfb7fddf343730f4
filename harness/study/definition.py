"""A study: what is asked for, and what of it is allowed. It is read from a file by harness/study/file.py."""

from __future__ import annotations

import math
from pathlib import Path
from typing import cast

from pydantic import Field, PrivateAttr, field_validator, model_validator

from harness.errors import UserError, shortened, unknown
from harness.study.tables import (
    MEMORY,
    Axes,
    BudgetSeconds,
    Gate,
    Instructions,
    Limits,
    Precision,
    Shape,
    Strict,
    Timing,
)
from harness.study.values import Name, Scalar, Some, Word, well_formed_k
from harness.vocabulary import AXES, SHAPE, USUAL_PHASES, YARDSTICKS, Device, Phase

MOST_CELLS = 10_000_000
"""Of a study: at 2 ms of bookkeeping a cell, planning and writing so many would take five hours."""


class Study(Strict):
    """One study file. `name` and `text` (its bytes, verbatim) come from the file itself, not from a key."""

    title: str
    """What the study asks, in a line."""
    methods: Some[Word]
    """The ways to select: names, or import paths 'package.module:name'."""
    phases: Some[Phase] = USUAL_PHASES
    """What is timed, of each method those that it has."""
    axes: Axes
    """The swept dimensions: every combination of their values is a case."""
    shapes: dict[Name, Shape] = Field(default={})
    """Sizes that go together under a name, in place of those in [axes]."""
    parameters: dict[Word, Some[Scalar]] = Field(default={})
    """Axes of this study's own: what its methods and distributions take, or `cache`."""
    exclude: tuple[dict[str, Some[Scalar]], ...] = ()
    """A cell that matches every key of one of these is left out."""
    timing: Timing | None = None
    """How cells are timed; without this table nothing is."""
    instructions: Instructions | None = None
    """How instructions are counted; without this table none is, unless `duel --count` asks for it."""
    precision: Precision | None = None
    """What is compared with what; without this table a few figures against native are."""
    limits: Limits = Limits()
    """Where a cell is given up."""
    gate: Gate = Gate()
    """Tolerances of `duel` and `compare`, as shares of the base."""

    _name: str = PrivateAttr(default="unnamed")
    _text: str = PrivateAttr(default="")
    _only: tuple[str, ...] = PrivateAttr(default=())
    _folder: Path | None = PrivateAttr(default=None)

    @property
    def name(self) -> str:
        return self._name

    @property
    def text(self) -> str:
        return self._text

    @property
    def only(self) -> tuple[str, ...]:
        """What it was narrowed to: items such as 'dtype=float16,float32'."""
        return self._only

    @property
    def folder(self) -> Path | None:
        """The folder of its file, where its script lies too; None for a study that was not read from a file."""
        return self._folder

    @property
    def own_axes(self) -> dict[str, tuple[Scalar, ...]]:
        """The axes that no other study need have: its parameters, and `shape` where it has shapes."""
        return self.parameters | ({SHAPE: tuple(self.shapes)} if self.shapes else {})

    @property
    def axes_by_shape(self) -> dict[str, Axes]:
        """name of a shape -> the axes with its sizes; '' -> the axes themselves where there are no shapes."""
        if not self.shapes:
            return {"": self.axes}
        own = {name: {key: value for key, value in shape if value is not None} for name, shape in self.shapes.items()}
        return {name: self.axes.model_copy(update=sizes) for name, sizes in own.items()}

    @property
    def comparison(self) -> Precision:
        """What is compared, also where the study has no [precision] table."""
        return self.precision or Precision()

    def without_own_metrics(self) -> Study:
        """The study without the metrics that it names by import path."""
        metrics = tuple(each for each in self.comparison.metrics if ":" not in each)
        if self.precision is None or metrics == self.precision.metrics:
            return self
        return self.model_copy(update={"precision": self.precision.model_copy(update={"metrics": metrics})})

    @property
    def launches(self) -> int:
        """Launches of a run; a study without [timing] needs one unless it asks for more (`precision.launches`)."""
        return self.timing.launches if self.timing else self.comparison.launches

    @property
    def budget_seconds(self) -> BudgetSeconds:
        """Seconds for the whole study, or for the cases of each device; None: without limit."""
        timed = self.timing.budget_seconds if self.timing else None
        return self.limits.budget_seconds if timed is None else timed

    @property
    def total_budget(self) -> float | None:
        """Seconds for the whole study on all of its devices; None where one of them has no limit."""
        budget = self.budget_seconds
        if not isinstance(budget, dict):
            return budget
        return sum(budget[each] for each in self.axes.device) if set(self.axes.device) <= budget.keys() else None

    def memory_limit(self, device: str) -> int:
        """Bytes over which a cell on this device is skipped."""
        memory = self.limits.memory
        return int(memory.get(cast(Device, device), MEMORY) if isinstance(memory, dict) else memory)

    def with_launches(self, launches: int) -> Study:
        """The same study with so many launches; one that times nothing as it is.

        More launches have the time that each had. Fewer keep the whole budget: who takes fewer wants them complete.
        """
        if self.timing is None:
            return self
        longer = max(1.0, launches / self.timing.launches)
        timing = {"launches": launches, "budget_seconds": _longer(self.timing.budget_seconds, longer)}
        limits = {"budget_seconds": _longer(self.limits.budget_seconds, longer)}
        return self.model_copy(
            update={"timing": self.timing.model_copy(update=timing), "limits": self.limits.model_copy(update=limits)}
        )

    def with_counts(self) -> Study:
        """The same study, which counts instructions."""
        return self.model_copy(update={"instructions": self.instructions or Instructions()})

    def told(self, name: str, text: str, only: tuple[str, ...] = ()) -> Study:
        """The study itself, with the name and the text of its file, and what it was narrowed to."""
        self._name, self._text, self._only = name, text, only
        return self

    def found_in(self, folder: Path) -> Study:
        """The study itself, which knows from then on the folder of its file."""
        self._folder = folder
        return self

    @model_validator(mode="after")
    def _one_budget(self) -> Study:
        if self.timing and self.timing.budget_seconds is not None and self.limits.budget_seconds is not None:
            raise UserError("budget_seconds: stands in [timing] and in [limits]: leave one of them out")
        return self

    @field_validator("exclude", mode="before")
    @classmethod
    def _tuple(cls, value: object) -> object:
        return tuple(value) if isinstance(value, list) else value

    @model_validator(mode="after")
    def _some_n_everywhere(self) -> Study:
        for name, axes in self.axes_by_shape.items():
            if not axes.n:
                raise UserError(f"{f'shapes.{name}' if name else 'axes'}.n: this key is required")
        return self

    @model_validator(mode="after")
    def _not_beyond_planning(self) -> Study:
        sizes = [math.prod(len(values) for _, values in axes) for axes in self.axes_by_shape.values()]
        cells = sum(sizes) * math.prod(map(len, self.parameters.values())) * len(self.methods)
        if cells > MOST_CELLS:
            raise UserError(f"axes: {cells} combinations of values and methods, more than {MOST_CELLS}: take fewer")
        return self

    @model_validator(mode="after")
    def _exclude_what_there_is(self) -> Study:
        everywhere = [dict(axes) for axes in self.axes_by_shape.values()]
        swept = {axis: tuple(value for axes in everywhere for value in axes[axis]) for axis in AXES}
        swept |= {"method": (*self.methods, *YARDSTICKS), **self.own_axes}
        for rule in self.exclude:
            for key, values in rule.items():
                if key not in swept:
                    raise unknown("exclude", "key", key, swept)
                for value in values:
                    if key == "k":
                        _well_formed(value)
                    elif value not in swept[key]:
                        raise unknown("exclude", f"{key} in this study", value, swept[key])
        return self


def _longer(budget: BudgetSeconds, by: float) -> BudgetSeconds:
    if isinstance(budget, dict):
        return {device: seconds * by for device, seconds in budget.items()}
    return None if budget is None else budget * by


def _well_formed(k: object) -> None:
    try:
        well_formed_k(k)
    except ValueError as error:
        raise UserError(f"exclude.k: {error}, got {shortened(repr(k))}") from None
