"""A study: the keys of a study file, and what holds between them. harness/study/file.py reads it from a file."""

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
"""The most cells of a study: with 2 ms of bookkeeping for each, planning and writing them takes five hours."""


class Study(Strict):
    """One study file. `name` and `text` (its contents, verbatim) come from the file itself, not from a key."""

    title: str
    """What the study asks, in one line."""
    methods: Some[Word]
    """The ways to select: names, or import paths 'package.module:name'."""
    phases: Some[Phase] = USUAL_PHASES
    """What is timed; a method is timed in those of these phases that it has."""
    axes: Axes
    """The swept dimensions: every combination of their values is a case."""
    shapes: dict[Name, Shape] = Field(default={})
    """Sizes that go together under a name, in place of those in [axes]."""
    parameters: dict[Word, Some[Scalar]] = Field(default={})
    """The study's own axes: parameters that its methods or distributions take, or `cache`."""
    exclude: tuple[dict[str, Some[Scalar]], ...] = ()
    """Rules: a cell that matches every key of a rule is left out."""
    timing: Timing | None = None
    """How cells are timed; without this table nothing is."""
    instructions: Instructions | None = None
    """How instructions are counted; without this table they are counted only when `duel --count` asks for it."""
    precision: Precision | None = None
    """What is compared with what; without this table a few errors against native are computed all the same."""
    limits: Limits = Limits()
    """The memory and time beyond which a cell is given up."""
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
        """What --only narrowed the study to: items such as 'dtype=float16,float32'."""
        return self._only

    @property
    def folder(self) -> Path | None:
        """The folder of the study file and its script; None for a study that was not read from a file."""
        return self._folder

    @property
    def own_axes(self) -> dict[str, tuple[Scalar, ...]]:
        """The axes beyond those that every study has: its parameters, and `shape` if it has shapes."""
        return self.parameters | ({SHAPE: tuple(self.shapes)} if self.shapes else {})

    @property
    def axes_by_shape(self) -> dict[str, Axes]:
        """Name of a shape -> the axes with its sizes; without shapes, '' -> the axes themselves."""
        if not self.shapes:
            return {"": self.axes}
        own = {name: {key: value for key, value in shape if value is not None} for name, shape in self.shapes.items()}
        return {name: self.axes.model_copy(update=sizes) for name, sizes in own.items()}

    @property
    def comparison(self) -> Precision:
        """The [precision] table, or its defaults if the study has none."""
        return self.precision or Precision()

    def without_own_metrics(self) -> Study:
        """The study without the metrics that it names by import path."""
        metrics = tuple(name for name in self.comparison.metrics if ":" not in name)
        if self.precision is None or metrics == self.precision.metrics:
            return self
        return self.model_copy(update={"precision": self.precision.model_copy(update={"metrics": metrics})})

    @property
    def launches(self) -> int:
        """Launches of a run: those of [timing], or of [precision] (one by default) in a study that times nothing."""
        return self.timing.launches if self.timing else self.comparison.launches

    @property
    def budget_seconds(self) -> BudgetSeconds:
        """Seconds for the whole study, or device -> seconds for its cases; None: no limit."""
        timed = self.timing.budget_seconds if self.timing else None
        return self.limits.budget_seconds if timed is None else timed

    @property
    def total_budget(self) -> float | None:
        """Seconds for the whole study on all of its devices; None if one of them has no limit."""
        budget = self.budget_seconds
        if not isinstance(budget, dict):
            return budget
        devices = self.axes.device
        return sum(budget[device] for device in devices) if set(devices) <= budget.keys() else None

    def memory_limit(self, device: str) -> int:
        """The most bytes that a cell on this device may need; a larger one is skipped."""
        memory = self.limits.memory
        return int(memory.get(cast(Device, device), MEMORY) if isinstance(memory, dict) else memory)

    def with_launches(self, launches: int) -> Study:
        """The study with another number of launches; a study that times nothing is returned unchanged.

        With more launches the budget grows in proportion, so that each keeps its time. With fewer it stays as it is:
        whoever asks for fewer launches wants them complete.
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
        """The study with instructions counted."""
        return self.model_copy(update={"instructions": self.instructions or Instructions()})

    def identified(self, name: str, text: str, only: tuple[str, ...] = ()) -> Study:
        """Set the name and the text of the study file, and what it was narrowed to; returns the study itself."""
        self._name, self._text, self._only = name, text, only
        return self

    def found_in(self, folder: Path) -> Study:
        """Set the folder of the study file; returns the study itself."""
        self._folder = folder
        return self

    @model_validator(mode="after")
    def _one_budget(self) -> Study:
        if self.timing and self.timing.budget_seconds is not None and self.limits.budget_seconds is not None:
            raise UserError("budget_seconds: it is in [timing] and in [limits]: leave one of them out")
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
    def _exclude_only_what_exists(self) -> Study:
        everywhere = [dict(axes) for axes in self.axes_by_shape.values()]
        swept = {axis: tuple(value for axes in everywhere for value in axes[axis]) for axis in AXES}
        swept |= {"method": (*self.methods, *YARDSTICKS), **self.own_axes}
        for rule in self.exclude:
            for key, values in rule.items():
                if key not in swept:
                    raise unknown("exclude", "key", key, swept)
                for value in values:
                    if key == "k":
                        _refuse_malformed_k(value)
                    elif value not in swept[key]:
                        raise unknown("exclude", f"{key} in this study", value, swept[key])
        return self


def _longer(budget: BudgetSeconds, factor: float) -> BudgetSeconds:
    if isinstance(budget, dict):
        return {device: seconds * factor for device, seconds in budget.items()}
    return None if budget is None else budget * factor


def _refuse_malformed_k(k: object) -> None:
    try:
        well_formed_k(k)
    except ValueError as error:
        raise UserError(f"exclude.k: {error}, got {shortened(repr(k))}") from None
