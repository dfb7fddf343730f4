"""The figures of a run and of a history, drawn by a study's script and written as SVG and PNG."""

from __future__ import annotations

import io
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from harness.errors import NotAsked, UserError
from harness.scripts.dark import darken
from harness.scripts.studies import Script, blamed, load_script, load_trends, trends_script
from harness.tables import Run, by_device, replace_bytes, replace_text

FORMATS = ("svg", "png")
PNG_DOTS_PER_INCH = 150
SALT = "topk"
"""Seed of the names inside an SVG, so that the same rows give the same bytes."""

Picture = tuple[str, bytes]
"""One of FORMATS, and the content of a file of that format."""

SUMMARY = "summary.md"
UNDRAWN = "no figure "
"""Beginning of the line that reports a figure which could not be drawn."""

ON_DARK = "_dark"
"""Suffix of the name of a figure's files for a dark page, where they are kept beside those for a white one."""


def draw_figures(
    run: Run,
    folder: Path,
    say: Callable[[str], None] = print,
    dark: dict[Path, Picture] | None = None,
    target: Path | None = None,
) -> list[Path]:
    """Draw every figure of a run's study, as SVG and PNG, and write its summary beside them.

    They go into the run's folder of figures, or into `target`, where they lie in the same subfolders.

    A run of several devices or clocks is drawn once for each, each time into a folder of its own. Returns the paths of
    the PNG files, and of summary.md where the script has a summary. A run that was narrowed may lack the rows that a
    figure or a sentence needs: then it is left out, and `say` gets a line. A figure for which the run was never asked
    (NotAsked) is left out without a line. Raises OSError where nothing can be written.

    dark: receives, by the path of each PNG file, the same figure for a dark page in the format that takes fewer bytes.
    """
    script = load_script(run.name, folder)
    if not (script.figures or script.summary):
        return []
    run.check()  # before the script runs: it is not to blame for a table that cannot be read
    within = target or run.figures
    return [
        path
        for part in by_device(run)
        for path in _draw(part, script, within / part.figures.relative_to(run.figures), say, dark)
    ]


def _draw(
    run: Run, script: Script, target: Path, say: Callable[[str], None], dark: dict[Path, Picture] | None
) -> list[Path]:
    made = []
    target.mkdir(parents=True, exist_ok=True)
    for function in script.figures:
        try:
            with script.blamed(), _without_settings():
                # Kept in files: every format. Only shown by the caller: the smaller one (None). Else none.
                kinds = FORMATS if function in script.kept_dark else None if dark is not None else ()
                pictures, on_dark = _pictures(function(run), function.__name__, run.setting, dark=kinds)
        except NotAsked:
            continue
        except UserError as error:
            say(f"{UNDRAWN}{function.__name__}: {error}")
        else:
            made.append(_save(pictures, target, function.__name__))
            if function in script.kept_dark:
                _save(on_dark, target, f"{function.__name__}{ON_DARK}")
            if dark is not None:
                dark[made[-1]] = min(on_dark.items(), key=lambda picture: len(picture[1]))
    if script.summary:
        try:
            with script.blamed():
                where = [f"On {run.setting}."] if run.setting else []
                lines = [f"- {line}\n" for line in (*where, *script.summary(run))]
        except UserError as error:
            say(f"no summary: {error}")
        else:
            replace_text(target / SUMMARY, "".join(lines))
            made.append(target / SUMMARY)
    return made


def draw_trends(history: Any, steps: Any, target: Path, folder: Path) -> list[Path]:
    """Draw the trends of a history into `target`, as SVG and PNG: a figure for each study and function of TRENDS.

    Returns the paths of the PNG files. A history.py in `folder` draws instead of the shipped one.
    """
    made = []
    for function in load_trends(folder):
        for study, rows in history[(history["kind"] == "time") & (history["level"] > 0)].groupby("study"):
            target.mkdir(exist_ok=True)
            with blamed(trends_script(folder)), _without_settings():
                pictures, _ = _pictures(function(rows, steps[steps["study"] == study]), function.__name__)
            made.append(_save(pictures, target, f"{study}_{function.__name__}"))
    return made


@contextmanager
def _without_settings() -> Iterator[None]:
    """Inside, matplotlib draws with its defaults and without a display. A matplotlibrc with LaTeX, other fonts or
    colours, or another backend, would give another picture or none. Afterwards the settings are as they were."""
    import matplotlib

    # Without asking for it: matplotlib would choose a backend, and import it.
    backend = dict.__getitem__(matplotlib.rcParams, "backend")
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.use("agg")
        try:
            yield
        finally:
            if isinstance(backend, str):
                matplotlib.use(backend, force=False)  # not forced, since its display may be missing
            else:
                dict.__setitem__(matplotlib.rcParams, "backend", backend)


def _pictures(
    figure: Any, name: str, setting: str = "", *, dark: Collection[str] | None = ()
) -> tuple[dict[str, bytes], dict[str, bytes]]:
    """A figure in every format, and for a dark page in the formats `dark`. The figure is closed.

    setting: the device and the clock of its rows, which are written into the figure. dark: None for the one format that
    took the fewest bytes on a white page.
    """
    from matplotlib import pyplot
    from matplotlib.figure import Figure

    if not isinstance(figure, Figure):
        raise TypeError(f"{name} returned {type(figure).__name__}, not a matplotlib Figure")
    try:
        if setting:
            figure.text(0.0, 0.0, f"on {setting}", fontsize="x-small", color="0.4", va="bottom")
        if figure.get_layout_engine() is not None:
            # A layout engine moves things again at every drawing. Lay out once, so that all formats are alike.
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
    """Write the pictures, each file whole or not at all, and return the path of the PNG.

    Outside `blamed`, because the script is not to blame for a full disk.
    """
    for kind, picture in pictures.items():
        replace_bytes(target / f"{name}.{kind}", picture)
    return target / f"{name}.png"
