"""The program of the long demonstrations: it runs those that are named, or none."""

from __future__ import annotations

import pytest

from harness.vocabulary import EXIT_USAGE
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
