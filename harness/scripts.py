"""The script beside a study: `FIGURES`, functions from a run to a figure, and, where it has one, `measure()`.

The script is found by the name of the study in a folder that the caller names, never by a path in a results file.
"""

from __future__ import annotations

import importlib.util
import re
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import UserError, unknown
from harness.tables import Row, Run

STUDIES = Path("studies")
FORMATS = ("svg", "png")
PNG_DOTS_PER_INCH = 150


@dataclass(frozen=True)
class Script:
    """figures: functions Run -> matplotlib Figure, the file named after the function; measure() -> rows of facts."""

    figures: tuple[Callable[[Run], Any], ...]
    measure: Callable[[], Iterable[Row]] | None


def find_study(word: str, folder: Path = STUDIES) -> Path:
    """The study file that a word means: a path, or a name in the folder of studies."""
    path = Path(word) if word.endswith(".toml") else folder / f"{word}.toml"
    if not path.is_file():
        raise unknown(str(folder), "study", word, sorted(each.stem for each in folder.glob("*.toml")))
    return path


def load_script(name: str, folder: Path) -> Script:
    """The script of a study; one without a script draws nothing and measures no facts."""
    if not re.fullmatch(r"[A-Za-z0-9_-]+", name):
        raise UserError(f"{folder}: '{name}' is no name of a study")
    path = folder / f"{name}.py"
    if not path.is_file():
        return Script((), None)
    sys.path.insert(0, str(folder.resolve()))  # a script may share code with those beside it
    try:
        spec = importlib.util.spec_from_file_location(f"study_{name}", path)
        if spec is None or spec.loader is None:
            raise UserError(f"{path}: cannot be imported")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    finally:
        sys.path.pop(0)
    return Script(tuple(getattr(module, "FIGURES", ())), getattr(module, "measure", None))


def draw_figures(run: Run, folder: Path) -> list[Path]:
    """Draw every figure of a run's study, as SVG and PNG, into its `figures/`; the paths of the PNG files."""
    made = []
    target = run.path / "figures"
    for function in load_script(run.name, folder).figures:
        target.mkdir(exist_ok=True)
        figure = function(run)
        for kind in FORMATS:
            metadata = {"Date": None} if kind == "svg" else None  # the same rows give the same bytes
            figure.savefig(target / f"{function.__name__}.{kind}", dpi=PNG_DOTS_PER_INCH, metadata=metadata)
        made.append(target / f"{function.__name__}.png")
    return made
