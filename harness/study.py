"""A study: what is asked for, and what of it is allowed. It is read from a file by harness/study_file.py."""

from __future__ import annotations

import math
from typing import Annotated

from pydantic import BaseModel, ByteSize, ConfigDict, Field, PrivateAttr, field_validator, model_validator

from harness.errors import UserError, shortened, unknown
from harness.study_values import K, Memory, Name, Natural, Positive, Scalar, Seconds, Share, Some, Word, well_formed_k
from harness.vocabulary import (
    AXES,
    HOST,
    SHAPE,
    USUAL_PHASES,
    YARDSTICKS,
    Device,
    Dtype,
    Loss,
    Mode,
    Phase,
    Reference,
    Tensor,
    Transform,
)

MOST_CELLS = 10_000_000
"""Of a study: at 2 ms of bookkeeping a cell, planning and writing so many would take five hours."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, use_attribute_docstrings=True)


class Axes(_Strict):
    """The swept dimensions; a single value may stand without its brackets."""

    dtype: Some[Dtype] = ("float32",)
    """What the tensors are cast to, and computed in."""
    device: Some[Device] = (HOST,)
    """Where they are; one that is absent is dropped, and said."""
    n: Some[Positive] = ()
    """The length of the vector that is selected from."""
    k: Some[K] = (64,)
    """How many are kept: a number, a share of n such as 'n/4' (rounded down), or 'all'; 0 and k > n are dropped."""
    rows: Some[Positive] = (1,)
    """How many independent vectors at once."""
    d: Some[Natural] = (0,)
    """The length of x in y = W x; with 0 y itself is drawn, and there is no pipeline, dx or dW."""
    distribution: Some[Word] = ("normal",)
    """What y, or x and W, are drawn from."""
    seed: Some[Natural] = (0,)
    """Of the draw; the same for every dtype, k, device and machine."""
    mode: Some[Mode] = ("ieee",)
    """The arithmetic that torch is asked for."""
    transform: Some[Transform] = ("eager",)
    """How a method is run."""
    threads: Some[Positive] = (1,)
    """How many threads of torch, each on a core of its own."""


class Shape(_Strict):
    """Sizes that go together under a name: what it leaves out is as in [axes]."""

    n: Some[Positive] | None = None
    """As in [axes]."""
    k: Some[K] | None = None
    """As in [axes]."""
    rows: Some[Positive] | None = None
    """As in [axes]."""
    d: Some[Natural] | None = None
    """As in [axes]."""
    distribution: Some[Word] | None = None
    """As in [axes]."""


class Timing(_Strict):
    """How a cell is timed (design of the blocks: see harness/measure/sampler.py). Seconds and counts."""

    block_seconds: Seconds = 0.001
    """Seconds that a block lasts at least, and one call at least."""
    rounds: Positive = 10
    """In a round every method and phase of a case has one block; so many rounds a launch, time permitting."""
    launches: Positive = 3
    """Passes over all cases, each in a fresh process: the unit of every interval."""
    width: Annotated[float, Field(gt=0)] | None = None
    """A case is not launched again once its intervals of ln(seconds / native's) are narrower than this."""
    budget_seconds: Seconds | None = None
    """Seconds for the whole study."""
    fresh_memory: bool = True
    """Whether every block has its tensors in new memory."""


class Precision(_Strict):
    """What is compared with what. The defaults are the few figures that a timing study writes all the same."""

    tensors: Some[Tensor] = ("values", "dy", "dx", "dW", "selection")
    """What is compared."""
    references: Some[Reference] = ("native",)
    """What it is compared with."""
    metrics: Some[Word] = ("abs_max", "rel_l2", "equal_share", "flips", "causes")
    """The figures of a comparison, each with its unit in its name."""
    loss: Loss = "square"
    """What the gradients are of: a weighted sum of the values, or the sum of their squares."""


class Limits(_Strict):
    """Where a cell is given up: bytes of its tensors, and seconds of a case in one launch."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=False)  # ByteSize reads "4 GiB" from a string

    memory: Memory = ByteSize(4 * 2**30)
    """Bytes of S, its gradient, inputs and outputs, as a number or with a unit ('4 GiB'); a cell over it is skipped.
    What checks and exact answers hold in float64 comes on top."""
    seconds: Annotated[Seconds, Field(strict=True)] = 60.0
    """Seconds of a case in one launch; then what took longest at once is a timeout; the others begin anew."""


class Gate(_Strict):
    """Tolerances of the verdicts, as shares of the base."""

    time: Share = 0.02
    """Of the time of a phase."""
    memory: Share = 0.05
    """Of the peak of a phase."""
    error: Share = 0.10
    """Of an error, and half an ulp at least."""


class Study(_Strict):
    """One study file. `name` and `text` (its bytes, verbatim) come from the file itself, not from a key."""

    title: str
    """What the study asks, in a line."""
    methods: Some[Word]
    """The ways to select: names, or import paths 'package.module:name'."""
    phases: Some[Phase] = USUAL_PHASES
    """What is timed, of each method those that it has."""
    axes: Axes
    """The swept dimensions: every combination of their values is a case."""
    shapes: dict[Name, Shape] = {}
    """Sizes that go together under a name, in place of those in [axes]."""
    parameters: dict[Word, Some[Scalar]] = {}
    """Axes of this study's own: what its methods and distributions take, or `cache`."""
    exclude: tuple[dict[str, Some[Scalar]], ...] = ()
    """A cell that matches every key of one of these is left out."""
    timing: Timing | None = None
    """How cells are timed; without this table nothing is."""
    precision: Precision | None = None
    """What is compared with what; without this table a few figures against native are."""
    limits: Limits = Limits()
    """Where a cell is given up."""
    gate: Gate = Gate()
    """Tolerances of `duel` and `compare`, as shares of the base."""

    _name: str = PrivateAttr(default="unnamed")
    _text: str = PrivateAttr(default="")
    _only: tuple[str, ...] = PrivateAttr(default=())

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

    @property
    def launches(self) -> int:
        """Launches of a run; a study without [timing] needs one, since errors do not vary between launches."""
        return self.timing.launches if self.timing else 1

    def with_launches(self, launches: int) -> Study:
        """The same study with so many launches, each with the time it had; one that times nothing as it is."""
        if self.timing is None:
            return self
        budget = self.timing.budget_seconds
        longer = {"budget_seconds": budget and budget * launches / self.timing.launches}
        return self.model_copy(update={"timing": self.timing.model_copy(update={"launches": launches, **longer})})

    def told(self, name: str, text: str, only: tuple[str, ...] = ()) -> Study:
        """The study itself, with the name and the text of its file, and what it was narrowed to."""
        self._name, self._text, self._only = name, text, only
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


def _well_formed(k: object) -> None:
    try:
        well_formed_k(k)
    except ValueError as error:
        raise UserError(f"exclude.k: {error}, got {shortened(repr(k))}") from None
