"""Where the code of a side of a duel lies (the working tree, a commit, another folder), and which Python runs it.

A folder may have a harness of its own, whose workers are then asked. Any other folder has packages whose methods a
study names by import path: workers of this harness measure them, on both sides.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from harness.errors import CannotRun, UserError
from harness.machine import Revision, this_revision
from harness.repository.checkout import checked_out, commit_of, git, inside
from harness.session.process import HOME, Worker, cores_for_workers, has_worker


@dataclass(frozen=True)
class Packages:
    """How a side finds the packages that this harness measures.

    path: the entries of its PYTHONPATH. own: the folder that at least one method must come from; never_from: the
    working tree, which no module may come from unless it is in `own`. Of the working tree itself both are None.
    """

    path: tuple[str, ...]
    own: Path | None = None
    never_from: Path | None = None


@dataclass(frozen=True)
class Origin:
    """Where the code of a side lies, which interpreter runs it, and which revision it is; packages: None where the
    folder has a harness of its own."""

    folder: Path
    interpreter: str
    revision: Revision
    packages: Packages | None = None

    def spawn(self, counts: Path | None = None) -> Worker:
        """A worker of this side that is starting; counts: one that counts instructions, in files that begin with this
        path. Raises UserError where there is no such interpreter."""
        if self.packages is None:
            return Worker.spawn(cores_for_workers(), self.interpreter, self.folder, None, None, counts)
        variables = {"PYTHONPATH": os.pathsep.join(self.packages.path)}
        return Worker.spawn(cores_for_workers(), self.interpreter, self.folder, variables, HOME, counts)

    def admit(self, worker: Worker, methods: Iterable[str], seconds: float = 120.0) -> dict[str, str]:
        """The packages of these methods on this side -> the version and a digest of the code of each.

        Raises CannotRun where a module comes from the files of the other side (an editable installation of them is
        found everywhere), or where no method comes from this side's own folder: both sides would have the same code.
        """
        own = [each for each in methods if ":" in each]
        if self.packages is None or not (own or self.packages.own):
            return {}
        found = worker.ask({"op": "locate", "methods": own}, seconds)
        forbidden, home = self.packages.never_from, self.packages.own
        for module, file in found.get("files", {}).items():
            if forbidden and home and inside(file, forbidden) and not inside(file, home):
                raise CannotRun(f"it has no module {module}: that of the working tree would be measured, {file}")
        if home and not any(inside(file, home) for file in found.get("methods", {}).values()):
            found_elsewhere = [*found.get("failed", {}).values(), *found.get("methods", {}).values()]
            why = next(iter(found_elsewhere), "the study names none by import path")
            raise CannotRun(f"no method of the study comes from its folder: {why}")
        packages: dict[str, str] = found.get("packages", {})
        return packages


def working_tree(interpreter: str = sys.executable) -> Origin:
    """The current folder as it is."""
    folder = Path.cwd()
    packages = None if has_worker(folder) else Packages((str(folder), *_inherited()))
    return Origin(folder, interpreter, this_revision(), packages)


@contextmanager
def at_commit(
    commit: str, interpreter: str = sys.executable, told_as: str = "", methods: Iterable[str] = ()
) -> Iterator[Origin]:
    """A commit, checked out into a clone of its own; told_as: how the user named it; methods: those of the study.

    A current folder inside the working tree has its counterpart inside the clone. Raises UserError where the files of
    the commit cannot be had.
    """
    with checked_out(commit, told_as) as folder:
        yield Origin(folder, interpreter, Revision(commit, dirty=False), _packages_of(folder, methods))


@contextmanager
def base_origin(
    revision: str | None, interpreter: str | None, path: Path | None = None, methods: Iterable[str] = ()
) -> Iterator[Origin]:
    """The base of a duel: a commit, or another folder, or the working tree under another interpreter; methods: those
    of the study. Raises UserError where there is no such commit, folder or interpreter.
    """
    python = interpreter or sys.executable
    if os.sep in python:  # the base may run in another folder; links stay, since a venv is its link
        python = str(Path.cwd() / python)
    if path is not None:
        yield _in_folder(path, python, methods)
        return
    if revision is None:
        yield working_tree(python)
        return
    with ExitStack() as stack:
        try:
            base = stack.enter_context(at_commit(commit_of(revision), python, revision, methods))
        except UserError as error:
            raise UserError(f"duel: {error}") from None
        yield base


def _in_folder(path: Path, interpreter: str, methods: Iterable[str]) -> Origin:
    """Another checkout, as it is: the counterpart there of the current folder. Raises UserError where there is none."""
    folder, here = (Path.cwd() / path).resolve(), Path.cwd().resolve()
    if folder == _top_of(folder):
        folder /= here.relative_to(_top_of(here))
    if not folder.is_dir():
        raise UserError(f"duel: {path}: there is no folder {folder}")
    return Origin(folder, interpreter, this_revision(folder), _packages_of(folder, methods))


def _packages_of(folder: Path, methods: Iterable[str]) -> Packages | None:
    """How the counterpart of the current folder finds its packages; None where the current one has its own harness."""
    return None if has_worker(Path.cwd()) else packages_of(folder, _homes_of(methods))


def packages_of(folder: Path, homes: Iterable[str]) -> Packages:
    """How the counterpart of the current folder finds its packages; homes: folders that packages of the current one lie
    in, beside those of sys.path.

    A package lies in the folder itself, or where the counterpart is of what this process finds in the working tree, by
    PYTHONPATH or by an editable installation, or in `src`.
    """
    here = Path.cwd()
    tree = _top_of(here)
    known = [*sys.path, *homes]
    counterparts = [_counterpart(Path(each), here, folder) for each in known if inside(each, tree)]
    found = [str(each) for each in (folder, *counterparts, folder / "src") if each.is_dir()]
    others = [each for each in _inherited() if not inside(each, tree)]
    own = _counterpart(tree, here, folder)
    return Packages(tuple(dict.fromkeys([*found, *others])), own, never_from=tree)


def _homes_of(methods: Iterable[str]) -> Iterator[str]:
    """The folders that the packages of these methods lie in: an editable installation may find them by a hook, and no
    entry of sys.path says where."""
    for package in {each.partition(":")[0].partition(".")[0] for each in methods if ":" in each}:
        with suppress(ImportError, ValueError):
            spec = importlib.util.find_spec(package)
            places = (spec.submodule_search_locations or [spec.origin or ""]) if spec else []
            yield from (str(Path(each).parent) for each in places if each)


def _top_of(folder: Path) -> Path:
    """The working tree that a folder is in; outside every repository the folder itself."""
    try:
        return Path(git("rev-parse", "--show-toplevel", folder=folder, failing="")).resolve()
    except UserError:
        return folder.resolve()


def _counterpart(path: Path, here: Path, there: Path) -> Path:
    """What lies to `there` as the path lies to `here`."""
    return Path(os.path.normpath(there / os.path.relpath(path.resolve(), here.resolve())))


def _inherited() -> list[str]:
    """The entries of PYTHONPATH, absolute."""
    return [str(Path.cwd() / each) for each in os.environ.get("PYTHONPATH", "").split(os.pathsep) if each]
