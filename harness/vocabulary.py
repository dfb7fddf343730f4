"""The words that a study may use for what is built in. Standard library only: the worker reads them too."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Literal, get_args

Dtype = Literal["float16", "bfloat16", "float32", "float64"]
Device = Literal["cpu", "cuda"]
Mode = Literal[
    "ieee", "torch-default", "deterministic", "autocast-bfloat16", "autocast-float16", "tf32", "reduced-reductions"
]
Transform = Literal["eager", "compile", "graph", "inference", "vmap"]
Phase = Literal["build", "apply", "forward", "backward", "step", "jvp", "vjp", "pipeline"]
Tensor = Literal["values", "dy", "dx", "dW", "dS", "selection"]
Reference = Literal["native", "exact", "conditional", "original"]
Loss = Literal["linear", "square"]
Clock = Literal["device", "wall"]
CacheState = Literal["warm", "cold"]
Status = Literal["ok", "unsupported", "out_of_memory", "skipped", "timeout", "crashed", "incorrect"]

Verdict = Literal["same", "slower", "faster", "worse", "better", "more", "fewer", "inconclusive", "lost", "new"]

HOST: Device = "cpu"
"""The device that every machine has."""

AXES = ("dtype", "device", "n", "k", "rows", "d", "distribution", "seed", "mode", "transform", "threads")
DTYPES: tuple[str, ...] = get_args(Dtype)
MODES: tuple[str, ...] = get_args(Mode)
TRANSFORMS: tuple[str, ...] = get_args(Transform)
PHASES: tuple[str, ...] = get_args(Phase)
CLOCKS: tuple[str, ...] = get_args(Clock)
"""What a block is timed by; where there are both, the first is shown first."""

DEVICE_CLOCK, WALL = CLOCKS

CACHE_STATES: tuple[str, ...] = get_args(CacheState)
STATUSES: tuple[str, ...] = get_args(Status)
VERDICTS: tuple[str, ...] = get_args(Verdict)

CAUSE, PROVED = "cause_", "proved_by_"
"""What metrics begin with that count entries: which a cause explains, and which a rung of the ladder proved."""

SHAPE = "shape"
"""The column that names the shape of a case, in studies that have shapes."""

CACHE = "cache"
"""The parameter of a study that says what the caches hold when a block begins: warm, as the call before left them, or
cold."""

STUDIES, RESULTS = Path("studies"), Path("results")
"""The folders of a person's studies and results below the current folder, unless others are named."""

STUDY_SUFFIX = ".toml"
"""What the name of a study file ends with."""

_PACKAGE = Path(__file__).parent
_OF_A_WHEEL = (_PACKAGE / "studies").is_dir()
SHIPPED = _PACKAGE / "studies" if _OF_A_WHEEL else _PACKAGE.parent / "studies"
"""The folder of the studies that come with the harness: a wheel has them inside the package, a clone beside it."""

DISTRIBUTION = "topk-harness" if _OF_A_WHEEL else "."
"""What pip calls this package: by its name where it was installed from a wheel, in a clone by the folder."""


def install(extra: str) -> str:
    """The command that installs what one of the optional dependencies in pyproject.toml needs."""
    return f"pip install '{DISTRIBUTION}[{extra}]'"


def studies_option(studies: Path) -> str:
    """' --studies FOLDER' for a command that would not look in this folder without it."""
    return "" if studies in (STUDIES, SHIPPED) else f" --studies {shlex.quote(str(studies))}"


COUNTS = "counts"
"""What a worker is asked to measure where instructions are counted, and the key of its answer."""

EXPORTS = ("json", "pytest-benchmark", "junit", "markdown")
"""The formats that a run can be had in besides its tables."""

BROKEN = ("crashed", "incorrect")
"""Of the statuses: a fault of the method, not a limit of the machine."""

EXIT_FAILED, EXIT_USAGE, EXIT_INCONCLUSIVE, EXIT_CELLS = 1, 2, 3, 4
"""Slower, worse or lost; bad input; inconclusive under --strict; broken cells."""

EXIT_SKIP = 125
"""Of `duel --for-bisect`: this commit says nothing, as `git bisect run` is told it."""

EXIT_INTERNAL, EXIT_INTERRUPTED, EXIT_UNREAD = 70, 130, 141
"""A fault of the harness; Ctrl-C; the reader of what was printed has gone (128 + SIGPIPE, as a shell tells it)."""

ITEMSIZE = {"float16": 2, "bfloat16": 2, "float32": 4, "float64": 8}
"""dtype -> bytes of one element."""

INDEX_BYTES = 8
"""Bytes of one index: torch.topk returns int64, and sparse layouts here store int64."""

LARGEST_INTEGER = 2**63 - 1
"""Of a column of integers."""

YARDSTICKS = ("copy", "read")
"""Methods that every timed case has, so that every time is also a multiple of one read."""

YARDSTICK_PHASES = ("apply",)
"""What a yardstick is timed in, whichever phases a study has."""

USUAL_PHASES: tuple[Phase, ...] = ("build", "apply", "forward", "backward", "pipeline")
"""What a study times unless it names its phases."""

DERIVATIVES = ("jvp", "vjp")
"""Phases of torch.func: forward and its derivative in one call, along a tangent or back from a cotangent."""

DIFFERENTIATED = ("backward", "step", *DERIVATIVES, "pipeline")
"""Phases that need gradients: there are none in inference mode."""

BASE_PHASE = {
    "build": "forward",
    "apply": "forward",
    "forward": "forward",
    "backward": "backward",
    "step": "step",
    "jvp": "jvp",
    "vjp": "vjp",
    "pipeline": "pipeline",
}
"""phase -> the phase of native that it is a ratio to: native has no matrix to build or apply."""

PACE_BOUND = 1.1
"""Nothing moves its bytes faster than this times what the better yardstick reaches, and no device works longer than
this times the wall clock around it."""

ALIKE_BYTES = 4
"""Yardsticks that move from a quarter to four times the bytes of a phase are held to be in the same level of cache."""
