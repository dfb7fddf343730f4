"""Figures look the same whatever a person has told matplotlib: their settings are left alone, and take no part."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pytest
from matplotlib import pyplot as plt

from harness.scripts.dark import GROUND
from harness.scripts.drawing import Picture, draw_figures
from harness.scripts.palette import OTHER_STYLES, method_styles
from harness.tables import read
from harness.vocabulary import RESULTS, STUDIES
from tests.fake_run import fake_run

ROOT = Path(__file__).parent.parent

SCRIPT = """
from matplotlib import pyplot as plt

def curve(run):
    figure, axis = plt.subplots()
    axis.plot([1, 2, 3], [3, 1, 2], label="$n^2$")
    axis.set_title("How it goes")
    axis.legend()
    return figure

FIGURES = (curve,)
"""

ENDS = (".svg", ".png")

SETTINGS: dict[Any, Any] = {
    "text.usetex": True,
    "font.family": ["No Such Font"],
    "figure.facecolor": "black",
    "figure.dpi": 20,
    "lines.linewidth": 9,
    "axes.spines.top": False,
    "image.cmap": "gray",
    "savefig.dpi": 10,
    "savefig.bbox": "tight",
    "savefig.transparent": True,
    "savefig.facecolor": "red",
    "svg.fonttype": "path",
    "path.simplify": False,
}


def test_settings_of_matplotlib_take_no_part_and_are_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "trial.py").write_text(SCRIPT)
    monkeypatch.chdir(tmp_path)

    def drawn() -> dict[str, bytes]:
        draw_figures(fake_run({"m": [1e-3]}), tmp_path, pytest.fail)
        return {path.name: path.read_bytes() for path in Path("head", "figures").iterdir()}

    def settings() -> dict[str, object]:
        return {name: mpl.rcParams[name] for name in mpl.rcParams if name != "backend"}  # to ask for which chooses one

    backend = dict.__getitem__(mpl.rcParams, "backend")
    plain = drawn()
    assert set(plain) == {f"curve{each}" for each in ENDS}
    with mpl.rc_context(SETTINGS), plt.style.context("dark_background", after_reset=False):
        theirs = settings()
        assert drawn() == plain
        assert settings() == theirs
    assert dict.__getitem__(mpl.rcParams, "backend") == backend


def test_a_figure_is_kept_for_a_dark_page_where_its_script_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "trial.py").write_text(f"{SCRIPT}\nDARK = (curve,)\n")
    monkeypatch.chdir(tmp_path)
    for_a_page: dict[Path, Picture] = {}
    made = draw_figures(fake_run({"m": [1e-3]}), tmp_path, pytest.fail, for_a_page)
    figures = Path("head", "figures")
    assert made == [figures / "curve.png"]
    assert {path.name for path in figures.iterdir()} == {f"curve{each}" for each in (*ENDS, "_dark.svg", "_dark.png")}
    (kind, picture) = for_a_page[made[0]]
    assert picture == (figures / f"curve_dark.{kind}").read_bytes()
    ground = [round(255 * each) for each in mpl.colors.to_rgb(GROUND)]
    for name, corner in (("curve.png", [255, 255, 255]), ("curve_dark.png", ground)):
        assert (255 * mpl.image.imread(figures / name)[0, 0, :3]).round().tolist() == corner


def test_a_command_draws_the_same_under_a_matplotlibrc_a_backend_and_no_display(tmp_path: Path) -> None:
    (source,) = (ROOT / RESULTS).glob("*/seed/reference")
    runs = [Path(shutil.copytree(source, tmp_path / name)) for name in ("ours", "theirs")]
    for run in runs:
        shutil.rmtree(run / "figures")
    settings = tmp_path / "matplotlibrc"
    told = {"text.usetex": True, "font.family": "No Such Font", "savefig.dpi": 10, "figure.facecolor": "black"}
    settings.write_text("".join(f"{name}: {value}\n" for name, value in told.items()) + "no.such.key: 1\n\xff\n")
    environment = {name: value for name, value in os.environ.items() if name not in ("DISPLAY", "WAYLAND_DISPLAY")}
    draw_figures(read(runs[0]), ROOT / STUDIES, pytest.fail)
    subprocess.run(
        [sys.executable, "-m", "harness", "plot", str(runs[1])],
        env=environment | {"MATPLOTLIBRC": str(settings), "MPLBACKEND": "TkAgg or another"},
        cwd=ROOT,
        check=True,
        capture_output=True,
        timeout=300,
    )
    ours, theirs = ({path.name: path.read_bytes() for path in (run / "figures").iterdir()} for run in runs)
    assert ours == theirs
    assert len(ours) > 2


def test_many_methods_of_ones_own_look_unlike() -> None:
    names = [f"package.module:method_{number:02d}" for number in range(36)]
    styles = method_styles([*names, "native"])
    assert len(set(styles.values())) == 37
    assert [styles[name] for name in names[: len(OTHER_STYLES)]] == [*OTHER_STYLES]
    assert method_styles([*names, "zz"])["zz"] == OTHER_STYLES[0]
