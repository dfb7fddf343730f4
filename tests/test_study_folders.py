"""Which study file and which script a word means: one's own, a shipped one, or the one at a path."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import harness
from harness import machine
from harness.errors import UserError
from harness.machine import UNKNOWN, Revision, measured_revision, package_revision, this_revision
from harness.planning.loading import plan_of
from harness.scripts.studies import load_script
from harness.study.folders import find_study, home_named, home_of, study_files
from harness.tables import read
from harness.vocabulary import SHIPPED, STUDIES, studies_option
from tests.command_line import call, refused
from tests.fake_worker import SMALL, in_their_place

ROOT = Path(__file__).parent.parent

DRAWING = '''
import style


def {name}(run):
    """A figure of {place}."""
    from matplotlib import pyplot

    return pyplot.figure()


WHOSE = style.__file__
FIGURES = ({name},)
'''


@pytest.fixture
def away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder outside the repository, which is the current one; workers are fakes."""
    (tmp_path / "away").mkdir()
    monkeypatch.chdir(tmp_path / "away")
    monkeypatch.setattr(sys, "path", list(sys.path))
    in_their_place(monkeypatch)
    return tmp_path / "away"


def begin(folder: Path, name: str, place: str = "here") -> Path:
    """A small study with a script in a folder; returns the study file."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.py").write_text(DRAWING.format(name="figure", place=place), encoding="utf-8")
    (folder / f"{name}.toml").write_text(SMALL, encoding="utf-8")
    return folder / f"{name}.toml"


def test_a_name_means_ones_own_study_and_behind_it_a_shipped_one(away: Path) -> None:
    assert find_study("speed") == SHIPPED / "speed.toml"
    own = begin(away / "studies", "speed")
    assert find_study("speed") == own.relative_to(away)
    assert home_of("speed", STUDIES) == STUDIES
    assert home_of("ties", STUDIES) == SHIPPED
    assert home_of("nowhere", STUDIES) == STUDIES
    assert set(study_files(STUDIES)) == {path.stem for path in SHIPPED.glob("*.toml")}
    begin(away / "studies", "mine")
    assert study_files(STUDIES)["mine"] == Path("studies/mine.toml")


def test_a_path_means_that_file_whatever_lies_elsewhere(away: Path) -> None:
    begin(away / "other", "speed")
    for word in ("other/speed.toml", "other/speed", str(away / "other" / "speed.toml")):
        assert find_study(word).resolve() == away / "other" / "speed.toml"
    assert home_named("other/speed.toml", STUDIES) == Path("other")
    assert home_named("speed", STUDIES) == STUDIES
    for word in ("other/sped.toml", "sped.toml", "./sped"):
        with pytest.raises(UserError, match=rf"^{re.escape(str(Path(word).with_suffix('.toml')))}: no such file$"):
            find_study(word)


def test_every_verb_finds_the_script_beside_a_study_at_a_path(away: Path) -> None:
    begin(away / "other", "mine", "other")
    begin(away / "studies", "mine", "studies")
    ran = call("run", "other/mine.toml", "--plot")
    assert ran.exit_code == 0, ran.output
    assert "1 figure in figures/" in ran.stdout
    assert "`harness report mine --studies other`" in ran.stdout
    (folder,) = away.glob("results/*/mine/*")
    for word, options, place in (
        ("other/mine.toml", (), "other"),
        ("mine", ("--studies", "other"), "other"),
        ("mine", (), "studies"),
        (str(folder), (), "studies"),
    ):
        assert call("plot", word, *options).exit_code == 0
        assert call("report", word, *options, "--output", "page.html").exit_code == 0
        assert f"A figure of {place}." in Path("page.html").read_text(encoding="utf-8")
    assert call("compare", "other/mine.toml", "mine").exit_code == 0
    assert call("export", "other/mine.toml", "--to", "markdown").exit_code == 0
    info = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    (folder / "run.json").write_text(json.dumps(info | {"dirty": False}), encoding="utf-8")
    kept = call("keep", "other/mine.toml")
    assert kept.exit_code == 0, kept.output
    assert list(away.glob("results/*/mine/reference/figures/figure.png"))


def test_in_python_the_script_lies_beside_the_file_too(away: Path) -> None:
    study = begin(away / "other", "mine")
    study.with_suffix(".py").write_text(
        "def measure(study):\n"
        "    from harness import Case\n"
        "    case = Case(n=16, k=4)\n"
        "    key = {'case': case.id, 'method': 'native'} | case.axes\n"
        "    yield key | {'fact': 'x', 'item': 'y', 'value': 1.0, 'detail': ''}\n"
    )
    run = harness.run(harness.load_study("other/mine.toml"), away / "results", say=lambda _: None)
    assert run.facts["fact"].tolist() == ["x"]
    narrowed = harness.load_study("other/mine.toml", only=["n=16"]).with_launches(1)
    assert narrowed.folder == Path("other")


def test_in_python_a_study_is_named_as_on_the_command_line(away: Path) -> None:
    assert harness.load_study("smoke").folder == SHIPPED
    begin(away / "studies", "smoke")
    assert harness.load_study("smoke").title == "Small"
    with pytest.raises(UserError, match="unknown study 'smokes'"):
        harness.load_study("smokes")


def test_a_stopped_run_of_a_study_at_a_path_says_how_it_goes_on(away: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begin(away / "other place", "mine")
    monkeypatch.setattr("harness.session.sweep.Sweep.rows", stopped)
    result = call("run", "other place/mine.toml")
    found = re.search(r"`harness run --resume (\S+) --studies 'other place'`", result.stderr)
    assert found, result.output
    assert (away / found[1] / "run.json").is_file()


def stopped(*_: object) -> None:
    raise KeyboardInterrupt


def test_each_script_has_the_modules_beside_it_and_behind_them_the_shipped_ones(away: Path) -> None:
    begin(away / "one", "mine")
    begin(away / "two", "mine")
    (away / "two" / "style.py").write_text("", encoding="utf-8")
    path = list(sys.path)
    for folder, style in (("one", SHIPPED), ("two", away / "two"), ("one", SHIPPED)):
        script = load_script("mine", Path(folder))
        assert script.figures[0].__globals__["WHOSE"] == str(style.resolve() / "style.py")
    assert sys.path == path
    assert "style" not in sys.modules or sys.modules["style"].__file__ == str(SHIPPED / "style.py")


def test_a_folder_of_studies_that_is_not_there_is_one_line_and_the_usual_one_may_be_missing(away: Path) -> None:
    for verb in (("list",), ("plan", "smoke"), ("run", "smoke"), ("plot", "smoke"), ("new", "mine")):
        assert refused(call(*verb, "--studies", "nowhere")) == "harness: nowhere: no such folder"
    assert call("list").exit_code == 0
    assert call("plan", "smoke").exit_code == 0
    assert list(away.iterdir()) == []


def test_an_option_names_the_folder_only_where_it_must() -> None:
    assert [studies_option(each) for each in (STUDIES, SHIPPED, Path("a b"))] == ["", "", " --studies 'a b'"]


# A study that is begun


def test_a_new_study_is_written_once_and_nothing_is_overwritten(away: Path) -> None:
    made = call("new", "mine")
    assert made.exit_code == 0, made.output
    assert made.stdout.splitlines()[:2] == ["studies/mine.toml", "studies/mine.py"]
    (away / "studies" / "mine.toml").write_text("mine")
    assert refused(call("new", "mine")) == "harness: studies/mine.toml: is there already, and is left as it is"
    assert (away / "studies" / "mine.toml").read_text() == "mine"
    (away / "studies" / "mine.toml").unlink()
    assert "studies/mine.py: is there already" in refused(call("new", "mine"))
    assert not (away / "studies" / "mine.toml").exists()
    assert call("new", "deep/er/mine").exit_code == 0
    assert {path.name for path in (away / "deep" / "er").iterdir()} == {"mine.toml", "mine.py"}


@pytest.mark.parametrize(
    "name", ["speed", "style", "json", "torch", "__main__", "", ".", "..", "a b", "-x", "a.b", "x" * 300, "é"]
)
def test_a_name_that_would_do_harm_is_one_line_and_writes_nothing(away: Path, name: str) -> None:
    assert refused(call("new", "--", name)).startswith("harness: new: '")
    assert list(away.iterdir()) == []


def test_every_line_of_a_new_study_that_is_commented_out_is_right_once_it_is_not(away: Path) -> None:
    call("new", "mine")
    text = (away / "studies" / "mine.toml").read_text(encoding="utf-8")
    lines = text.splitlines()
    off = [place for place, line in enumerate(lines) if re.match(r" *# (\w+ = |\[|\"my_)", line)]
    assert len(off) > 10
    for place in off:
        line = lines[place].replace("# ", "", 1)
        if "my_package" not in line:
            lines[place] = line
    text = "\n".join(lines).replace("\nn = [1024, 4096, 16384]", "")  # which the shape has
    (away / "studies" / "mine.toml").write_text(text, encoding="utf-8")
    study = harness.load_study("studies/mine.toml")
    assert len(list(plan_of(study))) > 10
    assert set(tomllib.loads(study.text)) >= {
        "shapes",
        "exclude",
        "timing",
        "precision",
        "limits",
        "gate",
        "instructions",
    }


def test_a_new_script_draws_and_its_commented_functions_work(away: Path, smoke: harness.tables.Run) -> None:
    call("new", "mine")
    path = away / "studies" / "mine.py"
    text = path.read_text(encoding="utf-8")
    path.write_text(re.sub(r"^# ?((?:def |    |$).*)$", r"\1", text, flags=re.M), encoding="utf-8")
    script = load_script("mine", STUDIES)
    assert script.summary is not None
    assert script.measure is not None
    (line,) = script.summary(smoke)
    assert re.fullmatch(r"The largest speed-up over native is \d+\.\d\d\.", line)
    (row,) = script.measure(harness.load_study("studies/mine.toml"))
    assert (row["fact"], row["value"], row["n"]) == ("lowest_wins", 1.0, 1024)


# The version and the commit


def test_a_run_says_which_harness_measured_it_and_what_commit_was_measured(away: Path) -> None:
    begin(away, "mine")
    assert call("run", "mine.toml").exit_code == 0
    (folder,) = away.glob("results/*/mine/*")
    info = read(folder).info
    own = this_revision(ROOT)
    assert info["harness"] == {"version": harness.__version__, "commit": own.commit, "dirty": own.dirty}
    assert (info["commit"], info["dirty"]) == (own.commit, own.dirty)
    assert folder.name.split("_", 1)[1] == own.label


def repository(folder: Path) -> str:
    """A repository with one commit in a folder that has files; returns the commit."""
    person = {f"GIT_{who}_{what}": "x@y" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    for words in (["init", "--quiet"], ["add", "--all"], ["commit", "--quiet", "--message=x"]):
        subprocess.run(["git", *words], cwd=folder, env=os.environ | person, check=True)
    done = subprocess.run(["git", "rev-parse", "HEAD"], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_what_is_measured_is_the_harness_or_the_package_that_one_stands_in(away: Path) -> None:
    own = package_revision()
    assert own == this_revision(ROOT)
    assert measured_revision(outside=True) == measured_revision(outside=False) == own
    (away / "file").write_text("x")
    commit = repository(away)
    assert measured_revision(outside=True) == Revision(commit, dirty=False)
    assert measured_revision(outside=False) == own


def test_neither_results_nor_what_python_caches_make_a_commit_dirty(away: Path) -> None:
    """A repository of somebody without a .gitignore: else the second duel there would be of a dirty commit."""
    kept = away / "results" / "machine" / "mine" / "reference" / "run.json"
    kept.parent.mkdir(parents=True)
    kept.write_text("{}")
    commit = repository(away)
    for made in (kept.parent.with_name("now") / "run.json", away / "package" / "__pycache__" / "code.pyc"):
        made.parent.mkdir(parents=True)
        made.write_text("x")
        assert this_revision() == Revision(commit, dirty=False)
    kept.write_text("{ }")
    assert this_revision() == Revision(commit, dirty=True)
    kept.write_text("{}")
    (away / "package" / "code.py").write_text("")
    assert this_revision() == Revision(commit, dirty=True)


def test_a_package_installed_below_a_repository_of_somebody_is_of_no_commit_there(
    away: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (away / "file").write_text("x")
    repository(away)
    package = away / "venv" / "harness"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    monkeypatch.setattr(machine, "PACKAGE", package)
    assert package_revision() == UNKNOWN
    for text, want in (
        (json.dumps({"commit": "a" * 40, "dirty": True}), Revision("a" * 40, True)),
        ("{", UNKNOWN),
        ("[]", UNKNOWN),
        ("{}", UNKNOWN),
        ("\xff", UNKNOWN),
    ):
        (package / "commit.json").write_text(text, encoding="latin-1")
        assert package_revision() == want
    (package / "commit.json").unlink()
    commit = repository(away)  # they keep the harness in their repository
    assert package_revision() == Revision(commit, dirty=False)


def test_the_version_is_that_of_the_package() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+", harness.__version__)
    assert call("--version").stdout == f"harness {harness.__version__}, commit {package_revision().label}\n"
