"""A study: what is asked for, and what of it is allowed. It is read from a file by harness/study_file.py."""

from __future__ import annotations

import re
from typing import Annotated, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ByteSize,
    ConfigDict,
    Field,
    PrivateAttr,
    field_validator,
    model_validator,
)

from harness.errors import UserError, unknown
from harness.vocabulary import (
    AXES,
    LARGEST_INTEGER,
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

Scalar = bool | int | float | str

Value = TypeVar("Value")


def _as_list(value: object) -> object:
    return tuple(value) if isinstance(value, list | tuple) else (value,)


def _without_repeats(values: tuple[Value, ...]) -> tuple[Value, ...]:
    return tuple({(type(each), each): each for each in values}.values())  # True is not 1


def _well_formed_k(value: object) -> object:
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    if isinstance(value, str) and re.fullmatch(r"all|n/[1-9][0-9]{0,17}", value):
        return value
    raise ValueError("k is a number, a fraction of n such as 'n/4', or 'all'")


Some = Annotated[tuple[Value, ...], BeforeValidator(_as_list), Field(min_length=1), AfterValidator(_without_repeats)]
Positive = Annotated[int, Field(ge=1, le=LARGEST_INTEGER)]
Natural = Annotated[int, Field(ge=0, le=LARGEST_INTEGER)]
Share = Annotated[float, Field(gt=0, lt=1)]
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
K = Annotated[int | str, BeforeValidator(_well_formed_k)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Axes(_Strict):
    """The swept dimensions; a single value may stand without its brackets."""

    dtype: Some[Dtype] = ("float32",)
    device: Some[Device] = ("cpu",)
    n: Some[Positive] = ()
    k: Some[K] = (64,)
    rows: Some[Positive] = (1,)
    d: Some[Natural] = (0,)
    distribution: Some[str] = ("normal",)
    seed: Some[Natural] = (0,)
    mode: Some[Mode] = ("ieee",)
    transform: Some[Transform] = ("eager",)
    threads: Some[Positive] = (1,)


class Shape(_Strict):
    """Sizes that go together under a name: what it leaves out is as in [axes]."""

    n: Some[Positive] | None = None
    k: Some[K] | None = None
    rows: Some[Positive] | None = None
    d: Some[Natural] | None = None
    distribution: Some[str] | None = None


class Timing(_Strict):
    """How a cell is timed (design of the blocks: see harness/measure/sampler.py). Seconds and counts."""

    block_seconds: Seconds = 0.001
    rounds: Positive = 10
    launches: Positive = 3
    width: Annotated[float, Field(gt=0)] | None = None
    budget_seconds: Seconds | None = None
    fresh_memory: bool = True


class Precision(_Strict):
    """What is compared with what. The defaults are the few figures that a timing study writes all the same."""

    tensors: Some[Tensor] = ("values", "dy", "dx", "dW", "selection")
    references: Some[Reference] = ("native",)
    metrics: Some[str] = ("abs_max", "rel_l2", "equal_share", "flips", "causes")
    loss: Loss = "square"


class Limits(_Strict):
    """Where a cell is given up: bytes of its tensors, and seconds of a case in one launch."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=False)  # ByteSize reads "4 GiB" from a string

    memory: ByteSize = ByteSize(4 * 2**30)
    seconds: Annotated[Seconds, Field(strict=True)] = 60.0


class Gate(_Strict):
    """Tolerances of the verdicts, as shares of the base."""

    time: Share = 0.02
    memory: Share = 0.05
    error: Share = 0.10


class Study(_Strict):
    """One study file. `name` and `text` (its bytes, verbatim) come from the file itself, not from a key."""

    title: str
    methods: Some[str]
    phases: Some[Phase] = USUAL_PHASES
    axes: Axes
    shapes: dict[str, Shape] = {}
    parameters: dict[str, Some[Scalar]] = {}
    exclude: tuple[dict[str, Some[Scalar]], ...] = ()
    timing: Timing | None = None
    precision: Precision | None = None
    limits: Limits = Limits()
    gate: Gate = Gate()

    _name: str = PrivateAttr(default="unnamed")
    _text: str = PrivateAttr(default="")

    @property
    def name(self) -> str:
        return self._name

    @property
    def text(self) -> str:
        return self._text

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
        """The same study with so many launches; one that times nothing stays as it is."""
        if self.timing is None:
            return self
        changed = self.model_copy(update={"timing": self.timing.model_copy(update={"launches": launches})})
        return changed.named(self.name, self.text)

    def named(self, name: str, text: str) -> Study:
        """The study itself, with the name and the text of its file."""
        self._name, self._text = name, text
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
                        _well_formed_k(value)
                    elif value not in swept[key]:
                        raise unknown("exclude", f"{key} in this study", value, swept[key])
        return self
