"""The words of studies and tables, exit codes, and folders. Standard library only, since the worker imports it too."""

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
"""The clocks that a block may be timed by, in the order in which readers show them."""

DEVICE_CLOCK, WALL = CLOCKS

CACHE_STATES: tuple[str, ...] = get_args(CacheState)
STATUSES: tuple[str, ...] = get_args(Status)
VERDICTS: tuple[str, ...] = get_args(Verdict)

CAUSE, PROVED = "cause_", "proved_by_"
"""Prefixes of two kinds of metrics: counts of the entries that one cause explains, and of those that one rung of the
ladder of exact arithmetic proved."""

SHAPE = "shape"
"""The column that names the shape of a case, in studies that have shapes."""

CACHE = "cache"
"""The parameter of a study that sets the state of the caches at the start of a block: warm (as the previous call left
them) or cold."""

STUDIES, RESULTS = Path("studies"), Path("results")
"""The folders of a person's studies and results below the current folder, unless others are named."""

STUDY_SUFFIX = ".toml"
"""File extension of a study."""

_PACKAGE = Path(__file__).parent
_OF_A_WHEEL = (_PACKAGE / "studies").is_dir()
SHIPPED = _PACKAGE / "studies" if _OF_A_WHEEL else _PACKAGE.parent / "studies"
"""The folder of the studies that come with the harness: a wheel has them inside the package, a clone beside it."""

DISTRIBUTION = "topk-harness" if _OF_A_WHEEL else "."
"""What `pip install` must be given for this package: its name if it came as a wheel, the folder in a clone."""


def install(extra: str) -> str:
    """The command that installs this package with one of the extras of pyproject.toml."""
    return f"pip install '{DISTRIBUTION}[{extra}]'"


def studies_option(studies: Path) -> str:
    """' --studies FOLDER' for a suggested command, or '' if the command would look in this folder anyway."""
    return "" if studies in (STUDIES, SHIPPED) else f" --studies {shlex.quote(str(studies))}"


def many(count: int, one: str, more: str = "") -> str:
    """A count with its noun: '1 case', '2 cases'. more: the plural of a noun that takes no s."""
    return f"{count} {one if count == 1 else more or f'{one}s'}"


COUNTS = "counts"
"""What a counting worker is asked to measure, and the key of its answer."""

EXPORTS = ("json", "pytest-benchmark", "junit", "markdown")
"""The formats of `harness export`."""

BROKEN = ("crashed", "incorrect")
"""The statuses that mean a fault of the method, not a limit of the machine."""

EXIT_FAILED, EXIT_USAGE, EXIT_INCONCLUSIVE, EXIT_CELLS = 1, 2, 3, 4
"""Slower, worse or lost; bad input; inconclusive under --strict; broken cells."""

EXIT_SKIP = 125
"""Exit code of `duel --for-bisect` that tells `git bisect run` to skip a commit."""

EXIT_INTERNAL, EXIT_INTERRUPTED, EXIT_UNREAD = 70, 130, 141
"""A fault of the harness; Ctrl-C; nobody reads the output any more (128 + SIGPIPE, the shell's convention)."""

ITEMSIZE = {"float16": 2, "bfloat16": 2, "float32": 4, "float64": 8}
"""dtype -> bytes of one element."""

INDEX_BYTES = 8
"""Bytes of one index: torch.topk returns int64, and the sparse layouts store int64 here."""

LARGEST_INTEGER = 2**63 - 1
"""The largest value that a column of integers can hold (int64)."""

YARDSTICKS = ("copy", "read")
"""Methods that are added to every timed case, so that every time is also a multiple of one read of y."""

YARDSTICK_PHASES = ("apply",)
"""The phases of a yardstick, whichever phases a study times."""

USUAL_PHASES: tuple[Phase, ...] = ("build", "apply", "forward", "backward", "pipeline")
"""The phases that a study times unless it names others."""

DERIVATIVES = ("jvp", "vjp")
"""Phases of torch.func: forward and its derivative in one call, a JVP with a tangent or a VJP with a cotangent."""

DIFFERENTIATED = ("backward", "step", *DERIVATIVES, "pipeline")
"""Phases that need gradients, so that they do not exist in inference mode."""

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
"""phase -> the phase of native by which its time is divided: native has no matrix to build or apply."""

PACE_BOUND = 1.1
"""A time is implausible if its bytes per second exceed those of the better yardstick by this factor, or if its device
time exceeds the wall time around it by this factor."""

ALIKE_BYTES = 4
"""A yardstick that moves between a quarter and four times the bytes of a phase counts as in the same level of cache."""
