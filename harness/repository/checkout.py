"""A commit of the user's repository as files in a clone of its own, which the user's repository never hears of.

The clone lies in the temporary folder and borrows the objects of the user's repository: whatever ends the harness,
nothing is left in the repository.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from harness.errors import UserError
from harness.repository.git import ask_git, refusal

OBJECTS, ALTERNATES, SHALLOW = "objects", "objects/info/alternates", "shallow"
"""Files of a git repository: the object store, the stores it borrows from, and where the history of a clone ends."""

FETCH_ALL = "git fetch --unshallow"
"""What completes the history of a shallow clone."""


def commit_of(revision: str) -> str:
    """The commit that a revision means here. Raises UserError where there is none."""
    failing = f"no commit '{revision}' here"
    try:
        return git("rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}", failing=failing)
    except UserError as error:
        if shallow_file() is not None:
            raise UserError(f"{error}: this clone is shallow: `{FETCH_ALL}` fetches the rest of its history") from None
        raise


def shallow_file() -> Path | None:
    """The file that lists the commits at which the history of a shallow clone is cut; None of a whole repository."""
    try:
        path = Path.cwd() / ask_git("rev-parse", "--git-path", SHALLOW)
    except (OSError, subprocess.CalledProcessError):
        return None
    return path if path.is_file() else None


@contextmanager
def checked_out(commit: str, told_as: str = "") -> Iterator[Path]:
    """The files of a commit: the counterpart in a clone of the current folder, removed at the end.

    told_as: how the user named the commit. Raises UserError where the current folder is in no working tree, or a file
    of the commit cannot be had.
    """
    within = git("rev-parse", "--show-prefix", failing="the current folder is in no working tree")
    with tempfile.TemporaryDirectory(prefix="topk-base-", ignore_cleanup_errors=True) as parent:
        clone = Path(parent) / "base"
        failing = f"cannot check out '{told_as or commit}'"
        _check_out(commit, clone, failing=failing)
        if not (clone / within).is_dir():
            raise UserError(f"{failing}: it has no folder {within}")
        yield clone / within


def inside(path: str | Path, folder: Path) -> bool:
    """Whether a path lies in a folder, or is it; links are followed."""
    return Path(path).resolve().is_relative_to(folder.resolve())


def git(*arguments: str, folder: Path | None = None, failing: str) -> str:
    """What git prints. Raises UserError, which begins with `failing`, where git refuses."""
    try:
        return ask_git(*arguments, folder=folder)
    except OSError as error:
        raise UserError(f"git: {error.strerror}") from None
    except subprocess.CalledProcessError as error:
        raise UserError(": ".join(filter(None, (failing, refusal(error))))) from None


def _check_out(commit: str, clone: Path, failing: str) -> None:
    """Put the files of a commit into a new clone. Raises UserError where one of them cannot be had."""
    source = Path.cwd() / git("rev-parse", "--git-common-dir", failing=failing)
    git("clone", "--quiet", "--shared", "--no-checkout", "--template=", str(source), str(clone), failing=failing)
    _borrow(source, clone / ".git")
    for setting, value in _promises():
        git("config", setting, value, folder=clone, failing=failing)
    git("checkout", "--quiet", "--detach", commit, folder=clone, failing=failing)
    missing = git("ls-files", "--deleted", folder=clone, failing=failing).splitlines()
    if missing:  # git ends with 0 where it could not read what it should have written
        raise UserError(f"{failing}: this repository has no content of {missing[0]}")


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
