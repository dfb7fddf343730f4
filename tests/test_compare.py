"""`compare` through the command line: every exit code, what is refused, and a baseline of several runs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from harness import cli as command_line
from harness.cli import cli
from harness.tables import SCHEMA_VERSION, read_history
from harness.vocabulary import EXIT_INTERNAL
from tests.recorded import record


def compared(tmp_path: Path, *arguments: object) -> Result:
    return CliRunner().invoke(cli, ["compare", *map(str, arguments), "--results", str(tmp_path / "results")])


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return record(tmp_path / "base", seed=1)


def test_the_same_twice_is_the_same_and_ends_with_0(base: Path, tmp_path: Path) -> None:
    result = compared(tmp_path, base, record(tmp_path / "head", seed=2))
    assert (result.exit_code, result.stderr) == (0, ""), result.output
    assert result.stdout.startswith("12 quantities: 12 same\nbase ")


def test_a_slower_method_is_named_and_ends_with_1(base: Path, tmp_path: Path) -> None:
    result = compared(tmp_path, base, record(tmp_path / "head", slower={"gather": 1.05}, seed=2))
    assert result.exit_code == 1
    *changed, counts, _ = result.stdout.splitlines()
    assert counts == "12 quantities: 2 slower, 10 same"
    assert all(line.startswith("slower       gather n=") and "time of forward" in line for line in changed)
    assert len(changed) == 2


def test_a_busier_machine_is_no_slower_method(base: Path, tmp_path: Path) -> None:
    """The yardstick slows down as well."""
    busy = dict.fromkeys(("native", "gather", "read"), 1.5)
    assert compared(tmp_path, base, record(tmp_path / "head", slower=busy, seed=2)).exit_code == 0


def test_a_larger_error_is_worse_and_ends_with_1(base: Path, tmp_path: Path) -> None:
    result = compared(tmp_path, base, record(tmp_path / "head", error=1.5, seed=2))
    assert result.exit_code == 1
    assert "ulp_max of dx against exact: 0.5 -> 1.5" in result.stdout


def test_what_vanished_is_lost_and_ends_with_1(base: Path, tmp_path: Path) -> None:
    result = compared(tmp_path, base, record(tmp_path / "head", status={"gather": "unsupported"}, seed=2))
    assert result.exit_code == 1
    assert result.stdout.count("lost         gather") == 2
    assert "unsupported: planted" in result.stdout


def test_what_only_the_head_has_is_new_and_ends_with_0(tmp_path: Path) -> None:
    base = record(tmp_path / "base", status={"gather": "unsupported"}, seed=1)
    result = compared(tmp_path, base, record(tmp_path / "head", seed=2))
    assert result.exit_code == 0
    assert "2 new" in result.stdout


def test_crashed_cells_end_with_4_before_anything_else(base: Path, tmp_path: Path) -> None:
    head = record(tmp_path / "head", status={"gather": "crashed"}, slower={"native": 2.0}, seed=2)
    assert compared(tmp_path, base, head).exit_code == 4


def test_too_few_launches_are_inconclusive_and_end_with_3_under_strict_alone(base: Path, tmp_path: Path) -> None:
    head = record(tmp_path / "head", launches=4, slower={"gather": 19.0}, seed=2)
    assert compared(tmp_path, base, head).exit_code == 0
    result = compared(tmp_path, base, head, "--strict")
    assert result.exit_code == 3
    assert "; fewer than 8 launches (it has 4), too few to judge even a large change" in result.stdout


@pytest.mark.parametrize(
    ("info", "words"),
    [
        ({"machine": {"slug": "there"}}, "machine 'here' and 'there'"),
        ({"study": "another"}, "study 'recorded' and 'another'"),
        ({"timing": {"block_seconds": 0.1, "rounds": 3, "fresh_memory": True}}, "block_seconds 0.001 and 0.1"),
        ({"schema": 99}, "schema 99"),
        ({"schema": SCHEMA_VERSION - 1}, f"schema {SCHEMA_VERSION} and {SCHEMA_VERSION - 1}"),
    ],
)
def test_what_is_not_comparable_ends_with_2_and_says_why(
    base: Path, tmp_path: Path, info: dict[str, Any], words: str
) -> None:
    result = compared(tmp_path, base, record(tmp_path / "head", **info))
    assert result.exit_code == 2
    assert words in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert not (tmp_path / "results").exists()


def test_a_fault_of_the_harness_ends_with_70(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    for name in ("stdin", "stdout", "stderr"):  # the command line takes others in their place
        monkeypatch.setattr(sys, name, getattr(sys, name))

    def broken(**_: object) -> None:
        raise RuntimeError("a fault of its own")

    monkeypatch.setattr(command_line.cli, "main", broken)
    with pytest.raises(SystemExit) as ended:
        command_line.main()
    assert ended.value.code == EXIT_INTERNAL == 70
    assert "a fault of its own" in capfd.readouterr().err


def test_a_baseline_pools_its_runs_and_its_spread_between_runs_counts(tmp_path: Path) -> None:
    """Runs that differ by 4 % among themselves do not make 5 % a slow-down, which one of them alone would."""
    study = tmp_path / "results" / "here" / "recorded"
    for number, factor in enumerate((0.96, 1.0, 1.04)):
        record(study / "baseline" / f"2026010{number}", slower={"gather": factor}, seed=number, commit="c")
    record(study / "20260201", slower={"gather": 1.05}, seed=7)
    alone = compared(tmp_path, study / "baseline" / "20260101", "recorded")
    assert alone.exit_code == 1
    pooled = compared(tmp_path, "recorded/baseline", "recorded")
    assert pooled.exit_code == 0
    assert pooled.stdout.count("inconclusive gather") == 2


def test_every_judged_run_is_added_to_the_history(base: Path, tmp_path: Path) -> None:
    head = record(tmp_path / "head", slower={"gather": 1.1}, seed=2)
    for _ in range(2):
        compared(tmp_path, base, head)
    rows = read_history(tmp_path / "results" / "here" / "history.csv")
    assert len(rows) == 2 * 12
    times = rows[(rows["kind"] == "time") & (rows["method"] == "gather")]
    assert times["level"].between(21.5, 22.5).all()  # 1.1 times 2e-4 s, in reads of 1e-5 s
    assert set(rows["head_commit"]) == {"head"}
