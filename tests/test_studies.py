"""The shipped studies, each at its small end: measured, every difference explained, every figure drawn."""

from __future__ import annotations

from pathlib import Path

import pytest

import harness
from harness.methods import Method, peers, registered
from harness.planning.loading import plan_of
from harness.precision.causes import CAUSES
from harness.scripts import drawing
from harness.scripts.drawing import draw_figures
from harness.scripts.studies import load_script
from harness.vocabulary import YARDSTICKS
from tests.planted import load

STUDIES = Path("studies")
SMALL = {
    "blockmax": ["dtype=float32", "n=16384,65536", "k=10", "rows=1", "distribution=normal,clustered"],
    "capability": ["rows=1"],
    "exceptions": ["rows=1", "mode=ieee,autocast-bfloat16"],
    "instrument": ["seed=0", "n=32768", "method=tests.planted.methods:twin,tests.planted.methods:slower_10,native"],
    "modes": ["method=native,coo", "n=1024", "threads=1", "mode=ieee,autocast-bfloat16"],
    "precision": ["n=256,2048", "k=8", "d=16,64"],
    "regression": ["method=native,gather", "n=1024", "dtype=float32"],
    "relaxations": ["n=256", "k=8", "seed=0"],
    "repeats": ["n=64", "dtype=float32", "mode=ieee"],
    "seed": ["seed=0,1,2"],
    "selection": ["n=64,4096", "k=8", "dtype=bfloat16,float32", "distribution=normal,uniform", "seed=0,1,2,3"],
    "smoke": ["dtype=float32"],
    "speed": ["method=native,dense,gather", "n=64,1024", "k=1,8", "dtype=float32"],
    "ties": ["n=64", "rows=1"],
    "workloads": ["shape=routing", "dtype=float32"],
}

PHASES = {"modes": ("forward", "backward")}
"""Of a study that compiles, which takes two seconds a phase; tests/test_compile.py compiles the others."""

FACTS = {"instrument": {"log_time", "effort", "drift", "fake_device", "wrong_gradient", "one_ulp"}}
"""What a study's script must have measured beside the cells."""

NOT_ASKED = {"workloads": set(harness.load_study(STUDIES / "workloads.toml").shapes) - {"routing"}}
"""Figures of shapes that the small end leaves out, or that are for a GPU: nothing is said of them."""

WITHOUT_A_RANK = {"speed": {"which_method"}}
"""Figures of what is fastest, which one launch does not tell: that they are not drawn is said."""

DRAWN_TWICE = "ties"
"""A study with a strip, whose points are strewn by chance, and few figures else. The committed figures of all of them
are drawn again where the references are tested."""


def test_no_study_is_left_out() -> None:
    assert set(SMALL) == {path.stem for path in STUDIES.glob("*.toml")}, "a study needs its small end in SMALL"


@pytest.mark.parametrize("name", sorted(SMALL))
def test_a_study_at_its_small_end(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    only = SMALL[name]
    monkeypatch.setattr(load, "LOADS", {"quiet": 0})  # busy processes would take the cores from the tests beside this
    study = harness.load_study(STUDIES / f"{name}.toml", only).with_launches(1)
    study = study.model_copy(update={"phases": PHASES.get(name, study.phases)})
    run = harness.run(study, tmp_path, say=lambda _: None)
    assert not run.cells["status"].isin(("crashed", "incorrect", "timeout")).any()
    assert set(run.facts["fact"]) >= FACTS.get(name, set())
    rows = run.discrepancies
    assert rows.loc[rows["metric"] == "cause_unexplained", "value"].sum() == 0
    assert set(rows["metric"].str.extract(r"^cause_(.*)", expand=False).dropna()) <= {*CAUSES, "unexplained"}
    said: list[str] = []
    if name != DRAWN_TWICE:  # to lay a figure out raises whatever a file of it would, and takes half of the time
        monkeypatch.setattr(drawing, "_picture", lambda figure, _: figure.draw_without_rendering() or b"")
    made = draw_figures(run, STUDIES, said.append)
    unranked = WITHOUT_A_RANK.get(name, set())
    assert {line.removeprefix("no figure ").partition(":")[0] for line in said if "no figure" in line} == unranked
    script = load_script(name, STUDIES)
    absent = NOT_ASKED.get(name, set()) | unranked
    drawn = [f"{each.__name__}.png" for each in script.figures if each.__name__ not in absent]
    assert [path.name for path in made] == drawn + (["summary.md"] if script.summary else [])
    if script.summary:
        text = made[-1].read_text(encoding="utf-8")
        assert text.splitlines()
        told_nan = [line for line in text.splitlines() if "nan" in line.lower()]
        assert [line for line in told_nan if not line.startswith("- nonfinite, ")] == []  # which is what that one is
    if name == DRAWN_TWICE:
        before = {path: path.read_bytes() for path in run.figures.glob("*.svg")}
        draw_figures(run, STUDIES)
        assert [path.name for path, drawn_first in before.items() if path.read_bytes() != drawn_first] == []


def test_speed_times_every_exact_method_that_needs_no_other_package() -> None:
    """Else its answer would be the fastest of some."""
    of_others = {each.name for each in vars(peers).values() if isinstance(each, Method)}
    ours = {name for name, each in registered().items() if each.exact and name not in {*of_others, *YARDSTICKS}}
    assert set(harness.load_study(STUDIES / "speed.toml").methods) == ours
    assert len(ours) > 10


def test_each_workload_has_its_figure() -> None:
    names = [each.__name__ for each in load_script("workloads", STUDIES).figures]
    assert names == ["table", *harness.load_study(STUDIES / "workloads.toml").shapes]


@pytest.mark.parametrize(
    ("name", "elements", "beyond"),
    [("speed", 2**28, 2**18), ("workloads", 2**28, 4_000_000)],
)
def test_sizes_of_a_gpu_are_planned_there_and_not_on_a_cpu(name: str, elements: int, beyond: int) -> None:
    """elements: of the largest y on a GPU; beyond: of the largest on a CPU."""
    largest: dict[str, int] = {}
    for case, cells in plan_of(harness.load_study(STUDIES / f"{name}.toml")):
        if any(each.method == "native" and not each.skip for each in cells):
            largest[case.device] = max(largest.get(case.device, 0), case.rows * case.n)
    assert largest == {"cpu": beyond, "cuda": elements}
