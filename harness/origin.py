"""Where the code of a duel's side lies: the working tree, or a commit in a worktree of its own; under which Python."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from harness.errors import UserError
from harness.machine import Revision, this_revision
from harness.measure.process import Worker, cores_for_workers


@dataclass(frozen=True)
class Origin:
    """Where the code of a side lies, which interpreter runs it, and which revision it is."""

    folder: Path
    interpreter: str
    revision: Revision

    def spawn(self) -> Worker:
        """A worker of this side that is starting. Raises UserError where there is no such interpreter."""
        return Worker.spawn(cores_for_workers(), self.interpreter, self.folder)


@contextmanager
def base_origin(revision: str | None, interpreter: str | None) -> Iterator[Origin]:
    """The base: a commit in a worktree of its own, or the working tree under another interpreter.

    Raises UserError where there is no such commit or interpreter.
    """
    python = interpreter or sys.executable
    if os.sep in python:  # the base may run in another folder; links stay, since a venv is its link
        python = str(Path.cwd() / python)
    if revision is None:
        yield Origin(Path.cwd(), python, this_revision())
        return
    commit = _git("rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}", failing=f"no commit '{revision}' here")
    with tempfile.TemporaryDirectory(prefix="topk-base-") as parent:
        folder = Path(parent) / "base"
        try:
            _git("worktree", "add", "--detach", str(folder), commit, failing=f"cannot check out '{revision}'")
            yield Origin(folder, python, Revision(commit, dirty=False))
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            subprocess.run(["git", "worktree", "prune"], capture_output=True, check=False)


def _git(*arguments: str, failing: str) -> str:
    try:
        done = subprocess.run(["git", *arguments], capture_output=True, text=True, check=True)
    except OSError as error:
        raise UserError(f"duel: git: {error.strerror}") from None
    except subprocess.CalledProcessError as error:
        told = (error.stderr.strip().splitlines() or [""])[-1]
        raise UserError(f"duel: {failing}" + (f": {told}" if told else "")) from None
    return done.stdout.strip()
