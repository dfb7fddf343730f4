"""Duels of a package that is not the harness: each side has the files of its own commit, folder or interpreter."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any, cast

import pytest

from harness.duel.origin import Origin, Packages, base_origin, working_tree
from harness.errors import CannotRun
from harness.machine import Revision
from harness.session.process import Worker
from harness.tables import Run, read
from harness.vocabulary import EXIT_FAILED, EXIT_USAGE
from tests.forked import COMMAND, shared
from tests.scratch_history import Commit, git, make_history

ROOT = Path(__file__).parent.parent
OUTSIDE = ROOT / "tests" / "outside"
METHOD = "topk_by_parts.selection:by_parts"
MODULE = "topk_by_parts/selection.py"
STUDY = (OUTSIDE / "studies" / "parts.toml").read_text(encoding="utf-8")
QUICK = STUDY.replace("budget_seconds = 120", "budget_seconds = 1").replace("rounds = 25", "rounds = 1")
"""The study of the example; so short a budget leaves one launch a side."""

NOT_YET = """    import torch

    from harness.methods import Unsupported

    def select(y: Any, k: int) -> Any:
        if y.shape[-1] % parts:
            raise Unsupported("parts of unequal length")
"""
"""The first lines of by_parts in a commit that has less than the example."""


def first_and_second() -> tuple[str, str]:
    """The module in two commits: the second takes any length."""
    text = (OUTSIDE / MODULE).read_text(encoding="utf-8")
    before = "    import torch\n\n    def select(y: Any, k: int) -> Any:\n"
    assert before in text
    return text.replace(before, NOT_YET), text


def package(folder: Path, root: str = "", study: str = QUICK) -> list[str]:
    """A repository of the example in two commits, its package in the folder `root` of it."""
    files = {each.name: each.read_text(encoding="utf-8") for each in (OUTSIDE / "topk_by_parts").glob("*.py")}
    first, second = first_and_second()
    files = {f"{root}topk_by_parts/{name}": text for name, text in files.items()}
    files |= {f"{root}{MODULE}": first, "studies/parts.toml": study, ".gitignore": "results\n__pycache__\n"}
    return make_history(folder, [Commit(files), Commit({f"{root}{MODULE}": second})])


def harness(folder: Path, *arguments: str | Path, path: str = "") -> subprocess.CompletedProcess[str]:
    """The command line in a folder, by an interpreter that finds this harness as an installed one; its workers under
    the same interpreter are forked. path: what else PYTHONPATH has."""
    paths = os.pathsep.join(filter(None, (path, str(ROOT))))
    return subprocess.run(
        [sys.executable, "-c", COMMAND, *map(str, arguments)],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": paths} | shared(),
        capture_output=True,
        text=True,
        check=False,
    )


def sides(folder: Path) -> tuple[Run, Run]:
    """Both runs of the one duel in a folder."""
    (duel,) = (path.parent for path in (folder / "results").glob("*/parts/*/verdicts.csv"))
    return read(duel / "base"), read(duel / "head")


def statuses(run: Run) -> set[str]:
    return {*run.cells.loc[run.cells["method"] == METHOD, "status"]}


def test_two_commits_of_the_example_are_duelled(tmp_path: Path) -> None:
    """The package is found by PYTHONPATH, which names the working tree: the base must not follow it."""
    first, second = package(tmp_path / "mine", "src/")
    done = harness(tmp_path / "mine", "duel", "parts", "--base-rev", "HEAD~1", path=str(tmp_path / "mine" / "src"))
    assert done.returncode == 0, done.stdout + done.stderr
    base, head = sides(tmp_path / "mine")
    assert (statuses(base), statuses(head)) == ({"unsupported", "ok"}, {"ok"})
    assert "parts of unequal length" in set(base.cells["reason"])
    assert (base.info["commit"], head.info["commit"]) == (first, second)
    codes = [run.info["torch"]["packages"]["topk_by_parts"] for run in (base, head)]
    assert codes[0] != codes[1]
    assert all(f"topk_by_parts {each}" in done.stdout for each in codes)
    assert re.search(r"\d new\b", done.stdout)
    assert git(tmp_path / "mine", "status", "--porcelain") == ""


def test_two_checkouts_of_the_example_are_duelled(tmp_path: Path) -> None:
    package(tmp_path / "mine")
    shutil.copytree(tmp_path / "mine", tmp_path / "other")
    git(tmp_path / "other", "checkout", "--quiet", "HEAD~1")
    done = harness(tmp_path / "other", "duel", "parts", "--base-path", "../mine")
    assert done.returncode == EXIT_FAILED, done.stdout + done.stderr
    base, head = sides(tmp_path / "other")
    assert (statuses(base), statuses(head)) == ({"ok"}, {"unsupported", "ok"})
    assert re.search(r"\d lost\b", done.stdout)


def test_two_installed_versions_of_the_example_are_duelled(tmp_path: Path) -> None:
    """Under two interpreters, from a folder that has a study and no package."""
    package(tmp_path / "mine")
    shutil.copytree(tmp_path / "mine", tmp_path / "older")
    git(tmp_path / "older", "checkout", "--quiet", "HEAD~1")
    (tmp_path / "here" / "studies").mkdir(parents=True)
    (tmp_path / "here" / "studies" / "parts.toml").write_text(QUICK, encoding="utf-8")
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\nPYTHONPATH='{tmp_path}/older' exec '{sys.executable}' \"$@\"\n", encoding="utf-8")
    python.chmod(0o755)
    done = harness(tmp_path / "here", "duel", "parts", "--base-python", python, path=str(tmp_path / "mine"))
    assert done.returncode == 0, done.stdout + done.stderr
    base, head = sides(tmp_path / "here")
    assert (statuses(base), statuses(head)) == ({"unsupported", "ok"}, {"ok"})


def test_an_old_commit_without_the_package_is_told_in_one_line(tmp_path: Path) -> None:
    """It must not be measured by the files of the working tree, which PYTHONPATH leads to."""
    folder = tmp_path / "mine"
    package(folder)
    git(folder, "checkout", "--quiet", "--orphan", "before")
    git(folder, "rm", "--quiet", "-r", "--cached", "topk_by_parts")
    git(folder, "-c", "user.name=n", "-c", "user.email=n@example.invalid", "commit", "--quiet", "-m", "before")
    git(folder, "checkout", "--quiet", "--force", "main")
    done = harness(folder, "duel", "parts", "--base-rev", "before", path=str(folder))
    assert (done.returncode, done.stdout) == (EXIT_USAGE, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("harness: duel: the base: no method of the study comes from its folder: ")
    assert "No module named 'topk_by_parts'" in line


def found(origin: Origin) -> str:
    """The file of a module, as a worker of an origin would find it: in the folder that it runs in, else by its path."""
    assert origin.packages is not None
    package = PathFinder.find_spec("topk_by_parts", [str(origin.folder / each) for each in ("", *origin.packages.path)])
    assert package is not None
    spec = PathFinder.find_spec("topk_by_parts.selection", package.submodule_search_locations)
    assert spec is not None
    return str(spec.origin)


@pytest.mark.parametrize("root", ["", "src/", "python/lib/"])
@pytest.mark.parametrize("inside", ["", "studies"])
@pytest.mark.parametrize("how", ["absolute", "relative", "path file", "import hook"])
def test_a_commit_has_its_own_files_however_the_package_is_found(
    root: str, inside: str, how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "mine"
    package(folder, root)
    home = folder / root
    monkeypatch.chdir(folder / inside)
    monkeypatch.delenv("PYTHONPATH", raising=False)
    monkeypatch.setattr(sys, "path", [each for each in sys.path if each])
    if how in ("absolute", "relative"):
        monkeypatch.setenv("PYTHONPATH", str(home) if how == "absolute" else os.path.relpath(home, Path.cwd()))
    if how == "import hook":  # setuptools has an editable installation found so
        monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, Hook(home)])
    else:
        sys.path.append(str(home))
    with base_origin("HEAD~1", None, None, [METHOD, "native"]) as base:
        top = next(path for path in (base.folder, *base.folder.parents) if (path / ".git").exists())
        assert found(base) == str(top / root / MODULE)
        assert "unequal" in Path(found(base)).read_text(encoding="utf-8")
        assert base.packages is not None
        assert (base.packages.own, base.packages.never_from) == (top, folder)
        assert not any(Path(each).is_relative_to(folder) for each in base.packages.path)


@pytest.mark.parametrize(("named", "meant"), [("other", "other/studies"), ("other/topk_by_parts",) * 2])
def test_of_another_checkout_the_counterpart_of_the_current_folder_is_meant(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: str, meant: str
) -> None:
    """A folder inside it means itself."""
    package(tmp_path / "mine")
    shutil.copytree(tmp_path / "mine", tmp_path / "other")
    monkeypatch.chdir(tmp_path / "mine" / "studies")
    with base_origin(None, None, Path("../..") / named, [METHOD]) as base:
        assert base.folder == tmp_path / meant


class Hook:
    """Finds the package in a folder that no entry of sys.path names."""

    def __init__(self, home: Path) -> None:
        self.home = home

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        return PathFinder.find_spec(name, [str(self.home)]) if name == "topk_by_parts" else None


@pytest.mark.parametrize(
    ("files", "methods", "words"),
    [
        ({"helper": "/tree/helper.py"}, {METHOD: "/clone/a.py"}, "it has no module helper: .*, /tree/helper.py"),
        ({}, {METHOD: "/site/a.py"}, "no method of the study comes from its folder: /site/a.py"),
        ({}, {}, "no method of the study comes from its folder: the study names none by import path"),
        ({"other": "/site/other.py", "mine": "/clone/mine.py"}, {METHOD: "/clone/a.py", "b:b": "/site/b.py"}, ""),
        ({"copy": "/tree/copy/mine.py"}, {METHOD: "/tree/copy/a.py"}, ""),
    ],
)
def test_a_side_whose_code_would_be_that_of_the_other_is_refused(
    files: dict[str, str], methods: dict[str, str], words: str
) -> None:
    class Located:
        def ask(self, request: object, seconds: float) -> dict[str, Any]:
            return {"files": files, "methods": methods, "failed": {}, "packages": {"topk_by_parts": "0.1.0"}}

    own = Path("/tree/copy" if "copy" in files else "/clone")
    side = Origin(own, "python", Revision("c", dirty=False), Packages((), own, Path("/tree")))
    if words:
        with pytest.raises(CannotRun, match=words):
            side.admit(cast(Worker, Located()), [METHOD])
    else:
        assert side.admit(cast(Worker, Located()), [METHOD]) == {"topk_by_parts": "0.1.0"}


def test_a_working_tree_inside_the_base_does_not_count_as_the_base(tmp_path: Path) -> None:
    """A linked worktree often lies inside the main one, which may be its base."""
    main, linked = tmp_path, tmp_path / ".worktrees" / "new"
    files: dict[str, str] = {}

    class Located:
        def ask(self, request: object, seconds: float) -> dict[str, Any]:
            methods = {METHOD: files["mine"]}
            return {"files": files, "methods": methods, "failed": {}, "packages": {"topk_by_parts": "0.1.0"}}

    side = Origin(main, "python", Revision("c", dirty=False), Packages((), main, linked))
    files |= {"mine": str(main / "mine.py")}
    assert side.admit(cast(Worker, Located()), [METHOD])
    files |= {"helper": str(linked / "helper.py")}
    with pytest.raises(CannotRun, match="it has no module helper: the working tree's would be measured instead"):
        side.admit(cast(Worker, Located()), [METHOD])


def test_an_environment_inside_a_checkout_is_not_that_of_the_base(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of two checkouts has a .venv. The base runs under this interpreter, and so with this one's torch."""
    package(tmp_path / "mine", "src/")
    site = Path(".venv", "lib", "python3.11", "site-packages")
    (tmp_path / "mine" / site).mkdir(parents=True)
    shutil.copytree(tmp_path / "mine", tmp_path / "other")
    monkeypatch.chdir(tmp_path / "mine")
    monkeypatch.delenv("PYTHONPATH", raising=False)
    paths = [*sys.path, str(tmp_path / "mine" / site), str(tmp_path / "mine" / "src")]
    monkeypatch.setattr(sys, "path", [each for each in paths if each])
    with base_origin(None, None, Path("../other"), [METHOD]) as base:
        assert base.packages is not None
        assert base.packages.path == (str(tmp_path / "other"), str(tmp_path / "other" / "src"))


def test_the_working_tree_asks_where_nothing_must_come_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", "lib")
    assert working_tree().packages == Packages((str(tmp_path), str(tmp_path / "lib")))
    monkeypatch.chdir(ROOT)
    assert working_tree().packages is None
