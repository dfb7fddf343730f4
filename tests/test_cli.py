"""The verbs: what they print, what they write, and that bad input ends as one line and exit code 2."""

from __future__ import annotations

import inspect
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

import harness
from harness.cli import cli
from harness.errors import UserError
from harness.session import runs
from harness.vocabulary import EXIT_CELLS, EXIT_INTERRUPTED, EXIT_USAGE, SHIPPED
from tests.benchmarks import test_harness as benchmarks
from tests.command_line import refused
from tests.recorded import record
from tests.sidecar import SIDECAR

ROOT = Path(__file__).parent.parent

TINY = """
title = "Tiny"
methods = ["native", "gather"]
phases = ["forward"]
[axes]
n = 64
k = [4, 100]
[timing]
block_seconds = 0.0001
rounds = 2
launches = 1
"""

Run = Callable[..., Result]


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """call(verb, ...) -> its result; studies and results lie in `tmp_path`."""
    monkeypatch.setattr(sys, "path", list(sys.path))  # the command line adds to it
    (tmp_path / "tiny.toml").write_text(TINY)

    def run(verb: str, *arguments: object) -> Result:
        folders = ["--studies", str(tmp_path)]
        if verb in ("run", "plot"):
            folders += ["--results", str(tmp_path / "results")]
        return CliRunner().invoke(cli, [verb, *map(str, arguments), *folders])

    return run


@pytest.mark.parametrize("verb", [[], *([name] for name in cli.commands)], ids=lambda verb: "".join(verb) or "harness")
def test_every_verb_has_help_with_an_example(verb: list[str]) -> None:
    result = CliRunner().invoke(cli, [*verb, "--help"])
    assert result.exit_code == 0
    assert re.search(rf"Example: python -m harness {''.join(verb)}", result.stdout)


def test_the_verbs_are_those_of_the_design() -> None:
    verbs = "new plan run plot keep compare duel bisect report history export list doctor"
    assert sorted(cli.commands) == sorted(verbs.split())


BAD_STUDIES = {
    "misspelt": TINY.replace("rounds", "ruonds"),
    "no_module": TINY.replace("gather", "no.such.module:method"),
    "no_method": TINY.replace("gather", "tests.acceptance.faults:no_such"),
    "not_a_method": TINY.replace("gather", "json:loads"),
    "no_module_name": TINY.replace("gather", ":method"),
    "relative_module": TINY.replace("gather", ".faults:method"),
    "broken_module": TINY.replace("gather", "broken_module_of_a_test:method"),
    "a name with spaces": TINY,
}


@pytest.mark.parametrize("verb", ["plan", "run"])
@pytest.mark.parametrize("name", BAD_STUDIES)
def test_a_bad_study_is_refused_before_anything_is_measured(call: Run, tmp_path: Path, name: str, verb: str) -> None:
    (tmp_path / "broken_module_of_a_test.py").write_text("1 / 0")
    sys.path.insert(0, str(tmp_path))
    (tmp_path / f"{name}.toml").write_text(BAD_STUDIES[name])
    if (verb, name) != ("plan", "a name with spaces"):
        refused(call(verb, name))
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("plan", "tinny"), ("unknown study 'tinny'", "tiny", "did you mean 'tiny'?")),
        (("plan", "no/such.toml"), ("no/such.toml: no such file",)),
        (("plan", "no/such"), ("no/such.toml: no such file",)),
        (("plot", "no/such"), ("no/such: no such file",)),
        (("plot", "tests"), ("tests: not the folder of a run",)),
        (("plot", "no/such.toml"), ("no/such.toml: no such file",)),
        (("plan", "tiny", "--only", "n=65"), ("--only n=65", "'65'", "64")),
        (("plan", "tiny", "--only", "m=1"), ("unknown axis 'm'", "dtype")),
        (("run",), ("--resume",)),
        (("run", "tiny", "--resume", "here"), ("--resume",)),
        (("run", "--resume", "nowhere"), ("nowhere/run.json", "No such file")),
        (("run", "tiny", "tinny"), ("unknown study 'tinny'",)),
        (("run", "tiny", "--only", "method=dense"), ("'dense'", "native, gather")),
        (("plot", "tiny"), ("unknown run 'tiny'",)),
        (
            ("duel", "tiny", "--base-rev", "HEAD", "--until-decided", "nan"),
            ("duel: --until-decided nan: must be a finite number",),
        ),
        (
            ("bisect", "tiny", "--good", "HEAD", "--until-decided", "inf"),
            ("bisect: --until-decided inf: must be a finite",),
        ),
    ],
    ids=lambda each: " ".join(each) if isinstance(each, tuple) else "",
)
def test_bad_input_is_one_line(call: Run, tmp_path: Path, arguments: tuple[str, ...], words: tuple[str, ...]) -> None:
    message = refused(call(*arguments))
    assert all(word in message for word in words), message
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize(
    ("info", "word"),
    [("{", "not JSON"), ("[]", "not a JSON object"), ('{"schema": 99}', "schema 99")],
)
@pytest.mark.parametrize("verb", [("plot",), ("run", "--resume")], ids=" ".join)
def test_a_folder_that_holds_no_run_is_refused(
    call: Run, tmp_path: Path, verb: tuple[str, ...], info: str, word: str
) -> None:
    (tmp_path / "run.json").write_text(info)
    assert word in refused(call(*verb, tmp_path))


@pytest.mark.parametrize("missing", ["end", "text", "only", "machine"])
def test_a_sidecar_that_lacks_a_key_is_not_resumed(call: Run, tmp_path: Path, missing: str) -> None:
    info = SIDECAR | {"study": "gone", "text": TINY}
    info["machine"] = {"slug": "another"}
    (tmp_path / "run.json").write_text(json.dumps({key: value for key, value in info.items() if key != missing}))
    assert missing in refused(call("run", "--resume", tmp_path))


def test_a_figure_of_a_damaged_table_is_refused(call: Run, tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text(json.dumps(SIDECAR | {"study": "drawn"}))
    (tmp_path / "cells.csv").write_text("case,method\na,b\n")
    (tmp_path / "drawn.py").write_text("def draw(run):\n    return run.cells\nFIGURES = (draw,)\n")
    assert "cells.csv" in refused(call("plot", tmp_path))


@pytest.mark.parametrize("arguments", [["rnu"], ["plan"], ["keep"], ["run", "--olny", "n=64"]], ids=" ".join)
def test_a_wrong_word_on_the_command_line_is_refused(arguments: list[str]) -> None:
    result = CliRunner().invoke(cli, arguments)
    assert result.exit_code == EXIT_USAGE
    assert isinstance(result.exception, SystemExit)
    assert result.stderr.splitlines()[-1].startswith("Error: ")


def test_the_process_ends_with_that_one_line_too(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "harness", "plan", "tinny", "--studies", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == EXIT_USAGE
    shipped = ", ".join(sorted(path.stem for path in SHIPPED.glob("*.toml")))
    assert done.stderr == f"harness: {tmp_path}: unknown study 'tinny' (allowed: {shipped})\n"
    assert done.stdout == ""


def test_a_plan_prints_cases_cells_bytes_skips_and_time(call: Run, tmp_path: Path) -> None:
    text = TINY.replace('"gather"', '"gather", "dense"') + "[limits]\nmemory = 1000\n"
    (tmp_path / "skips.toml").write_text(text)
    result = call("plan", "skips")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.splitlines()[:-1] == [
        "n = 64: k = 100 is 100, dropped (1 <= k <= n)",
        "1 case, 5 cells (4 to measure, 1 to skip) x 1 launch",
        "largest cell: 528 bytes (native, n = 64, k = 4, float32)",
        "skip 1: dense: needs 1552 bytes, over limits.memory = 1000",
    ]
    assert re.fullmatch(r"expected time: about \d+ s", result.stdout.splitlines()[-1])
    assert not (tmp_path / "results").exists()


def test_a_listing_has_the_studies_of_the_folder(call: Run) -> None:
    result = call("list")
    assert result.exit_code == 0
    lines = [" ".join(line.split()) for line in result.stdout.splitlines()]
    assert {"studies:", "tiny Tiny", "smoke Everything, small", "methods:", "distributions:", "metrics:"} <= set(lines)


def test_a_run_is_written_closed_with_a_table_and_drawn(call: Run, tmp_path: Path) -> None:
    script = "from matplotlib.figure import Figure\ndef empty(run):\n    return Figure()\nFIGURES = (empty,)\n"
    (tmp_path / "tiny.py").write_text(script)
    result = call("run", "tiny", "--only", "method=native", "--only", "k=4", "--plot")
    assert (result.exit_code, result.stderr) == (0, ""), result.output
    (folder,) = (tmp_path / "results").glob("*/tiny/*")
    *_, native, files, following = result.stdout.splitlines()
    assert native.split() == ["native", "0.0e+00", "1", "ok"]
    assert files == f"files: {folder}, 1 figure in figures/"
    assert following == f"next: `harness report {folder} --studies {tmp_path}` (a page for the browser)"
    written = harness.read(folder)
    assert len(written.timings) == 2 * 3  # rounds x (native and the yardsticks)
    assert set(written.cells["method"]) == {"native", "copy", "read"}
    assert written.info["only"] == ["method=native", "k=4"]
    drawn = [folder / "figures" / f"empty.{kind}" for kind in ("png", "svg")]
    assert all(path.stat().st_size > 100 for path in drawn)
    drawn[0].unlink()
    assert call("plot", "tiny").stdout.split() == [str(drawn[0])]
    assert drawn[0].exists()
    assert "complete" in refused(call("run", "--resume", folder))


def test_more_launches_are_asked_for_and_are_kept_by_resume(call: Run, tmp_path: Path) -> None:
    assert call("plan", "tiny", "--launches", 2).stdout.count("x 2 launches") == 1
    result = call("run", "tiny", "--only", "method=native", "--launches", 2)
    assert result.exit_code == 0, result.output
    (folder,) = (tmp_path / "results").glob("*/tiny/*")
    assert harness.read(folder).cells["launch"].max() == 2
    sidecar = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    (folder / "run.json").write_text(json.dumps(sidecar | {"end": None}), encoding="utf-8")
    log = (folder / "cells.csv").read_text(encoding="utf-8").splitlines(keepends=True)
    (folder / "cells.csv").write_text("".join(log[: 1 + len(log) // 2]), encoding="utf-8")
    assert harness.read(folder).cells["launch"].max() == 1
    assert call("run", "--resume", folder).exit_code == 0
    assert harness.read(folder).cells["launch"].max() == 2


def test_a_script_that_draws_nothing_is_told(call: Run, tmp_path: Path) -> None:
    assert call("run", "tiny").exit_code == 0
    script = tmp_path / "tiny.py"
    script.write_text("FIGURES = ()\n")
    none = call("plot", "tiny")
    assert (none.exit_code, none.stdout) == (0, f"tiny: nothing to draw: {script} has no FIGURES\n")
    script.write_text("def bad(run):\n    return run.bad\nFIGURES = (bad,)\n")
    failed = call("plot", "tiny")
    assert failed.exit_code == EXIT_USAGE
    assert failed.stdout.startswith(f"no figure bad: {script}:2: AttributeError: ")
    assert failed.stderr == f"harness: tiny: nothing was drawn: this run can show none of the FIGURES in {script}\n"


def test_a_run_that_cannot_be_drawn_does_not_keep_the_others_from_it(call: Run, tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        record(tmp_path / "results" / "here" / name / "20260101T000000Z_x", launches=1, study=name)
        (tmp_path / f"{name}.py").write_text("FIGURES = ()\n")
    (tmp_path / "results" / "here" / "a" / "20260101T000000Z_x" / "run.json").write_text("{")
    (tmp_path / "b.py").write_text("def bad(run):\n    return run.bad\nFIGURES = (bad,)\n")
    for words in ((), ("a", "b", "c")):
        result = call("plot", *words)
        assert result.exit_code == EXIT_USAGE
        damaged, undrawn = result.stderr.splitlines()
        assert "run.json: not JSON" in damaged
        assert undrawn.startswith("harness: b: nothing was drawn")
        assert "c: nothing to draw" in result.stdout


def test_a_run_with_an_incorrect_cell_is_written_and_ends_with_code_4(call: Run, tmp_path: Path) -> None:
    path = "tests.acceptance.faults:wrong_values"
    (tmp_path / "wrong.toml").write_text(TINY.replace("gather", path))
    result = call("run", "wrong")
    assert result.exit_code == EXIT_CELLS == 4
    assert re.search(rf"^{path} .*1 incorrect$", result.stdout, re.MULTILINE)
    assert f"broken: 1 cell, so exit code 4: row 3 ({path} n=64 k=4 " in result.stdout
    (folder,) = (tmp_path / "results").glob("*/wrong/*")
    assert set(harness.read(folder).cells.query("status == 'incorrect'")["method"]) == {path}


@pytest.mark.parametrize("arguments", [("tiny",), ("--resume", "somewhere")], ids=" ".join)
@pytest.mark.parametrize("option", [("--scheduler", "tcp://here:1"), ("--local-cluster", "2")], ids=" ".join)
def test_a_run_is_begun_and_resumed_on_the_cluster_that_is_named(
    call: Run, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], option: tuple[str, str]
) -> None:
    places: list[Any] = []

    def on_cluster(which: Any, say: Any) -> Any:
        return nullcontext(f"on {which}")

    def measured(*_: object, place: Any, **__: object) -> None:
        places.append(place)
        raise UserError("that is enough")

    for name in ("on_scheduler", "on_local_workers"):
        monkeypatch.setattr(f"harness.distribute.{name}", on_cluster)
    for name in ("run", "resume"):
        monkeypatch.setattr(runs, name, measured)
    assert refused(call("run", *arguments, *option)) == "harness: that is enough"
    assert places == [f"on {option[1]}"]


def test_what_is_interrupted_before_it_measured_anything_says_no_more(
    call: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(runs, "run", interrupted)
    result = call("run", "tiny")
    assert (result.exit_code, result.stderr) == (EXIT_INTERRUPTED, "harness: interrupted\n")
    assert EXIT_INTERRUPTED == 130


def test_of_several_studies_those_before_the_interrupted_one_are_closed(
    call: Run, monkeypatch: pytest.MonkeyPatch, smoke: harness.tables.Run
) -> None:
    answers = iter([smoke])

    def second_is_interrupted(*_: object, **__: object) -> harness.tables.Run:
        for each in answers:
            return each
        raise KeyboardInterrupt

    monkeypatch.setattr(runs, "run", second_is_interrupted)
    result = call("run", "tiny", "tiny")
    assert result.exit_code == EXIT_INTERRUPTED
    assert f"files: {smoke.path}" in result.stdout


def test_a_broken_cell_of_an_earlier_study_decides_the_exit_code_too(
    call: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    statuses = iter([{"gather": "crashed"}, {}])

    def measured(*_: object, **__: object) -> harness.tables.Run:
        status = next(statuses)
        return harness.tables.read(record(tmp_path / f"results{len(status)}", launches=1, status=status))

    monkeypatch.setattr(runs, "run", measured)
    assert call("run", "tiny", "tiny").exit_code == EXIT_CELLS


def test_make_help_lists_every_target() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)
    assert targets is not None
    printed = subprocess.run(
        ["make", "--no-print-directory", "help"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    listed = [line.split()[:2] for line in printed.splitlines()]
    assert listed == [["make", name] for name in targets[1].split()]
    assert {"setup", "bench", "plots", "regress", "baseline", "test", "lint"} <= set(targets[1].split())


def test_the_torch_that_make_installs_may_be_a_wheel() -> None:
    """Its stamp lies in .venv, whatever the path of the wheel."""
    command = ["make", "--no-print-directory", "--dry-run", "setup", "TORCH=/tmp/wheels/torch-2.9.1.whl"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "touch .venv/installed--tmp-wheels-torch-2.9.1.whl"


def test_microbench_compares_with_its_last_run_and_its_first_run_has_none(tmp_path: Path) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8").replace("\\\n", " ")
    found = re.search(r"pytest tests/benchmarks (.*)$", makefile, re.MULTILINE)
    assert found is not None
    options = shlex.split(found[1].replace("$$machine", "here"))
    (tmp_path / "test_nothing.py").write_text("def test_nothing(benchmark):\n    benchmark(int)\n")
    command = [sys.executable, "-m", "pytest", "test_nothing.py", "-c", str(ROOT / "pyproject.toml"), *options]
    command += ["--benchmark-max-time=0.001"]
    alone = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    for compared in (0, 1):
        done = subprocess.run(command, cwd=tmp_path, env=alone, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        assert len(re.findall(r"^test_nothing \(0001_\w+\)", done.stdout, re.MULTILINE)) == compared
        (saved,) = tmp_path.glob(f"results/here/microbench/*/000{1 + compared}_*.json")
    # As under another kernel: told, and no error.
    saved.write_text(saved.read_text().replace('"release": "', '"release": "other '))
    done = subprocess.run(command, cwd=tmp_path, env=alone, capture_output=True, text=True, check=False)
    assert (done.returncode, "machine_info is different" in done.stderr) == (0, True)


class Once:
    """The fixture `benchmark` of pytest-benchmark, which calls what it is given once and takes no time."""

    def __call__(self, function: Callable[..., Any], *arguments: Any) -> Any:
        return function(*arguments)

    def pedantic(self, function: Callable[..., Any], setup: Callable[[], Any], rounds: int) -> Any:
        arguments, options = setup()
        return function(*arguments, **options)


BENCHMARKS = {name: each for name, each in vars(benchmarks).items() if name.startswith("test_")}


@pytest.mark.parametrize("name", BENCHMARKS)
def test_each_benchmark_of_the_harness_itself_runs(name: str, tmp_path: Path) -> None:
    """Nothing else would tell that one no longer fits what it measures."""
    benchmark = BENCHMARKS[name]
    swept = [mark.args for mark in getattr(benchmark, "pytestmark", [])] or [("", [""])]
    ((argument, values),) = swept
    has_folder = {"tmp_path": tmp_path} if "tmp_path" in inspect.signature(benchmark).parameters else {}
    for value in values:
        benchmark(benchmark=Once(), **has_folder, **({argument: value} if argument else {}))
