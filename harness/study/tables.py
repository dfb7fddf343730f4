"""The tables of a study file, one class each: their keys, the values allowed and the defaults.

The string under a key is its documentation; the JSON Schema of a study file shows it in an editor.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ByteSize, ConfigDict, Field

from harness.study.values import K, MemoryByDevice, Natural, Positive, Seconds, SecondsByDevice, Share, Some, Word
from harness.vocabulary import HOST, Device, Dtype, Loss, Mode, Reference, Tensor, Transform

MEMORY = ByteSize(4 * 2**30)
"""Default limit on the bytes of a cell, also for a device that the study's own limits do not name."""

BudgetSeconds = float | dict[Device, float] | None


class Strict(BaseModel):
    """A table that accepts only its own keys, with values of exactly their types."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, use_attribute_docstrings=True)


class Axes(Strict):
    """The swept dimensions. A single value may be written without brackets."""

    dtype: Some[Dtype] = ("float32",)
    """The dtype that the tensors are cast to and computed in."""
    device: Some[Device] = (HOST,)
    """The device that holds the tensors; a device that is absent is dropped, with a message."""
    n: Some[Positive] = ()
    """The length of the vector that is selected from."""
    k: Some[K] = (64,)
    """Entries to keep: a number, a share of n such as 'n/4' (rounded down), or 'all'; 0 and k > n are dropped."""
    rows: Some[Positive] = (1,)
    """The number of independent vectors in one call."""
    d: Some[Natural] = (0,)
    """The length of x in y = W x. With 0, y itself is drawn, and there is no pipeline, dx or dW."""
    distribution: Some[Word] = ("normal",)
    """The distribution that y, or x and W, are drawn from."""
    seed: Some[Natural] = (0,)
    """The seed of the draw, which is the same for every dtype, k, device and machine."""
    mode: Some[Mode] = ("ieee",)
    """The arithmetic that torch is asked for."""
    transform: Some[Transform] = ("eager",)
    """How a method is run: eagerly, compiled, or under another transform."""
    threads: Some[Positive] = (1,)
    """The number of torch threads, each pinned to its own core."""


class Shape(Strict):
    """Sizes that go together under a name. An axis that the shape leaves out has the values of [axes]."""

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
    """How a cell is timed, in seconds and counts. harness/session/sampler.py describes rounds and blocks."""

    block_seconds: Seconds = 0.001
    """The least duration of a block in seconds; a block has at least one call."""
    rounds: Positive = 10
    """Rounds in a launch, time permitting. In a round every method and phase of a case has one block."""
    launches: Positive = 3
    """Passes over all cases, each in a fresh process. The launch is the unit of every interval."""
    width: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    """A case is not launched again once its intervals of ln(seconds / native's) are narrower than this."""
    budget_seconds: SecondsByDevice | None = None
    """Seconds for the whole study. [limits] has the same key, for studies that time nothing."""
    fresh_memory: bool = True
    """Whether the tensors of every block are allocated anew."""


class Instructions(Strict):
    """How the instructions of each phase are counted, in addition to timing it."""

    launches: Positive = 2
    """Counting processes for each side. A second one shows how far two counts of equal code differ."""


class Precision(Strict):
    """What is compared with what. The defaults are the few figures that a timing study writes too."""

    tensors: Some[Tensor] = ("values", "dy", "dx", "dW", "selection")
    """The tensors that are compared."""
    references: Some[Reference] = ("native",)
    """The references that the tensors are compared with."""
    metrics: Some[Word] = ("abs_max", "rel_l2", "equal_share", "flips", "causes")
    """The figures of a comparison: names, or import paths 'package.module:name'."""
    launches: Positive = 1
    """Launches of a study that times nothing. Only the figures of repeats may differ between launches."""
    loss: Loss = "square"
    """The loss whose gradients are compared: a weighted sum of the values, or the sum of their squares."""


class Limits(Strict):
    """When a cell is given up: its tensors need too many bytes, or its case too many seconds in one launch."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=False)  # ByteSize reads "4 GiB" from a string

    memory: MemoryByDevice = MEMORY
    """The most bytes of S, its gradient, inputs and outputs: a number, a size with a unit ('4 GiB'), or one for each
    device, as in {cpu = '1 GiB', cuda = '16 GiB'}. A larger cell is skipped. What checks and exact answers allocate in
    float64 does not count."""
    seconds: Seconds = 60.0
    """The most seconds of a case in one launch. Beyond them the method with the longest single request to the worker is
    a timeout, and the others are measured anew."""
    budget_seconds: SecondsByDevice | None = None
    """Seconds for the whole study, including starting workers, opening, checks, compiling and calibration; or for the
    cases of each device, as in {cpu = 250, cuda = 100}. A study with [timing] may have this key there instead."""


class Gate(Strict):
    """Tolerances of the verdicts, relative to the base."""

    time: Share = 0.02
    """Tolerated change in the time of a phase."""
    memory: Share = 0.05
    """Tolerated change in the peak memory of a phase."""
    error: Share = 0.10
    """Tolerated change in an error; a change of up to half an ulp is always tolerated."""
    instructions: Share = 0.01
    """Tolerated change in the instructions of a phase."""
