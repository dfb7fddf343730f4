"""The wheel in an empty folder: what a person has who installed it and never saw the repository."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from dataclasses import asdict
from pathlib import Path

import pytest

import harness
from harness.machine import code_digest, package_revision
from harness.tables import Run, newest_run, read
from harness.vocabulary import SHIPPED

ROOT = Path(__file__).parent.parent
NARROW = ("--only", "n=1024", "--only", "k=8", "--launches", "1")


def build(target: str, folder: Path) -> Path:
    """What a build of this working tree holds, unpacked into a folder as an installation would do it."""
    pytest.importorskip("hatchling", reason="it builds the wheel; the extra `dev` has it")
    built = folder / "built"
    command = [sys.executable, "-m", "hatchling", "build", "--target", target, "--directory", str(built)]
    subprocess.run(command, cwd=ROOT, capture_output=True, check=True)
    (wheel,) = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as packed:
        packed.extractall(folder / "site")
    return folder / "site"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, unpacked."""
    return build("wheel", tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the person stands in, at first empty."""
    return tmp_path_factory.mktemp("empty")


def call(site: Path, folder: Path, *words: str) -> str:
    """What `harness` prints there, which ends well; the repository is not on its path."""
    script = site.parent / "bin" / "harness"  # as pip writes it
    script.parent.mkdir(exist_ok=True)
    script.write_text("from harness.cli import main\nmain()\n", encoding="utf-8")
    done = subprocess.run(
        [sys.executable, str(script), *words],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
    return done.stdout


def test_the_wheel_has_the_package_the_studies_and_the_commit_and_nothing_else(site: Path) -> None:
    assert {each.name for each in site.iterdir()} == {"harness", f"topk_harness-{harness.__version__}.dist-info"}
    assert json.loads((site / "harness" / "commit.json").read_text()) == asdict(package_revision())
    own = {str(each.relative_to(ROOT / "harness")) for each in (ROOT / "harness").rglob("*") if each.is_file()}
    packed = {str(each.relative_to(site / "harness")) for each in (site / "harness").rglob("*") if each.is_file()}
    files = [each for each in SHIPPED.iterdir() if each.suffix in (".toml", ".py", ".md")]
    studies = {f"studies/{each.name}" for each in files if not each.stem.startswith("instrument")}
    assert packed == {each for each in own if "__pycache__" not in each} | studies | {"commit.json"}


def test_an_editable_install_is_a_link_to_the_working_tree(tmp_path: Path) -> None:
    site = build("wheel:editable", tmp_path)
    (link,) = site.glob("*.pth")
    assert link.read_text(encoding="utf-8").splitlines() == [str(ROOT)]
    assert not (site / "harness").exists()


def test_what_is_shipped_is_listed_told_and_of_the_same_code(site: Path, folder: Path) -> None:
    revision = package_revision()
    assert call(site, folder, "--version") == f"harness {harness.__version__}, commit {revision.label}\n"
    listed = call(site, folder, "list").partition("methods:")[0].split()
    assert {path.stem for path in SHIPPED.glob("*.toml")} - {"instrument"} <= set(listed)
    code = (
        "from harness.machine import code_digest; from harness.vocabulary import install; import harness; "
        "print(harness.__file__, code_digest(), install('peers'))"
    )
    told = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
        check=True,
    )
    extra = "pip install 'topk-harness[peers]'"
    assert told.stdout == f"{site / 'harness' / '__init__.py'} {code_digest()} {extra}\n"
    assert list(folder.iterdir()) == []


def test_a_study_begun_there_is_measured_drawn_and_reported_beside_a_shipped_one(
    site: Path, folder: Path, smoke: Run
) -> None:
    assert call(site, folder, "new", "mine").splitlines()[:2] == ["studies/mine.toml", "studies/mine.py"]
    (folder / "harness").mkdir()  # a package of theirs has the same name
    (folder / "harness" / "__init__.py").write_text("raise ImportError('not this one')\n", encoding="utf-8")
    drawn = call(site, folder, "run", "mine", *NARROW, "--plot")
    assert "2 figures in figures/" in drawn
    assert "to measure" in call(site, folder, "plan", "smoke")
    shutil.copytree(smoke.path.parents[2], folder / "results", dirs_exist_ok=True)
    run = read(newest_run(folder / "results", "mine"))
    assert run.path.is_relative_to(folder / "results")
    revision = asdict(package_revision())
    assert run.info["harness"] == {"version": harness.__version__} | revision
    assert {name: run.info[name] for name in revision} == revision
    assert set(run.cells["status"]) == {"ok"}
    assert {path.name for path in run.figures.glob("*.png")} == {"speed.png", "errors.png"}
    assert call(site, folder, "report", "mine", "smoke").strip() == "results/report.html"
    page = (folder / "results" / "report.html").read_text(encoding="utf-8")
    assert "<b>speed</b>: Speed-up over native by n" in page
    assert "<b>agreement</b>" in page
    assert {each.name for each in folder.iterdir()} == {"studies", "results", "harness"}
