"""Checks out a commit of the user's repository into a temporary clone, without writing to that repository.

The clone lies in the temporary folder and borrows the repository's objects, so that nothing is left in the repository,
however the harness ends.
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
"""Files of a git repository: its object store, the stores it borrows from, and where a shallow clone's history ends."""

FETCH_ALL = "git fetch --unshallow"
"""The command that completes the history of a shallow clone."""


def commit_of(revision: str) -> str:
    """The commit that a revision names in the current repository. Raises UserError if there is none."""
    failing = f"no commit '{revision}' here"
    try:
        return git("rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}", failing=failing)
    except UserError as error:
        if shallow_file() is not None:
            raise UserError(f"{error}: this clone is shallow: `{FETCH_ALL}` fetches the rest of its history") from None
        raise


def shallow_file() -> Path | None:
    """The file that lists where the history of a shallow clone ends; None if the repository is complete."""
    try:
        path = Path.cwd() / ask_git("rev-parse", "--git-path", SHALLOW)
    except (OSError, subprocess.CalledProcessError):
        return None
    return path if path.is_file() else None


@contextmanager
def checked_out(commit: str, name: str = "") -> Iterator[Path]:
    """The current folder as it is in a commit: its counterpart in a clone, which is removed at the end.

    name: what the user called the commit. Raises UserError if the current folder is in no working tree, or if a file of
    the commit is missing.
    """
    within = git("rev-parse", "--show-prefix", failing="the current folder is in no working tree")
    with tempfile.TemporaryDirectory(prefix="topk-base-", ignore_cleanup_errors=True) as parent:
        clone = Path(parent) / "base"
        failing = f"cannot check out '{name or commit}'"
        _check_out(commit, clone, failing=failing)
        if not (clone / within).is_dir():
            raise UserError(f"{failing}: it has no folder {within}")
        yield clone / within


def inside(path: str | Path, folder: Path) -> bool:
    """Whether a path is a folder or lies in it, after following links."""
    return Path(path).resolve().is_relative_to(folder.resolve())


def belongs(path: str | Path, folder: Path, other: Path | None) -> bool:
    """Whether a path lies in a folder, and not in the folder `other` inside that one: a linked worktree may lie inside
    the main one."""
    return inside(path, folder) and (other is None or inside(folder, other) or not inside(path, other))


def git(*arguments: str, folder: Path | None = None, failing: str) -> str:
    """The output of git. Raises UserError if git fails; `failing` begins its message."""
    try:
        return ask_git(*arguments, folder=folder)
    except OSError as error:
        raise UserError(f"git: {error.strerror}") from None
    except subprocess.CalledProcessError as error:
        raise UserError(": ".join(filter(None, (failing, refusal(error))))) from None


def _check_out(commit: str, clone: Path, failing: str) -> None:
    """Check out a commit into a new clone. Raises UserError if one of its files is missing."""
    source = Path.cwd() / git("rev-parse", "--git-common-dir", failing=failing)
    # No template, since the user's may put hooks into the clone. Settings that guard the user from clones of others'
    # repositories do not refuse this one, of their own.
    own = ("-c", "clone.rejectShallow=false", "-c", "protocol.file.allow=always")
    git(*own, "clone", "--quiet", "--shared", "--no-checkout", "--template=", str(source), str(clone), failing=failing)
    _borrow(source, clone / ".git")
    for setting, value in _promisor_settings():
        git("config", setting, value, folder=clone, failing=failing)
    git("checkout", "--quiet", "--detach", commit, folder=clone, failing=failing)
    missing = git("ls-files", "--deleted", folder=clone, failing=failing).splitlines()
    if missing:  # git exits with 0 even if it could not read the content of a file
        raise UserError(f"{failing}: this repository lacks the content of {missing[0]}")


def _borrow(source: Path, clone: Path) -> None:
    """Let a clone read every object of its source."""
    # From a shallow repository, `git clone --shared` copies what the branches reach instead of sharing all objects.
    alternates = clone / ALTERNATES
    alternates.parent.mkdir(exist_ok=True)
    alternates.write_bytes(os.fsencode(source / OBJECTS) + b"\n")
    if (source / SHALLOW).is_file():
        shutil.copyfile(source / SHALLOW, clone / SHALLOW)


def _promisor_settings() -> list[tuple[str, str]]:
    """The settings by which a partial clone fetches missing objects. A clone of it needs them to fetch for itself."""
    try:
        settings = ask_git("config", "--get-regexp", r"^remote\..*\.(url|promisor|partialclonefilter)$").splitlines()
    except subprocess.CalledProcessError:  # there is no remote
        return []
    pairs = [(name, value) for name, _, value in (line.partition(" ") for line in settings)]
    promisors = {name.removesuffix(".promisor") for name, _ in pairs if name.endswith(".promisor")}
    return [(name, value) for name, value in pairs if name.rpartition(".")[0] in promisors]
