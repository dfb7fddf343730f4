"""The tables of a study file, one class each: what may stand in them, and what holds where it is left out."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ByteSize, ConfigDict, Field

from harness.study.values import K, MemoryByDevice, Natural, Positive, Seconds, SecondsByDevice, Share, Some, Word
from harness.vocabulary import HOST, Device, Dtype, Loss, Mode, Reference, Tensor, Transform

MEMORY = ByteSize(4 * 2**30)
"""Bytes of a cell, unless the study or its table of devices names others."""


BudgetSeconds = float | dict[Device, float] | None


class Strict(BaseModel):
    """A table that allows the keys it names and no others, each of its own type."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, use_attribute_docstrings=True)


class Axes(Strict):
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


class Shape(Strict):
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


class Timing(Strict):
    """How a cell is timed (design of the blocks: see harness/session/sampler.py). Seconds and counts."""

    block_seconds: Seconds = 0.001
    """Seconds that a block lasts at least, and one call at least."""
    rounds: Positive = 10
    """In a round every method and phase of a case has one block; so many rounds a launch, time permitting."""
    launches: Positive = 3
    """Passes over all cases, each in a fresh process: the unit of every interval."""
    width: Annotated[float, Field(gt=0)] | None = None
    """A case is not launched again once its intervals of ln(seconds / native's) are narrower than this."""
    budget_seconds: SecondsByDevice | None = None
    """Seconds for the whole study, as in [limits], where a study that times nothing has it."""
    fresh_memory: bool = True
    """Whether every block has its tensors in new memory."""


class Instructions(Strict):
    """How the instructions of each phase are counted, beside its time."""

    launches: Positive = 2
    """Counting processes of a side. The second says how far two counts of equal code differ."""


class Precision(Strict):
    """What is compared with what. The defaults are the few figures that a timing study writes all the same."""

    tensors: Some[Tensor] = ("values", "dy", "dx", "dW", "selection")
    """What is compared."""
    references: Some[Reference] = ("native",)
    """What it is compared with."""
    metrics: Some[Word] = ("abs_max", "rel_l2", "equal_share", "flips", "causes")
    """The figures of a comparison: names, or import paths 'package.module:name'."""
    launches: Positive = 1
    """Launches of a study that times nothing; only figures of repeats may differ between them."""
    loss: Loss = "square"
    """What the gradients are of: a weighted sum of the values, or the sum of their squares."""


class Limits(Strict):
    """Where a cell is given up: bytes of its tensors, and seconds of a case in one launch."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=False)  # ByteSize reads "4 GiB" from a string

    memory: MemoryByDevice = MEMORY
    """Bytes of S, its gradient, inputs and outputs, as a number or with a unit ('4 GiB'), or for each device, as in
    {cpu = '1 GiB', cuda = '16 GiB'}; a cell over it is skipped. What checks and exact answers hold in float64 comes on
    top."""
    seconds: Annotated[Seconds, Field(strict=True)] = 60.0
    """Seconds of a case in one launch; then what took longest at once is a timeout; the others begin anew."""
    budget_seconds: SecondsByDevice | None = None
    """Seconds for the whole study, starting workers, opening, checks, compiling and calibration included, or for the
    cases of each device, as in {cpu = 250, cuda = 100}. A study that has [timing] may have it there instead."""


class Gate(Strict):
    """Tolerances of the verdicts, as shares of the base."""

    time: Share = 0.02
    """Of the time of a phase."""
    memory: Share = 0.05
    """Of the peak of a phase."""
    error: Share = 0.10
    """Of an error, and half an ulp at least."""
    instructions: Share = 0.01
    """Of the instructions of a phase."""
