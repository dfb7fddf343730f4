"""Where the code of a duel's side lies: the working tree, or a commit in a clone of its own; under which Python."""

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
from harness.git import ask_git, refusal
from harness.machine import Revision, this_revision
from harness.measure.process import Worker, cores_for_workers

OBJECTS, ALTERNATES, SHALLOW = "objects", "objects/info/alternates", "shallow"
"""Files of a git repository: the object store, the stores it borrows from, and where the history of a clone ends."""


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
    """The base: a commit in a clone of its own, or the working tree under another interpreter.

    The clone lies in the temporary folder and borrows the objects of the user's repository, which never hears of it:
    whatever ends the duel, nothing is left there. A current folder inside the working tree has its counterpart inside
    the clone. Raises UserError where there is no such commit or interpreter.
    """
    python = interpreter or sys.executable
    if os.sep in python:  # the base may run in another folder; links stay, since a venv is its link
        python = str(Path.cwd() / python)
    if revision is None:
        yield Origin(Path.cwd(), python, this_revision())
        return
    commit = _git("rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}", failing=f"no commit '{revision}' here")
    inside = _git("rev-parse", "--show-prefix", failing="the current folder is in no working tree")
    with tempfile.TemporaryDirectory(prefix="topk-base-", ignore_cleanup_errors=True) as parent:
        clone = Path(parent) / "base"
        _check_out(commit, clone, failing=f"cannot check out '{revision}'")
        yield Origin(clone / inside, python, Revision(commit, dirty=False))


def _check_out(commit: str, clone: Path, failing: str) -> None:
    """Put the files of a commit into a new clone. Raises UserError where one of them cannot be had."""
    source = Path.cwd() / _git("rev-parse", "--git-common-dir", failing=failing)
    _git("clone", "--quiet", "--shared", "--no-checkout", "--template=", str(source), str(clone), failing=failing)
    _borrow(source, clone / ".git")
    for setting, value in _promises():
        _git("config", setting, value, folder=clone, failing=failing)
    _git("checkout", "--quiet", "--detach", commit, folder=clone, failing=failing)
    missing = _git("ls-files", "--deleted", folder=clone, failing=failing).splitlines()
    if missing:  # git ends with 0 where it could not read what it should have written
        raise UserError(f"duel: {failing}: this repository has no content of {missing[0]}")


def _borrow(source: Path, clone: Path) -> None:
    """Let a clone read every object of its source.

    Of a shallow repository git makes a true copy of what its branches reach, although it is told to share.
    """
    alternates = clone / ALTERNATES
    alternates.parent.mkdir(exist_ok=True)
    alternates.write_bytes(os.fsencode(source / OBJECTS) + b"\n")
    if (source / SHALLOW).is_file():
        shutil.copyfile(source / SHALLOW, clone / SHALLOW)


def _promises() -> list[tuple[str, str]]:
    """The settings by which a partial clone fetches what it lacks; a clone of it must fetch for itself."""
    try:
        settings = ask_git("config", "--get-regexp", r"^remote\..*\.(url|promisor|partialclonefilter)$").splitlines()
    except subprocess.CalledProcessError:  # no remote at all
        return []
    pairs = [(name, value) for name, _, value in (line.partition(" ") for line in settings)]
    promisors = {name.removesuffix(".promisor") for name, _ in pairs if name.endswith(".promisor")}
    return [(name, value) for name, value in pairs if name.rpartition(".")[0] in promisors]


def _git(*arguments: str, folder: Path | None = None, failing: str) -> str:
    try:
        return ask_git(*arguments, folder=folder)
    except OSError as error:
        raise UserError(f"duel: git: {error.strerror}") from None
    except subprocess.CalledProcessError as error:
        raise UserError(": ".join(filter(None, (f"duel: {failing}", refusal(error))))) from None
