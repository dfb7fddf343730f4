"""The fuzz of the acceptance, a little of it: what is damaged ends as one line, and what is whole does not."""

from __future__ import annotations

from pathlib import Path

from harness.vocabulary import EXIT_USAGE
from tests.acceptance.fuzz import ended, fuzz
from tests.acceptance.targets import prepared

INPUTS, SEED = 200, 7
SHARE_REFUSED = 0.5
"""Damage that nothing notices would test nothing."""


def test_a_damaged_file_is_a_line_that_names_it_and_no_traceback(tmp_path: Path) -> None:
    endings = list(fuzz(tmp_path, INPUTS, SEED))
    assert [each for each in endings if not each.is_fine] == []
    assert sum(each.refused for each in endings) > SHARE_REFUSED * INPUTS


def test_what_is_not_damaged_is_read_by_every_command(tmp_path: Path) -> None:
    """But for a resume: the run is complete."""
    commands = {command: target for target in prepared(tmp_path) for command in target.commands}
    for command, target in commands.items():
        expected = EXIT_USAGE if "--resume" in command else 0
        assert ended(target, command).code == expected, command
