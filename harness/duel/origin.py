"""The origin of a side of a duel: the folder of its code (working tree, commit, another folder) and its interpreter.

If the folder contains a harness, that harness's own workers measure the side. Otherwise it contains packages whose
methods a study names by import path, and workers of this harness measure both sides.
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
from harness.repository.checkout import belongs, checked_out, commit_of, git, inside
from harness.session.process import Worker, cores_for_workers
from harness.session.program import HOME, has_worker
from harness.worker.installed import is_installed


@dataclass(frozen=True)
class Packages:
    """Where a side imports the packages from that this harness measures.

    path: the entries of its PYTHONPATH. own: the folder from which at least one method must be imported; never_from:
    the working tree, from which no module may be imported unless it is also in `own`. Both are None for the working
    tree itself.
    """

    path: tuple[str, ...]
    own: Path | None = None
    never_from: Path | None = None


@dataclass(frozen=True)
class Origin:
    """A folder with code, the interpreter that runs it and its revision; packages: None if it contains a harness."""

    folder: Path
    interpreter: str
    revision: Revision
    packages: Packages | None = None

    def spawn(self, counts: Path | None = None) -> Worker:
        """Start a worker of this side, and return it before it has greeted. counts: start one that counts instructions,
        into files whose names begin with this path. Raises UserError if there is no such interpreter."""
        if self.packages is None:
            return Worker.spawn(cores_for_workers(), self.interpreter, self.folder, None, None, counts)
        variables = {"PYTHONPATH": os.pathsep.join(self.packages.path)}
        return Worker.spawn(cores_for_workers(), self.interpreter, self.folder, variables, HOME, counts)

    def admit(self, worker: Worker, methods: Iterable[str], seconds: float = 120.0) -> dict[str, str]:
        """Ask the worker which packages these methods come from: package -> its version and a digest of its code.

        Raises CannotRun if a module is imported from the other side's files (an editable installation is found from
        every folder), or if no method comes from this side's own folder: both sides would run the same code.
        """
        imported = [each for each in methods if ":" in each]
        if self.packages is None or not (imported or self.packages.own):
            return {}
        located = worker.ask({"op": "locate", "methods": imported}, seconds)
        forbidden, home = self.packages.never_from, self.packages.own
        for module, file in located.get("files", {}).items():
            if forbidden and home and inside(file, forbidden) and not belongs(file, home, forbidden):
                raise CannotRun(f"it has no module {module}: the working tree's would be measured instead, {file}")
        if home and not any(belongs(file, home, forbidden) for file in located.get("methods", {}).values()):
            elsewhere = [*located.get("failed", {}).values(), *located.get("methods", {}).values()]
            why = next(iter(elsewhere), "the study names none by import path")
            raise CannotRun(f"no method of the study comes from its folder: {why}")
        packages: dict[str, str] = located.get("packages", {})
        return packages


def working_tree(interpreter: str = sys.executable) -> Origin:
    """The current folder as it is, with its uncommitted changes."""
    folder = Path.cwd()
    packages = None if has_worker(folder) else Packages((str(folder), *_inherited()))
    return Origin(folder, interpreter, this_revision(), packages)


@contextmanager
def at_commit(
    commit: str, interpreter: str = sys.executable, named: str = "", methods: Iterable[str] = ()
) -> Iterator[Origin]:
    """A commit, checked out into a temporary clone; named: the user's word for it; methods: those of the study.

    The origin's folder has the same place in the clone as the current folder has in the working tree. Raises UserError
    if the commit cannot be checked out.
    """
    with checked_out(commit, named) as folder:
        yield Origin(folder, interpreter, Revision(commit, dirty=False), _packages_of(folder, methods))


@contextmanager
def base_origin(
    revision: str | None, interpreter: str | None, path: Path | None = None, methods: Iterable[str] = ()
) -> Iterator[Origin]:
    """The base of a duel: a commit, another folder, or the working tree under another interpreter.

    methods: those of the study. Raises UserError if there is no such commit or folder.
    """
    python = interpreter or sys.executable
    if os.sep in python:
        # Absolute, since the base may run in another folder; not resolved, since the link is what makes it a venv.
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
    """Another checkout as it is: the folder in it that corresponds to the current one. Raises UserError if there is
    none."""
    folder, here = (Path.cwd() / path).resolve(), Path.cwd().resolve()
    if folder == _top_of(folder):
        folder /= here.relative_to(_top_of(here))
    if not folder.is_dir():
        raise UserError(f"duel: {path}: there is no folder {folder}")
    return Origin(folder, interpreter, this_revision(folder), _packages_of(folder, methods))


def _packages_of(folder: Path, methods: Iterable[str]) -> Packages | None:
    """Where `folder`, the base's counterpart of the current folder, has its packages; None if the current folder
    contains a harness."""
    return None if has_worker(Path.cwd()) else packages_of(folder, _homes_of(methods))


def packages_of(folder: Path, homes: Iterable[str]) -> Packages:
    """Where `folder`, the base's counterpart of the current folder, has its packages.

    homes: folders that contain packages of the current folder, besides those on sys.path. The base's packages are
    looked for in `folder` itself, in the counterparts of all folders of the working tree that this process imports from
    (by PYTHONPATH or an editable installation), and in `src`. An environment that lies in the working tree has no
    counterpart: the base runs with the packages that are installed for its interpreter.
    """
    here = Path.cwd()
    tree = _top_of(here)
    known = [*sys.path, *homes]
    sources = [each for each in known if inside(each, tree) and not is_installed(Path(each))]
    counterparts = [_counterpart(Path(each), here, folder) for each in sources]
    of_base = [str(each) for each in (folder, *counterparts, folder / "src") if each.is_dir()]
    others = [each for each in _inherited() if not inside(each, tree)]
    own = _counterpart(tree, here, folder)
    return Packages(tuple(dict.fromkeys([*of_base, *others])), own, never_from=tree)


def _homes_of(methods: Iterable[str]) -> Iterator[str]:
    """The folders that contain the packages of these methods. An editable installation may use an import hook, so that
    no entry of sys.path names them."""
    for package in {each.partition(":")[0].partition(".")[0] for each in methods if ":" in each}:
        with suppress(ImportError, ValueError):
            spec = importlib.util.find_spec(package)
            places = (spec.submodule_search_locations or [spec.origin or ""]) if spec else []
            yield from (str(Path(each).parent) for each in places if each)


def _top_of(folder: Path) -> Path:
    """The top folder of the working tree around a folder; outside every repository the folder itself."""
    try:
        return Path(git("rev-parse", "--show-toplevel", folder=folder, failing="")).resolve()
    except UserError:
        return folder.resolve()


def _counterpart(path: Path, here: Path, there: Path) -> Path:
    """The path that relates to `there` as the given one relates to `here`."""
    return Path(os.path.normpath(there / os.path.relpath(path.resolve(), here.resolve())))


def _inherited() -> list[str]:
    """The entries of PYTHONPATH, absolute."""
    return [str(Path.cwd() / each) for each in os.environ.get("PYTHONPATH", "").split(os.pathsep) if each]
