"""What TAB offers for each word of the command line, and that it reads no results and imports nothing slow for it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import click
import pytest
from click.shell_completion import ShellComplete

import harness
from harness.cli import cli
from harness.cli.completion import only_items
from harness.export import FORMATS
from harness.vocabulary import AXES, EXPORTS
from tests.study_texts import SHIPPED

STUDY = """
title = "Trial"
methods = ["native", "dense"]
[axes]
dtype = ["float16", "float32", "float64"]
n = 64
k = [4, "n/4"]
"""
SHAPED = """
title = "Shaped"
methods = "native"
[axes]
dtype = ["float32", "bfloat16"]
rows = [1, 2]
[shapes.wide]
n = 64
rows = 8
[shapes.deep]
n = 8
"""

Offered = Callable[..., list[str]]


@pytest.fixture
def offered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Offered:
    """offered(word, ..., begun) -> what completes the last word, in a folder with two studies, runs and a duel."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.chdir(tmp_path)
    files = {
        "studies/trial.toml": STUDY,
        "studies/shaped.toml": SHAPED,
        "studies/broken.toml": "title =",
        "mine/own.toml": STUDY,
        "results/here/trial/2_a/run.json": "{}",
        "results/here/trial/baseline/1_a/run.json": "{}",
        "results/there/shaped/reference/run.json": "{}",
        "results/there/history.csv": "",
        "results/here/fought/3_a_vs_b/verdicts.csv": "",
        "results/here/fought/3_a_vs_b/head/run.json": "{}",
        "kept/else/saved/4_a/run.json": "{}",
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def complete(*words: str) -> list[str]:
        found = ShellComplete(cli, {}, "harness", "_HARNESS_COMPLETE").get_completions(list(words[:-1]), words[-1])
        return [item.value if item.type == "plain" else f"a {item.type}" for item in found]

    return complete


@pytest.mark.parametrize("verb", ["plan", "run", "duel"])
def test_names_of_studies(offered: Offered, verb: str) -> None:
    names = [path.stem for path in SHIPPED]
    assert offered(verb, "") == sorted(["broken", "shaped", "trial", *names])
    assert offered(verb, "tr") == ["trial"]
    assert offered(verb, "--studies", "mine", "") == sorted(["own", *names])
    assert offered(verb, "mine/o") == ["a file"]


def test_a_run_is_of_several_studies(offered: Offered) -> None:
    assert offered("run", "trial", "sh") == ["shaped"]


def test_names_of_runs(offered: Offered) -> None:
    assert offered("plot", "") == ["shaped", "trial"]
    assert offered("plot", "trial", "sh") == ["shaped"]
    assert offered("plot", "--results", "kept", "") == ["saved"]
    assert offered("plot", "results/h") == ["a dir"]


def test_an_export_is_of_a_duel_too(offered: Offered) -> None:
    assert offered("export", "") == ["fought", "shaped", "trial"]


def test_what_is_compared_with_may_be_a_baseline(offered: Offered) -> None:
    assert offered("compare", "") == ["shaped", "trial", "trial/baseline"]
    assert offered("compare", "trial/baseline", "tr") == ["trial", "trial/baseline"]


def test_formats_and_machines(offered: Offered) -> None:
    assert offered("export", "trial", "--to", "") == sorted(FORMATS)
    assert offered("export", "--to", "m") == ["markdown"]
    assert offered("history", "--machine", "") == ["there"]


@pytest.mark.parametrize("verb", ["plan", "run", "duel"])
def test_axes_of_the_study_and_their_values(offered: Offered, verb: str) -> None:
    assert offered(verb, "trial", "--only", "") == ["dtype=", "k=", "method=", "n="]
    assert offered(verb, "trial", "--only", "d") == ["dtype="]
    assert offered(verb, "trial", "--only", "dtype=") == ["dtype=float16", "dtype=float32", "dtype=float64"]
    assert offered(verb, "trial", "--only", "dtype=float32,f") == ["dtype=float32,float16", "dtype=float32,float64"]
    assert offered(verb, "trial", "--only", "k=n") == ["k=n/4"]
    assert offered(verb, "trial", "--only", "n=64", "--only", "method=d") == ["method=dense"]
    assert offered(verb, "trial", "--only", "seed=") == []


def test_axes_of_a_study_of_shapes_are_those_that_can_be_narrowed(offered: Offered) -> None:
    assert offered("plan", "shaped", "--only", "") == ["dtype=", "method=", "shape="]
    assert offered("plan", "shaped", "--only", "shape=w") == ["shape=wide"]


@pytest.mark.parametrize("study", [(), ("broken",), ("no_such",)], ids="".join)
def test_without_a_study_that_can_be_read_every_axis_is_offered(offered: Offered, study: tuple[str, ...]) -> None:
    assert offered("plan", *study, "--only", "") == sorted(f"{axis}=" for axis in (*AXES, "method"))
    assert offered("plan", *study, "--only", "dtype=") == []


def test_a_study_that_is_nested_too_deeply_offers_every_axis(offered: Offered) -> None:
    Path("studies/deep.toml").write_text("title = " + "[" * 5000)
    assert offered("plan", "deep", "--only", "dt") == ["dtype="]


@pytest.mark.parametrize("verb", cli.commands)
def test_verbs_and_their_options_are_offered(offered: Offered, verb: str) -> None:
    assert verb in offered("")
    assert {name for each in cli.commands[verb].params for name in each.opts if name[:2] == "--"} <= {
        *offered(verb, "--")
    }


def test_what_takes_a_study_or_a_run_or_a_format_says_what_there_is() -> None:
    """A verb that is added is completed too."""
    named = {"study", "studies_named", "word", "words", "bases", "head", "only", "to", "machine"}
    parameters = [each for command in cli.commands.values() for each in command.params if each.name in named]
    bare = click.Argument(["bare"])
    assert len(parameters) > 10
    assert [each.name for each in parameters if each._custom_shell_complete is bare._custom_shell_complete] == []


def test_the_formats_that_are_offered_are_those_of_export() -> None:
    assert tuple(FORMATS) == EXPORTS


def test_what_is_offered_for_only_is_taken_by_the_shipped_studies() -> None:
    for path in SHIPPED:
        context = click.Context(cli.commands["plan"])
        context.params = {"study": path.stem, "studies": path.parent}
        parameter = context.command.params[0]
        axes = [item.value for item in only_items(context, parameter, "")]
        items = [item.value for axis in axes for item in only_items(context, parameter, axis)]
        assert items
        for item in items:
            assert harness.load_study(path, [item]).title


SLOW = ("torch", "pandas", "numpy", "pydantic", "matplotlib", "scipy")
BASH = f"""
import sys
from harness.cli import main
try:
    main()
finally:
    print(sorted(set({SLOW!r}) & set(sys.modules)), file=sys.stderr)
"""


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("harness pl", ["plain,plan", "plain,plot"]),
        ("harness plan tr", ["plain,trial"]),
        ("harness plot s", ["plain,shaped"]),
        ("harness plan trial --only dt", ["plain,dtype="]),
        ("harness export trial --to ju", ["plain,junit"]),
    ],
    ids=lambda each: each if isinstance(each, str) else "",
)
def test_a_shell_gets_it_without_anything_slow(offered: Offered, words: str, found: list[str]) -> None:
    root = Path(__file__).parent.parent
    asked = {"_HARNESS_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(len(words.split()) - 1)}
    done = subprocess.run(
        [sys.executable, "-c", BASH],
        env=os.environ | asked | {"PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout.splitlines(), done.stderr) == (found, "[]\n")
