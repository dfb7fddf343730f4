"""Files with any damage, through the command line's own entry: no traceback, exit code 2, one line that names the file.

What is still valid after its damage is read: then the exit code is that of a run that is in order.
"""

from __future__ import annotations

import random
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

from click.testing import CliRunner

from harness.cli import cli
from harness.errors import UserError
from harness.tables import recover
from harness.vocabulary import EXIT_CELLS, EXIT_FAILED, EXIT_INCONCLUSIVE, EXIT_USAGE
from tests.acceptance.line import Line
from tests.acceptance.targets import Target, prepared
from tests.recorded import CASES, SECONDS

INPUTS, SEED, CPU_SECONDS = 10_000, 0, 600.0

FINE = (0, EXIT_FAILED, EXIT_INCONCLUSIVE, EXIT_CELLS)
"""Exit codes of files that are in order: a verdict may be any."""


@dataclass(frozen=True)
class Ending:
    """How one input ended; told: standard error, or the traceback's last line."""

    file: str
    command: tuple[str, ...]
    code: int
    told: str
    traceback: bool
    lines: int
    names_file: bool

    @property
    def refused(self) -> bool:
        return self.code == EXIT_USAGE

    @property
    def is_fine(self) -> bool:
        if self.traceback:
            return False
        return (self.refused and self.lines == 1 and self.names_file) or self.code in FINE


def measure() -> Iterator[Line]:
    """Counts over INPUTS inputs, and the CPU time that they took."""
    begin = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        endings = list(fuzz(Path(folder), INPUTS, SEED))
    for each in [each for each in endings if not each.is_fine][:20]:
        print(f"  {each}", file=sys.stderr)  # noqa: T201  (a program's own output)
    refused = [each for each in endings if each.refused]
    yield Line("damaged files that were read", len(endings), INPUTS, at_least=True)
    yield Line("tracebacks", sum(each.traceback for each in endings), 0.0)
    odd = [each for each in endings if not (each.traceback or each.refused or each.code in FINE)]
    yield Line("exit codes other than 2 (or, still valid, that of its verdicts)", len(odd), 0.0)
    yield Line("refusals of more or less than one line", sum(each.lines != 1 for each in refused), 0.0)
    yield Line("refusals that do not name the file", sum(not each.names_file for each in refused), 0.0)
    yield Line("share that was refused", len(refused) / len(endings), None)
    yield Line("seconds of the processor", time.process_time() - begin, CPU_SECONDS)


def fuzz(folder: Path, inputs: int, seed: int) -> Iterator[Ending]:
    """Damage one file after the other in `folder`, and give each to a command."""
    rng = random.Random(seed)
    targets = prepared(folder)
    whole = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    for number in range(inputs):
        target = targets[number % len(targets)]
        target.path.write_bytes(target.damage(rng, whole[target.path]))
        yield ended(target, rng.choice(target.commands))
        if "recover" in target.commands[-1]:
            for path in target.path.parent.glob("*.csv"):
                path.write_bytes(whole[path])
        target.path.write_bytes(whole[target.path])


def ended(target: Target, command: tuple[str, ...]) -> Ending:
    """How the command ends on the files as they lie there; no worker is started."""
    path = list(sys.path)  # the command line adds to it
    with warnings.catch_warnings(), mock.patch("harness.session.place.Worker.start", side_effect=_no_worker):
        warnings.simplefilter("ignore")
        if command[0] == "recover":
            code, told, error = _recovered(Path(command[1]))
        else:
            result = CliRunner().invoke(cli, command)
            code, told = result.exit_code, result.stderr
            error = None if isinstance(result.exception, SystemExit) else result.exception
    sys.path[:] = path
    names = any(each in told for each in (str(target.path), str(target.path.parent), f"harness: {target.path.stem}:"))
    failed = f"{type(error).__name__}: {error}" if error else told
    return Ending(target.path.name, command, code, failed, error is not None, len(told.splitlines()), names)


def _recovered(folder: Path) -> tuple[int, str, BaseException | None]:
    """What `run --resume` does to the tables before it measures: exit code, message, what else was raised."""
    try:
        recover(folder, {case.id: len(SECONDS) for case in CASES})
    except UserError as error:
        return EXIT_USAGE, str(error), None
    except Exception as error:
        return 1, "", error
    return 0, "", None


def _no_worker(*_: object) -> None:
    raise UserError("harness: no worker: results/here/recorded/20260102T000000Z_b is as it was")
