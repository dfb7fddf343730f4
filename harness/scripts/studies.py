"""The script beside a study, loaded: its figures, its measure() and its summary().

A script may offer `FIGURES`, functions from a run to a figure; `DARK`, those of them that are also kept for a dark
page; `measure(study)` and `summary(run)`. All of these may be missing. harness/study/folders.py says where a script is
looked for. Two shipped scripts belong to no study: `default.py` draws a study that has no script, and `history.py`
draws a history, by its `TRENDS`.
"""

from __future__ import annotations

import importlib.util
import re
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from harness.errors import UserError
from harness.study.definition import Study
from harness.study.folders import home_of
from harness.tables import FOLDER_NAME, Row, Run
from harness.vocabulary import SHIPPED

TRENDS_SCRIPT = "history"
DEFAULT = "default"
"""The shipped script whose figures a study without figures of its own gets."""

_OFFERED: dict[str, Any] = {"FIGURES": (), "DARK": (), "measure": None, "summary": None}
"""The names that a script may define, in the order of the fields of Script -> the value of one that it does not."""


@dataclass(frozen=True)
class Script:
    """A study's script.

    figures: functions from a run to a matplotlib Figure; a figure's file is named after its function. kept_dark: those
    of them whose figure for a dark page is kept in a file too. measure: gives rows of facts.csv. summary: gives lines
    that state the law, the data and the residual in words. Any of them may raise any exception: call it in `blamed`.
    """

    path: Path
    figures: tuple[Callable[[Run], Any], ...]
    kept_dark: tuple[Callable[[Run], Any], ...]
    measure: Callable[[Study], Iterable[Row]] | None
    summary: Callable[[Run], Iterable[str]] | None

    @contextmanager
    def blamed(self) -> Iterator[None]:
        """Inside, whatever the script raises becomes a UserError that names the line."""
        with blamed(self.path):
            yield


def load_script(name: str, folder: Path) -> Script:
    """The script of the study `name` in `folder`, or of a shipped one. A script that does not define FIGURES gets those
    of the default script.

    Raises UserError where the script cannot be run, or offers as figures what are no functions.
    """
    if not re.fullmatch(FOLDER_NAME, name):
        raise UserError(f"{folder}: '{name}' is no name of a study")
    path = home_of(name, folder) / f"{name}.py"
    module = _module(path)
    offered = {attribute: getattr(module, attribute, missing) for attribute, missing in _OFFERED.items()}
    if not hasattr(module, "FIGURES"):
        default = SHIPPED / f"{DEFAULT}.py"
        offered["FIGURES"] = getattr(_module(default), "FIGURES", ())
        path = path if module else default
    offered |= {attribute: _functions(offered[attribute], attribute, path) for attribute in ("FIGURES", "DARK")}
    return Script(path, *offered.values())


def captions(name: str, folder: Path) -> dict[str, str]:
    """The name of each figure of a study -> its caption, the first line of its function's docstring."""
    figures = load_script(name, folder).figures
    return {figure.__name__: (figure.__doc__ or figure.__name__).strip().partition("\n")[0] for figure in figures}


def load_trends(folder: Path) -> tuple[Callable[[Any, Any], Any], ...]:
    """The functions that draw a history: (rows of one study, steps) -> figure. Raises UserError where the script cannot
    be run."""
    path = trends_script(folder)
    return _functions(getattr(_module(path), "TRENDS", ()), "TRENDS", path)


def trends_script(folder: Path) -> Path:
    """The script that draws a history: `history.py` in `folder`, or else the shipped one."""
    own = folder / f"{TRENDS_SCRIPT}.py"
    return own if own.is_file() else SHIPPED / own.name


def _functions(offered: object, attribute: str, path: Path) -> tuple[Callable[..., Any], ...]:
    """The functions that a script offers. Raises UserError for anything else, before a study is measured for it."""
    functions = tuple(offered) if isinstance(offered, Iterable) else None
    # The files of a figure are named after its function, so something callable without a name will not do.
    if functions is None or not all(callable(each) and hasattr(each, "__name__") for each in functions):
        raise UserError(f"{path}: {attribute} must be a list or a tuple of functions")
    names = [each.__name__ for each in functions]
    if twice := {name for name in names if names.count(name) > 1}:  # one file would overwrite the other
        raise UserError(
            f"{path}: {attribute} has several functions called '{min(twice)}': a figure's file has that name"
        )
    return functions


@contextmanager
def blamed(path: Path) -> Iterator[None]:
    """Inside, code of the script at `path` can import the modules beside it, and whatever it raises becomes a UserError
    that names the line."""
    with _sharing_code(path.parent.resolve()), _as_user_error(path):
        yield


def _module(path: Path) -> ModuleType | None:
    """The module in a file, after it was run; None where there is no such file."""
    if not path.is_file():
        return None
    with _sharing_code(path.parent.resolve()):
        spec = importlib.util.spec_from_file_location(f"study_{path.stem}", path)
        if spec is None or spec.loader is None:
            raise UserError(f"{path}: cannot be imported")
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module  # dataclasses look up the module of a class in which annotations are text
        try:
            with _as_user_error(path):
                spec.loader.exec_module(module)
        finally:
            sys.modules.pop(spec.name, None)
    return module


@contextmanager
def _sharing_code(folder: Path) -> Iterator[None]:
    """Inside, a script can import the modules beside it, and after them the shipped ones, such as `style`.

    Afterwards these modules are forgotten, since a script in another folder may mean another module by the same name.
    """
    places = [str(folder), str(SHIPPED.resolve())]
    known = set(sys.modules)
    sys.path[:0] = places
    try:
        yield
    finally:
        for place in places:
            sys.path.remove(place)
        for name in sys.modules.keys() - known:
            if str(Path(getattr(sys.modules[name], "__file__", None) or "").parent) in places:
                del sys.modules[name]


@contextmanager
def _as_user_error(path: Path) -> Iterator[None]:
    """Turn whatever the script raises into a UserError with its type, its message, and the last line of the script that
    took part.

    SystemExit too: the exit code of a script that ends the program would be taken for a verdict.
    """
    try:
        yield
    except UserError:
        raise
    except (Exception, SystemExit) as error:
        frames = traceback.extract_tb(error.__traceback__)
        lines = [frame.lineno for frame in frames if Path(frame.filename).resolve() == path.resolve()]
        message = str(error)
        if isinstance(error, SyntaxError) and Path(error.filename or "").resolve() == path.resolve():
            lines, message = [error.lineno], error.msg
        place = f"{path}:{lines[-1]}" if lines else str(path)
        raise UserError(f"{place}: {type(error).__name__}: {message}") from error
