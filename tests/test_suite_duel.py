"""Duels of a suite: which code each side runs, which suite, what only one side has, and what is refused."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pandas as pd
import pytest

from harness.duel import sets
from harness.duel.suite_launches import SuiteLaunches
from harness.errors import CannotRun, UserError
from harness.session.process import Worker
from harness.suite.definition import Suite, SuiteTest, narrowed
from harness.suite.sides import SuiteSide, homes_of, put_suite, refuse_same_code
from harness.tables import read_suite, read_suite_history, read_suite_verdicts
from harness.vocabulary import EXIT_FAILED, EXIT_INCONCLUSIVE
from tests.command_line import call, refused
from tests.scratch_history import git
from tests.weighed import weighed

HERE = ("--base-python", sys.executable)
TESTS = {
    "test_weighed.py::test_total[10]",
    "test_weighed.py::test_total[1000]",
    "test_weighed.py::test_sorted",
    "test_weighed.py::test_added",
    "test_newest.py::test_newest",
}


@pytest.fixture(scope="module")
def hash_seeds() -> list[int]:
    """Of the workers of `fought`, in the order in which they were started."""
    return []


@pytest.fixture(scope="module")
def fought(tmp_path_factory: pytest.TempPathFactory, hash_seeds: list[int]) -> Iterator[tuple[Path, Any]]:
    """The duel of both commits, and what its command printed; two launches a side."""
    folder = tmp_path_factory.mktemp("weighed")
    weighed(folder)
    spawn = SuiteSide.spawn

    def noted(side: SuiteSide, hash_seed: int = 0) -> Worker:
        hash_seeds.append(hash_seed)
        return spawn(side, hash_seed)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(SuiteSide, "spawn", noted)
        patched.setattr(sets, "LOOKS", (2,))
        patched.chdir(folder)
        result = call("duel", "--pytest", "bench", "--base-rev", "HEAD~1")
        (path,) = (each.parent for each in folder.glob("results/*/pytest-bench/*/verdicts.csv"))
        yield path, result


def short(tests: pd.Series) -> set[str]:
    return {each.removeprefix("bench/") for each in tests}


def test_both_sides_run_the_suite_of_the_head_each_with_its_own_package(fought: tuple[Path, Any]) -> None:
    """total() takes twice as long in the head; a test that only the head's suite has is measured on both sides."""
    base, head = (read_suite(fought[0] / side) for side in ("base", "head"))
    assert short(head.tests["test"]) == TESTS
    assert set(head.tests["status"]) == {"ok"}
    medians = [run.timings.groupby("test")["seconds"].median() for run in (base, head)]
    ratio = medians[1] / medians[0]
    assert ratio["bench/test_weighed.py::test_total[1000]"] > 1.5
    assert "bench/test_weighed.py::test_added" in ratio
    assert list(head.timings.columns[:2]) == ["test", "param_n"]
    values = head.timings.drop_duplicates("test").set_index("test")["param_n"]
    assert values["bench/test_weighed.py::test_total[1000]"] == "1000"
    assert values["bench/test_weighed.py::test_sorted"] == ""


def test_both_sides_take_turns_in_the_same_rounds(fought: tuple[Path, Any]) -> None:
    base, head = (read_suite(fought[0] / side).timings for side in ("base", "head"))
    both = pd.concat([base[base["test"].isin(head["test"])], head[head["test"].isin(base["test"])]])
    assert set(both["launch"]) == {1, 2}
    for _, positions in both.groupby(["test", "launch", "round"])["position"]:
        assert sorted(positions) == [0, 1]
    calls = both.groupby(["test", "launch"])["calls"].nunique()
    assert (calls == 1).all()


@pytest.mark.usefixtures("fought")
def test_sets_of_python_get_a_new_order_in_each_launch_and_the_same_on_both_sides(hash_seeds: list[int]) -> None:
    assert hash_seeds[-2:] == [2, 2]
    assert set(hash_seeds[:-2]) == {0}


def test_what_only_one_side_has_is_new_or_lost(fought: tuple[Path, Any]) -> None:
    verdicts = read_suite_verdicts(fought[0])
    told = verdicts[verdicts["kind"] == "test"].set_index("test")
    assert told["verdict"].to_dict() == {
        "bench/test_weighed.py::test_gone": "lost",
        "bench/test_newest.py::test_newest": "new",
    }
    assert told["reason"]["bench/test_weighed.py::test_gone"] == "it is not in the head"
    assert "cannot import name 'newest' from 'weighed'" in told["reason"]["bench/test_newest.py::test_newest"]
    assert set(verdicts.loc[verdicts["kind"] == "time", "verdict"]) == {"inconclusive"}  # two launches decide nothing


def test_the_command_prints_the_verdicts_and_the_sides(fought: tuple[Path, Any]) -> None:
    result = fought[1]
    assert result.exit_code == EXIT_FAILED, result.output
    lines = result.stdout.splitlines()
    assert lines[1] == "lost         bench/test_weighed.py::test_gone: it is not in the head"
    assert any("inconclusive bench/test_weighed.py::test_total[1000]: " in line for line in lines)
    assert any(line.startswith("6 quantities: 1 lost, 4 inconclusive, 1 new") for line in lines)
    python = ".".join(map(str, sys.version_info[:3]))
    assert any(line.startswith("base ") and line.count(f"Python {python}") == 2 for line in lines)
    assert "budget" in lines[-1]


def test_a_suite_is_reported_and_exported_and_compared(fought: tuple[Path, Any], tmp_path: Path) -> None:
    assert call("report", fought[0], "--output", tmp_path / "page.html").exit_code == 0
    assert call("export", fought[0], "--to", "junit").stdout.startswith("<?xml")
    told = call("compare", fought[0])
    assert told.exit_code == EXIT_FAILED
    assert "6 quantities: 1 lost, 4 inconclusive, 1 new" in told.stdout


def test_a_duel_of_a_suite_is_in_the_history_of_its_machine(fought: tuple[Path, Any]) -> None:
    (path,) = fought[0].parents[2].glob("*/history_of_suites.csv")
    assert set(read_suite_history(path)["study"]) == {fought[0].parent.name}


def test_nothing_of_the_repository_is_touched(fought: tuple[Path, Any]) -> None:
    folder = fought[0].parents[3]
    names = sorted(each.name for each in folder.iterdir())
    assert names == [".git", ".gitignore", "bench", "results", "weighed"]
    assert sorted(each.name for each in (folder / "bench").iterdir()) == ["test_newest.py", "test_weighed.py"]
    assert sorted(each.name for each in (folder / "weighed").iterdir()) == ["__init__.py"]
    assert git(folder, "status", "--porcelain") == ""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The repository of both commits, the current folder."""
    weighed(tmp_path / "repository")
    monkeypatch.chdir(tmp_path / "repository")
    monkeypatch.setattr(sets, "LOOKS", (1,))
    return tmp_path / "repository"


def test_a_package_in_src_is_found_in_the_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The working tree is found by PYTHONPATH, as an editable installation is."""
    weighed(tmp_path / "repository", root="src/")
    monkeypatch.chdir(tmp_path / "repository")
    monkeypatch.setattr(sets, "LOOKS", (1,))
    paths = os.pathsep.join(filter(None, (str(tmp_path / "repository/src"), os.environ.get("PYTHONPATH"))))
    monkeypatch.setenv("PYTHONPATH", paths)
    result = call("duel", "--pytest", "bench", "--base-rev", "HEAD~1", "--only", "n=1000", "--strict")
    assert result.exit_code == EXIT_INCONCLUSIVE, result.output
    (path,) = (each.parent for each in Path().glob("results/*/pytest-bench/*/verdicts.csv"))
    base, head = (read_suite(path / side).timings["seconds"].median() for side in ("base", "head"))
    assert head > 1.5 * base


@pytest.mark.parametrize("place", ["../other", "other"])
def test_another_folder_runs_its_own_suite(package: Path, tmp_path: Path, place: str) -> None:
    """Beside the working tree, or in it."""
    copied = Path(shutil.copytree(package, tmp_path / "copied", ignore=shutil.ignore_patterns(".git")))
    other = copied.rename(package / place)
    (other / "bench" / "test_newest.py").unlink()
    result = call("duel", "--pytest", "bench", "--base-path", other, "--only", "test=test_newest,test_sorted")
    assert "new          bench/test_newest.py::test_newest: skipped: the base does not have it" in result.stdout
    assert "inconclusive bench/test_weighed.py::test_sorted" in result.stdout
    assert sorted(each.name for each in (other / "bench").iterdir()) == ["test_weighed.py"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--pytest", "nowhere"], "--pytest nowhere: no such file or folder"),
        (["--pytest", "."], "name the folder of the benchmarks alone"),
        (["--pytest", ".."], "must be named from the current folder, and lie in it"),
        (["--pytest", "weighed"], "weighed: no test here has the fixture `benchmark`"),
        (["--pytest", "bench", "--only", "m=3"], "--only m=3: unknown axis 'm' (allowed: test, n)"),
        (["--pytest", "bench", "--only", "n=11"], "unknown n '11' (allowed: 10, 1000); did you mean '10'?"),
        (["--pytest", "bench", "--only", "test=test_totl"], "did you mean 'test_total'?"),
        (["--pytest", "bench", "--quantity", "time"], "--pytest cannot be combined with STUDY, --quantity"),
        (["--pytest", "bench", "--count"], "--pytest cannot be combined with STUDY, --quantity"),
        (["regression", "--pytest", "bench"], "--pytest cannot be combined with STUDY, --quantity"),
        (["--pytest", "bench", "--budget", "inf"], "--budget inf: must be a finite number"),
        (["--pytest", "bench", "--budget", "nan"], "--budget nan: must be a finite number"),
        (["--pytest", "bench", "--tolerance", "nan"], "--tolerance nan: must be a finite number"),
        (["--budget", "3"], "--budget and --tolerance are for --pytest"),
    ],
)
def test_what_cannot_be_measured_is_one_line(arguments: list[str], words: str, package: Path) -> None:
    assert words in refused(call("duel", *arguments, *HERE))


def test_a_base_whose_code_is_not_found_is_refused(package: Path) -> None:
    """The suite finds the package of the working tree by a path of its own, whichever side it is on."""
    conftest = f"import sys\nsys.path.insert(0, {str(package)!r})\n"
    (package / "bench" / "conftest.py").write_text(conftest, encoding="utf-8")
    line = refused(call("duel", "--pytest", "bench", "--base-rev", "HEAD~1"))
    assert "the base has no module weighed: the working tree's would be measured instead" in line


def test_a_working_tree_inside_the_base_does_not_count_as_the_base(tmp_path: Path) -> None:
    """A linked worktree often lies inside the main one, which may be its base."""
    linked = tmp_path / ".worktrees" / "new"
    side = SuiteSide("base", tmp_path, sys.executable, "bench", tmp_path, (), tmp_path, linked)
    refuse_same_code(side, {"mine": str(tmp_path / "mine.py")})
    with pytest.raises(CannotRun, match="the base has no module helper: the working tree's would be measured"):
        refuse_same_code(side, {"mine": str(tmp_path / "mine.py"), "helper": str(linked / "helper.py")})


def test_a_suite_that_imports_nothing_of_its_folder_is_refused(package: Path) -> None:
    (package / "bench" / "test_weighed.py").write_text("def test(benchmark):\n    benchmark(int)\n", encoding="utf-8")
    (package / "bench" / "test_newest.py").unlink()
    line = refused(call("duel", "--pytest", "bench", "--base-rev", "HEAD~1"))
    assert "the tests import nothing that lies in the base's folder outside bench" in line
    assert "--base-python" in line


def test_a_suite_that_cannot_be_collected_is_refused_with_its_error(package: Path) -> None:
    (package / "bench" / "test_weighed.py").write_text("import no_such_module\n", encoding="utf-8")
    (package / "bench" / "test_newest.py").unlink()
    line = refused(call("duel", "--pytest", "bench", *HERE))
    assert "the head cannot collect bench/test_weighed.py: ModuleNotFoundError: No module named 'no_such" in line


SOME = [
    SuiteTest("a.py::test_one[3-x]", (("n", "3"), ("kind", "x"))),
    SuiteTest("a.py::T::test_two"),
    SuiteTest("a.py::test_list[a,b]", (("names", "a,b"),)),
    SuiteTest("a.py::test_list[b]", (("names", "b"),)),
]


@pytest.mark.parametrize(
    ("only", "kept"),
    [
        ((), [0, 1, 2, 3]),
        (("n=3",), [0]),
        (("test=test_two",), [1]),
        (("test=a.py::T::test_two,test_one",), [0, 1]),
        (("names=a,b",), [2]),
        (("names=b",), [3]),
        (("test=a.py::test_list[a,b]",), [2]),
    ],
)
def test_tests_are_narrowed_by_name_and_by_parameters(only: tuple[str, ...], kept: list[int]) -> None:
    assert narrowed(SOME, only) == [SOME[each] for each in kept]


@pytest.mark.parametrize("only", [("n=4",), ("n",), ("kind=x", "test=test_two"), ("test=",), ("=",)])
def test_what_no_test_has_is_refused(only: tuple[str, ...]) -> None:
    with pytest.raises(UserError):
        narrowed(SOME, only)


def test_the_folder_of_a_package_is_told_from_its_modules() -> None:
    files = {"a": "/t/src/a/__init__.py", "a.b.c": "/t/src/a/b/c.py", "d": "/t/d.so", "conftest": "/t/x/y.py"}
    assert homes_of(files) == ["/t/src", "/t"]


def test_the_suite_of_the_head_takes_the_place_of_a_file_and_of_a_folder(tmp_path: Path) -> None:
    source, clone = tmp_path / "source", tmp_path / "clone"
    for folder in (source / "bench", clone):
        folder.mkdir(parents=True)
    (source / "bench" / "test_one.py").write_text("new")
    (clone / "bench").write_text("a file")
    put_suite("bench", source, clone)
    assert (clone / "bench" / "test_one.py").read_text() == "new"
    (source / "bench" / "test_one.py").write_text("newer")
    (clone / "bench" / "test_old.py").write_text("old")
    put_suite("bench", source, clone)
    assert {each.name: each.read_text() for each in (clone / "bench").iterdir()} == {"test_one.py": "newer"}


def test_the_suite_of_the_head_takes_the_place_of_all_of_the_bases_own(tmp_path: Path) -> None:
    """Of a conftest.py that the head no longer has, too; a link that leads nowhere is left out."""
    source, clone = tmp_path / "source", tmp_path / "clone"
    for folder in (source / "tests" / "bench", clone / "tests" / "bench"):
        folder.mkdir(parents=True)
        (folder / "test_one.py").write_text("")
    (source / "conftest.py").write_text("new")
    (source / "tests" / "bench" / "data").symlink_to("nowhere")
    (clone / "tests" / "conftest.py").write_text("old")
    (clone / "tests" / "helpers.py").write_text("of the base")
    put_suite("tests/bench", source, clone)
    files = sorted(str(each.relative_to(clone)) for each in clone.rglob("*") if not each.is_dir())
    assert files == ["conftest.py", "tests/bench/test_one.py", "tests/helpers.py"]


@pytest.mark.parametrize("linked", ["bench", "bench/sub", "conftest.py"])
def test_a_link_of_the_base_leads_to_nothing_that_is_written_or_removed(tmp_path: Path, linked: str) -> None:
    """A commit may hold a link to a place outside, where the head has a folder or a file of the suite."""
    source, clone, outside = (tmp_path / each for each in ("source", "clone", "outside"))
    for folder in (source / "bench" / "sub", clone / "bench", outside / "sub"):
        folder.mkdir(parents=True)
    for file in (
        source / "bench/sub/test_one.py",
        source / "conftest.py",
        outside / "sub/mine",
        outside / "conftest.py",
    ):
        file.write_text(f"of {file.parent.name}")
    if linked == "bench":
        (clone / "bench").rmdir()
    (clone / linked).symlink_to({"bench": outside, "bench/sub": outside / "sub"}.get(linked, outside / "conftest.py"))
    if linked == "bench":
        with pytest.raises(CannotRun, match=r"bench/sub behind a link that leads out of its folder"):
            put_suite("bench/sub", source, clone)
    else:
        put_suite("bench/sub", source, clone)
        assert (clone / "bench/sub/test_one.py").read_text() == "of sub"
    kept = {str(each.relative_to(outside)) for each in outside.rglob("*") if each.is_file()}
    assert kept == {"sub/mine", "conftest.py"}
    assert (outside / "conftest.py").read_text() == "of outside"


def test_the_tests_of_a_suite_share_what_the_first_set_may_take(tmp_path: Path) -> None:
    """120 s, of which the first set has 72; by its look after 12 launches, two tests may each take 3 s a launch."""
    given: list[float] = []

    class Runner:
        def renew(self) -> None:
            """There is no worker."""

        def run(self, test: object, planned: object, seed: int, seconds: float, *, measure: object) -> list[Any]:
            given.append(seconds)
            return []

    tests: Any = [(each, []) for each in SOME[:2]]
    launches = SuiteLaunches(Suite.of("bench", budget=120.0), tests, cast(Any, Runner()), [], tmp_path, [], [])
    for number in range(len(tests)):
        launches._measure(1, tests, number)
    assert given == pytest.approx([3.0, 3.0])


@pytest.mark.parametrize(("budget", "seconds"), [(None, 60.0), (3000.0, 600.0)])
def test_a_test_of_a_suite_may_take_a_fifth_of_a_long_budget(budget: float | None, seconds: float) -> None:
    assert Suite.of("bench", budget=budget).limits.seconds == seconds
