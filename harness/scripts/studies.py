"""The script beside a study: `FIGURES`, functions from a run to a figure; `DARK`, those of them that are kept for a
dark page too; `measure(study)` and `summary(run)`. All of these may be missing.

harness/study/folders.py says where a script is looked for. Beside the shipped ones lie what draws a study without one,
`default.py`, and a history, `history.py` with `TRENDS`.
"""

from __future__ import annotations

import importlib.util
import io
import re
import sys
import traceback
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from harness.errors import NotAsked, UserError
from harness.scripts.dark import darken
from harness.study.definition import Study
from harness.study.folders import find_study as find_study
from harness.study.folders import home_of
from harness.tables import FOLDER_NAME, Row, Run, by_device, replace_bytes, replace_text
from harness.vocabulary import SHIPPED

FORMATS = ("svg", "png")
PNG_DOTS_PER_INCH = 150
SALT = "topk"
"""Of the names inside an SVG: the same rows give the same bytes."""

Picture = tuple[str, bytes]
"""One of FORMATS, and a file of that format."""

SUMMARY = "summary.md"
UNDRAWN = "no figure "
"""What the line about a figure that could not be drawn begins with."""

TRENDS_SCRIPT = "history"
DEFAULT = "default"
"""The shipped script that draws a study which has none."""

ON_DARK = "_dark"
"""What the name of a figure's files for a dark page ends with, where they are kept beside those for a white one."""

_OFFERED: dict[str, Any] = {"FIGURES": (), "DARK": (), "measure": None, "summary": None}


@dataclass(frozen=True)
class Script:
    """figures: functions Run -> matplotlib Figure, the file named after the function; kept_dark: those of them whose
    figure for a dark page is kept in files too; measure(study) -> rows of facts; summary(run) -> lines: the law, the
    data and the residual in words. All of them may raise what they like."""

    path: Path
    figures: tuple[Callable[[Run], Any], ...]
    kept_dark: tuple[Callable[[Run], Any], ...]
    measure: Callable[[Study], Iterable[Row]] | None
    summary: Callable[[Run], Iterable[str]] | None

    @contextmanager
    def blamed(self) -> Iterator[None]:
        """Whatever the script raises inside is a UserError that says where."""
        with _sharing_code(self.path.parent.resolve()), _blamed(self.path):
            yield


def load_script(name: str, folder: Path) -> Script:
    """The script of a study in `folder`, or of a shipped one; one that says nothing of figures gets those of DEFAULT.

    Raises UserError where the script cannot be run.
    """
    if not re.fullmatch(FOLDER_NAME, name):
        raise UserError(f"{folder}: '{name}' is no name of a study")
    path = home_of(name, folder) / f"{name}.py"
    module = _module(path)
    offered = {each: getattr(module, each, otherwise) for each, otherwise in _OFFERED.items()}
    if not hasattr(module, "FIGURES"):
        default = SHIPPED / f"{DEFAULT}.py"
        offered["FIGURES"] = getattr(_module(default), "FIGURES", ())
        path = path if module else default
    return Script(path, *offered.values())


def captions(name: str, folder: Path) -> dict[str, str]:
    """The name of each figure of a study -> what it shows, by the first line of its function."""
    figures = load_script(name, folder).figures
    return {each.__name__: (each.__doc__ or each.__name__).strip().partition("\n")[0] for each in figures}


def load_trends(folder: Path) -> tuple[Callable[[Any, Any], Any], ...]:
    """What draws a history: functions (rows of one study, steps) -> figure."""
    return getattr(_module(_trends_script(folder)), "TRENDS", ())


def _trends_script(folder: Path) -> Path:
    own = folder / f"{TRENDS_SCRIPT}.py"
    return own if own.is_file() else SHIPPED / own.name


def draw_figures(
    run: Run, folder: Path, say: Callable[[str], None] = print, dark: dict[Path, Picture] | None = None
) -> list[Path]:
    """Draw every figure of a run's study, as SVG and PNG, into the run's figures, and write its summary beside them.

    What was measured on several devices, or by two clocks, is drawn apart, in a folder for each. Returns the paths of
    the PNG files, and of summary.md where the script has a summary. A run that was narrowed may lack what a figure or a
    sentence is of: it is left out, and said; a figure of what the run was never asked for (NotAsked) is left out
    without a word. Raises OSError where nothing can be written.

    dark: takes by the path of each PNG file the same figure for a dark page, in the format that takes fewer bytes.
    """
    script = load_script(run.name, folder)
    if not (script.figures or script.summary):
        return []
    run.check()  # a table that cannot be read is no fault of the script
    return [path for each in by_device(run) for path in _draw(each, script, say, dark)]


def _draw(run: Run, script: Script, say: Callable[[str], None], dark: dict[Path, Picture] | None) -> list[Path]:
    made = []
    run.figures.mkdir(parents=True, exist_ok=True)
    for function in script.figures:
        try:
            with script.blamed(), _without_settings():
                kinds = FORMATS if function in script.kept_dark else () if dark is None else None
                pictures, on_dark = _pictures(function(run), function.__name__, run.setting, dark=kinds)
        except NotAsked:
            continue
        except UserError as error:
            say(f"{UNDRAWN}{function.__name__}: {error}")
        else:
            made.append(_save(pictures, run.figures, function.__name__))
            if function in script.kept_dark:
                _save(on_dark, run.figures, f"{function.__name__}{ON_DARK}")
            if dark is not None:
                dark[made[-1]] = min(on_dark.items(), key=lambda each: len(each[1]))
    if script.summary:
        try:
            with script.blamed():
                lines = [f"- {line}\n" for line in (*filter(None, [_sentence(run.setting)]), *script.summary(run))]
        except UserError as error:
            say(f"no summary: {error}")
        else:
            replace_text(run.figures / SUMMARY, "".join(lines))
            made.append(run.figures / SUMMARY)
    return made


def draw_trends(history: Any, steps: Any, target: Path, folder: Path) -> list[Path]:
    """Draw the trends of a history, as SVG and PNG, a figure a study and function of TRENDS, into `target`.

    Returns the paths of the PNG files. `folder` may hold a history.py, which then draws instead of the shipped one.
    """
    made = []
    for function in load_trends(folder):
        for study, rows in history[(history["kind"] == "time") & (history["level"] > 0)].groupby("study"):
            target.mkdir(exist_ok=True)
            script = _trends_script(folder)
            with _sharing_code(script.parent.resolve()), _blamed(script), _without_settings():
                pictures, _ = _pictures(function(rows, steps[steps["study"] == study]), function.__name__)
            made.append(_save(pictures, target, f"{study}_{function.__name__}"))
    return made


def _module(path: Path) -> ModuleType | None:
    """The module in a file, run; None where there is no such file."""
    if not path.is_file():
        return None
    with _sharing_code(path.parent.resolve()):
        spec = importlib.util.spec_from_file_location(f"study_{path.stem}", path)
        if spec is None or spec.loader is None:
            raise UserError(f"{path}: cannot be imported")
        module = importlib.util.module_from_spec(spec)
        with _blamed(path):
            spec.loader.exec_module(module)
    return module


@contextmanager
def _sharing_code(folder: Path) -> Iterator[None]:
    """Inside, a script can import the modules beside it, and behind them the shipped ones, such as `style`.

    Afterwards they are forgotten: a script in another folder may mean another module by the same name.
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
def _blamed(path: Path) -> Iterator[None]:
    """A UserError for whatever the script raises inside: its last line that took part, and what was raised.

    So is a script that ends the program: its exit code would be taken for a verdict.
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


def _sentence(setting: str) -> str:
    return setting and f"On {setting}."


@contextmanager
def _without_settings() -> Iterator[None]:
    """Inside, matplotlib draws as it does without a matplotlibrc and without a display: LaTeX, fonts, colours
    and a backend of a person's own would give another picture, or none. Afterwards they are as they were."""
    import matplotlib

    backend = dict.__getitem__(matplotlib.rcParams, "backend")  # as it stands: to ask for it would choose one
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.use("agg")
        try:
            yield
        finally:
            if isinstance(backend, str):
                matplotlib.use(backend, force=False)  # one that needs a display may be missing it
            else:
                dict.__setitem__(matplotlib.rcParams, "backend", backend)


def _pictures(
    figure: Any, name: str, setting: str = "", *, dark: Collection[str] | None = ()
) -> tuple[dict[str, bytes], dict[str, bytes]]:
    """A figure in every format, and for a dark page in the formats `dark`; it is closed.

    setting: the device and the clock of its rows, which are written into it. dark: None for the one format that took
    the fewest bytes on a white page.
    """
    from matplotlib import pyplot
    from matplotlib.figure import Figure

    if not isinstance(figure, Figure):
        raise TypeError(f"{name} returned {type(figure).__name__}, not a matplotlib Figure")
    try:
        if setting:
            figure.text(0.0, 0.0, f"on {setting}", fontsize="x-small", color="0.4", va="bottom")
        if figure.get_layout_engine() is not None:  # which moves things again whenever it draws: once for all formats
            figure.draw_without_rendering()
            figure.set_layout_engine("none")
        pictures = {kind: _picture(figure, kind) for kind in FORMATS}
        kinds = [min(pictures, key=lambda kind: len(pictures[kind]))] if dark is None else dark
        if kinds:
            darken(figure)
        return pictures, {kind: _picture(figure, kind) for kind in kinds}
    finally:
        pyplot.close(figure)


def _picture(figure: Any, kind: str) -> bytes:
    from matplotlib import rc_context

    picture = io.BytesIO()
    with rc_context({"svg.hashsalt": SALT}):
        figure.savefig(picture, format=kind, dpi=PNG_DOTS_PER_INCH, metadata={"Date": None} if kind == "svg" else None)
    return picture.getvalue()


def _save(pictures: Mapping[str, bytes], target: Path, name: str) -> Path:
    """Write them, each whole or not at all: a full disk is no fault of the script. Returns the path of the PNG."""
    for kind, picture in pictures.items():
        replace_bytes(target / f"{name}.{kind}", picture)
    return target / f"{name}.png"
