"""The program of the long demonstrations: it runs those that are named, or none."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.vocabulary import EXIT_USAGE
from tests.acceptance import aa, accelerator
from tests.acceptance.__main__ import demonstrations, main


def test_a_name_that_no_demonstration_has_is_one_line_and_nothing_is_run(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["kills", "kils"]) == EXIT_USAGE
    told = capsys.readouterr()
    assert told.out == ""
    (line,) = told.err.splitlines()
    known = demonstrations()
    assert {"gate", "kills", "statuses"} <= set(known)
    assert line == (
        f"tests.acceptance: unknown demonstration 'kils' (allowed: {', '.join(known)}); did you mean 'kills'?"
    )


def test_the_study_of_a_demonstration_has_no_script_beside_it() -> None:
    """A module of its name would be taken for its script, and the `measure` of a demonstration is another one."""
    assert aa.STUDY.exists()
    assert not aa.STUDY.with_suffix(".py").exists()


def test_the_clocks_of_an_accelerator_are_rehearsed_without_one() -> None:
    bench = accelerator.rehearsal()
    lines = [*accelerator.against_graph(bench), *accelerator.grows_with_work(bench), *accelerator.throttled(bench)]
    assert [str(line) for line in lines if not line.holds] == []
    assert sum(line.bound is not None for line in lines) == 5


def test_a_device_without_its_gate_passes_no_bound() -> None:
    bench = accelerator.rehearsal()
    bench = replace(bench, device=replace(bench.device, sleep=lambda seconds: None))
    assert not any(line.holds for line in accelerator.against_graph(bench))
