"""The workflows of GitHub: what they call exists, they may do little, and their own scripts do what they say."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from harness.cli import cli
from harness.export import FORMATS
from harness.tables import append_history
from tests.judged_runs import begin, chain, commit
from tests.scratch_history import Commit, make_history

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / ".github" / "workflows"
WORKFLOWS = {path.name: path for path in sorted(FOLDER.glob("*.yml"))}
TEXTS = {
    **WORKFLOWS,
    "run": ROOT / ".ci" / "run",
    "last_history": ROOT / ".ci" / "last_history",
    "Makefile": ROOT / "Makefile",
}

GIVEN = re.compile(r"\$\{\{(.*?)\}\}", re.DOTALL)


def workflow(name: str) -> dict[Any, Any]:
    return yaml.safe_load(WORKFLOWS[name].read_text(encoding="utf-8"))


def jobs() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Every job: its workflow, its name, and what it says."""
    for name in WORKFLOWS:
        for job, told in workflow(name)["jobs"].items():
            yield name, job, told


def steps(name: str, job: str) -> list[dict[str, Any]]:
    return workflow(name)["jobs"][job]["steps"]


def script(name: str, job: str, word: str) -> str:
    """The one script of a job in which this word stands."""
    (found,) = [each["run"] for each in steps(name, job) if word in each.get("run", "")]
    return str(found)


@pytest.mark.parametrize("name", TEXTS)
def test_every_command_exists(name: str) -> None:
    text = TEXTS[name].read_text(encoding="utf-8")
    listed = [names.split(",") for names in re.findall(r"tests/test_\{([\w,]+)\}\.py", text)]
    files = {
        *re.findall(r"\b(?:bash|python) ([\w./]+)", text),
        *(f"tests/test_{each}.py" for many in listed for each in many),
    }
    assert [each for each in files if not (ROOT / each).is_file()] == []
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    called = re.findall(r"\bmake(?: -C \S+)?((?: [a-z-]+)+)((?: [A-Z_]+=\S+)*)", text) if name != "Makefile" else []
    for targets, variables in called:
        assert {*targets.split()} <= {*re.findall(r"^([a-z-]+):", makefile, re.MULTILINE)}
        assert {*re.findall(r"([A-Z_]+)=", variables)} <= {*re.findall(r"^([A-Z_]+) \?=", makefile, re.MULTILINE)}
    for verb, options in re.findall(r"(?:bin|BIN\))/harness ([a-z]+)(.*)", text):
        known = {option for each in cli.commands[verb].params for option in each.opts}
        assert {*re.findall(r"(?<=\s)--[a-z-]+", options)} <= known, f"harness {verb} {options}"
    assert {*re.findall(r"--to (\S+)", text)} <= {*FORMATS}


def test_this_test_sees_the_commands() -> None:
    """Of each kind there is at least one that would be found to be wrong."""
    text = "".join(path.read_text(encoding="utf-8") for path in WORKFLOWS.values())
    assert {"export", "history"} <= {*re.findall(r"bin/harness ([a-z]+)", text)}
    assert {"setup", "regress"} <= {*re.findall(r"\bmake(?: -C \S+)? ([a-z]+)", text)}
    of_pull_requests = WORKFLOWS["regress.yml"].read_text(encoding="utf-8")
    assert {"regress"} <= {*re.findall(r"\bmake ([a-z]+)", of_pull_requests)}
    assert re.findall(r"--to (\S+)", of_pull_requests) == ["markdown", "junit"]


def test_every_action_is_pinned_to_a_commit_and_says_its_version() -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in WORKFLOWS.values())
    used = re.findall(r"uses: (.*)", text)
    assert len(used) == sum("uses" in step for _, _, job in jobs() for step in job["steps"])
    pinned: dict[str, tuple[str | Any, ...]] = {}
    for each in used:
        action = re.fullmatch(r"(actions/[a-z-]+)@([0-9a-f]{40})  # (v[0-9]+\.[0-9]+\.[0-9]+)", each)
        assert action is not None, each
        assert pinned.setdefault(action[1], action.groups()) == action.groups()  # everywhere the same


WRITING = {("regress.yml", "comment"): {"pull-requests": "write"}, ("release.yml", "release"): {"contents": "write"}}
"""The jobs with a token that can write."""


def test_a_job_that_may_write_runs_no_code_of_the_repository() -> None:
    found = {}
    for name in WORKFLOWS:
        assert set(workflow(name)["permissions"].values()) == {"read"}
    for name, job, told in jobs():
        if "write" in told.get("permissions", {}).values():
            found[name, job] = told["permissions"]
            used = {each.get("uses", "").partition("@")[0] for each in told["steps"]}
            assert used == {"", "actions/download-artifact"}
            for each in told["steps"]:
                assert not re.search(r"\b(bash|sh|make|python|harness|source|eval|chmod)\b", each.get("run", ""))
    assert found == WRITING
    comment = workflow("regress.yml")["jobs"]["comment"]
    assert "github.event.pull_request.head.repo.full_name == github.repository" in comment["if"]
    assert workflow("release.yml")[True] == {"push": {"tags": ["v*"]}}  # which a fork cannot push


@pytest.mark.parametrize("name", WORKFLOWS)
def test_a_fork_gets_no_secret_and_no_word_of_its_own_into_a_script(name: str) -> None:
    text = WORKFLOWS[name].read_text(encoding="utf-8")
    triggers = workflow(name)[True]  # what YAML 1.1 makes of `on`
    assert not {"pull_request_target", "workflow_run"} & {*triggers}
    given = [each.strip() for each in GIVEN.findall(text)]
    assert not [each for each in given if "secrets" in each]
    for job in workflow(name)["jobs"].values():
        for step in job["steps"]:
            assert not GIVEN.findall(step.get("run", ""))  # it comes by the environment, where it is no code
            if step.get("uses", "").startswith("actions/checkout@"):
                assert step["with"]["persist-credentials"] is False


def test_what_a_fork_may_do_is_said() -> None:
    text = (FOLDER / "regress.yml").read_text(encoding="utf-8").partition("name: regress")[0]
    for word in ("fork", "without secrets", "can only read", "workflow_run", "summary"):
        assert word in text


def test_both_environments_are_kept_and_so_are_the_page_and_the_history() -> None:
    kept: dict[tuple[str, str], list[str]] = {}
    for name, job, told in jobs():
        for step in told["steps"]:
            if step.get("uses", "").startswith(("actions/cache@", "actions/upload-artifact@")):
                what = step["uses"].partition("/")[2].partition("@")[0]
                kept.setdefault((f"{name}:{job}", what), []).extend(step["with"]["path"].split())
                assert step["with"].get("key", "runner.os").count("runner.os") == 1
    assert kept["ci.yml:test", "cache"] == [".venv", ".venvs"]
    assert kept["regress.yml:duel", "cache"] == [".venv", "~/base/.venv"]
    for job in ("regress.yml:duel", "nightly.yml:history"):
        assert {"results/*/history.html", "results/*/history.csv"} <= {*kept[job, "upload-artifact"]}
    assert "schedule" in workflow("nightly.yml")[True]


GH = """#!/bin/sh
echo "$@" >> "$CALLS"
case "$*" in
*--paginate*) cat "$COMMENTED" ;;
*"run list"*) printf '3\\n2\\n1\\n' ;;
*"runs/2/artifacts"*) echo 77 ;;
*"run download 2 "*) mkdir -p results && touch results/kept && exit "${DOWNLOADED:-0}" ;;
*"run download"*) exit 1 ;;
*body=@comment.md*) cp comment.md "$CALLS.body" ;;
esac
"""


@pytest.fixture
def github(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to stand in, with a `gh` that writes into `calls` what it is asked, and knows two earlier comments."""
    tool = tmp_path / "bin" / "gh"
    tool.parent.mkdir()
    tool.write_text(GH)
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tool.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("CALLS", str(tmp_path / "calls"))
    monkeypatch.setenv("COMMENTED", str(tmp_path / "commented"))
    (tmp_path / "commented").write_text("")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def calls(folder: Path) -> list[str]:
    return (folder / "calls").read_text().splitlines()


def run(text: str, *arguments: str, **variables: str) -> str:
    """What a script prints, run as GitHub runs one."""
    done = subprocess.run(
        ["bash", "-e", "-c", text, "step", *arguments],
        env=os.environ | variables,
        text=True,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_verdict_is_one_comment_that_later_runs_edit(github: Path) -> None:
    told = workflow("regress.yml")["jobs"]["comment"]
    variables = {"COMMENTS": "repos/o/r/issues", "NUMBER": "7", "MARK": told["env"]["MARK"]}
    text = script("regress.yml", "comment", "comment.md")
    (github / "verdict.md").write_text("### regression: 1 slower\n" + "x" * 70000)
    run(text, **variables)
    assert [each.split()[2:4] for each in calls(github)[1:]] == [["POST", "repos/o/r/issues/7/comments"]]
    body = (github / "calls.body").read_text()
    assert body.startswith(f"{variables['MARK']}\n### regression: 1 slower")
    assert len(body) < 65536
    (github / "commented").write_text("41\n42\n")
    run(text, **variables)
    assert calls(github)[-1].split()[2:4] == ["PATCH", "repos/o/r/issues/comments/41"]


def test_the_history_of_the_newest_run_that_has_kept_one_is_brought(github: Path) -> None:
    script_text, ours = (ROOT / ".ci" / "last_history").read_text(), {"GITHUB_REPOSITORY": "o/r"}
    run(script_text, "nightly.yml", "main", **ours)
    assert [each.split()[1] for each in calls(github) if "artifacts" in each] == [
        f"repos/o/r/actions/runs/{number}/artifacts" for number in (3, 2)
    ]
    assert [each.split()[2] for each in calls(github) if "download" in each] == ["2"]
    assert "--branch main" in calls(github)[0]
    assert (github / "results" / "kept").exists()
    with pytest.raises(AssertionError):  # or the night would go on from an older history, and keep that
        run(script_text, "nightly.yml", "main", **ours, DOWNLOADED="1")


def test_the_base_of_a_night_is_the_newest_head_of_all_machines_or_the_commit_before(github: Path) -> None:
    names = make_history(github / "here", [Commit({"a": str(number)}) for number in range(4)])
    text = script("nightly.yml", "history", "last_history").replace("bash .ci/last_history nightly.yml main", "true")
    os.chdir(github / "here")
    variables = {"GITHUB_ENV": str(github / "env")}
    run(text, **variables)
    rows = chain([1.0, 1.0])
    append_history(Path("results/old/history.csv"), rows.assign(head_commit=names[0]))
    append_history(Path("results/new/history.csv"), rows.assign(head_commit=names[1], begin=[begin(8), begin(9)]))
    run(text, **variables)
    append_history(Path("results/new/history.csv"), rows.assign(head_commit=commit(5), begin=begin(10)))  # in no branch
    run(text, **variables)
    assert (github / "env").read_text().split() == [f"BASE={each}" for each in (names[2], names[1], names[2])]


def test_the_reports_of_thirty_nights_are_kept(github: Path) -> None:
    text = script("nightly.yml", "history", "thirty").replace(".venv/bin/harness", "true")
    folder = github / "results" / "m" / "regression"
    for number in range(33):
        (folder / f"202601{number:02d}T000000Z_b_vs_a").mkdir(parents=True)
    (folder / "reference").mkdir()
    run(text)
    left = sorted(each.name for each in folder.iterdir())
    assert (len(left), left[0], left[-1]) == (31, "20260103T000000Z_b_vs_a", "reference")


def test_both_sides_have_one_environment_where_they_ask_for_the_same(github: Path) -> None:
    if shutil.which("sha256sum") is None:
        pytest.skip("there is no sha256sum")
    files = {"pyproject.toml": "1", "Makefile": "1"}
    names = make_history(github / "here", [Commit(files), Commit({"other": "1"}), Commit({"pyproject.toml": "2"})])
    os.chdir(github / "here")
    text = script("regress.yml", "duel", "worktree")
    for number, alike in ((1, True), (2, False)):
        subprocess.run(["git", "checkout", "--quiet", names[number]], check=True)
        home, output = github / f"home{number}", github / f"output{number}"
        run(text, HOME=str(home), BASE=names[0], GITHUB_OUTPUT=str(output))
        head, base = (each.partition("=")[2] for each in output.read_text().split())
        assert (head == base) == alike
