"""The two sides of a duel of a suite: where each finds the suite and the code that its tests import."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.errors import CannotRun, UserError
from harness.repository.checkout import belongs, inside
from harness.session.process import Worker, WorkerLost, cores_for_workers
from harness.session.program import ELSEWHERE, HOME
from harness.suite.definition import SuiteTest, tests_of

WORKER = "harness.suite.worker"
PROGRAM = ELSEWHERE.format(home=str(HOME), worker=WORKER)
ASK_SECONDS = 60.0


@dataclass(frozen=True)
class SuiteSide:
    """The folder of a side, and how it runs the suite at `path`.

    temporary: a folder for files that its tests write; modules: the entries of its PYTHONPATH, or None to inherit this
    process's. own: the folder from which the tests must import at least one module; never_from: the working tree, from
    which no module may come unless it is also in `own`. Both are None if the side is the working tree.
    """

    name: str
    folder: Path
    interpreter: str
    path: str
    temporary: Path
    modules: tuple[str, ...] | None = None
    own: Path | None = None
    never_from: Path | None = None

    def spawn(self, hash_seed: int = 1) -> Worker:
        """Start a worker, and return it before it has greeted. The same hash seed on both sides gives sets the same
        order; by default it is the seed of the first launch, whose workers have collected the tests.

        Python writes no caches, because the folder belongs to the user.
        """
        cores = cores_for_workers()[:1]
        variables = {"PYTHONHASHSEED": str(hash_seed), "PYTHONDONTWRITEBYTECODE": "1"}
        if self.modules is not None:
            variables["PYTHONPATH"] = os.pathsep.join(self.modules)
        words = [str(HOME), self.path, str(self.temporary), ",".join(map(str, cores))]
        program = ["-c", PROGRAM, *words]
        return Worker.spawn(cores, self.interpreter, self.folder, variables, HOME, program=program)

    def greeted(self, worker: Worker) -> Worker:
        """The worker, once it has listed its tests. Raises CannotRun, which names the side, if it cannot."""
        try:
            return worker.greet()
        except UserError as error:
            raise CannotRun(f"duel: the {self.name}'s {error}") from None

    def imported(self, worker: Worker) -> tuple[dict[str, str], dict[str, str]]:
        """What the tests import: modules that are not installed (name -> file), and packages that are (name ->
        version). Raises CannotRun if the worker is lost."""
        try:
            reply = worker.ask({"op": "imported"}, ASK_SECONDS)
            return reply["modules"], reply["packages"]
        except WorkerLost as error:
            raise CannotRun(f"duel: the {self.name}'s worker: {error.reason}") from None

    def not_collected(self, worker: Worker, test: SuiteTest) -> str:
        """Why a worker has not collected a test, or '' if its file was collected without an error."""
        file = test.id.partition("::")[0]
        failed: dict[str, str] = dict(worker.greeting["failed"])
        return f"the {self.name} cannot collect {file}: {failed[file]}" if file in failed else ""


def tests_to_run(side: SuiteSide, worker: Worker) -> list[SuiteTest]:
    """The tests that a worker has collected. Raises CannotRun, with the reason, if there are none."""
    if tests := tests_of(worker.greeting):
        return tests
    for place, reason in worker.greeting["failed"]:
        raise CannotRun(f"duel: the {side.name} cannot collect {place}: {reason}")
    raise CannotRun(f"duel: {side.path}: no test here has the fixture `benchmark` (on the {side.name}'s side)")


def files_of_suite(path: str, folder: Path) -> Iterator[Path]:
    """The files of a suite, relative to `folder`: the file or folder at this path, and every conftest.py above it."""
    yield Path(path)
    for above in Path(path).parents:
        if (folder / above / "conftest.py").is_file():
            yield above / "conftest.py"


def put_suite(path: str, source: Path, clone: Path) -> None:
    """Copy the head's version of the suite into a clone of the base, instead of the base's own, so that both sides run
    the same tests on different code. Raises CannotRun if the base has a link there that leads out of the clone."""
    for relative in dict.fromkeys([*files_of_suite(path, source), *files_of_suite(path, clone)]):
        there = clone / relative
        if not inside(there.parent, clone):
            raise CannotRun(f"duel: the base has {relative} behind a link that leads out of its folder")
        if there.is_dir() and not there.is_symlink():
            shutil.rmtree(there)
        else:
            there.unlink(missing_ok=True)
    for relative in files_of_suite(path, source):
        there, here = clone / relative, source / relative
        there.parent.mkdir(parents=True, exist_ok=True)
        if here.is_dir():
            shutil.copytree(here, there, ignore=shutil.ignore_patterns("__pycache__"), ignore_dangling_symlinks=True)
        else:
            shutil.copyfile(here, there)


def refuse_same_code(side: SuiteSide, modules: dict[str, str]) -> None:
    """Raise CannotRun if a base in a folder of its own would measure the head's code, or no code of its folder at all.

    modules: name -> file of the modules that its tests import and that are not installed.
    """
    if side.own is None or side.never_from is None:
        return
    suite = [side.folder / relative for relative in files_of_suite(side.path, side.folder)]
    own = []
    for name, file in modules.items():
        if belongs(file, side.own, side.never_from):
            own += [] if any(inside(file, part) for part in suite) else [name]
        elif inside(file, side.never_from):
            raise CannotRun(
                f"duel: the base has no module {name}: the working tree's would be measured instead, {file}"
            )
    if not own:
        why = f"the tests import nothing that lies in the base's folder outside {side.path}"
        raise CannotRun(f"duel: {why}: install the base for another interpreter, and name that with --base-python")


def homes_of(modules: dict[str, str]) -> Sequence[str]:
    """The folders from which these modules (name -> file) are imported, as entries of sys.path would name them."""
    homes = []
    for name, file in modules.items():
        place = Path(file).parent if Path(file).name == "__init__.py" else Path(file).with_suffix("")
        if place.parts[-len(name.split(".")) :] == tuple(name.split(".")):
            homes.append(str(Path(*place.parts[: -len(name.split("."))])))
    return list(dict.fromkeys(homes))
