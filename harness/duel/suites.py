"""A duel of a pytest suite: its tests take turns on both sides, block by block, as the cells of a study do."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from harness.duel.launches import FORGOTTEN
from harness.duel.origin import Origin, packages_of, working_tree
from harness.duel.suite_launches import PlannedTest, SuiteDuel, SuiteLaunches
from harness.errors import Interrupted, UserError
from harness.machine import Revision, this_machine, utc_now
from harness.planning.loading import Say
from harness.repository.checkout import inside
from harness.session.case import CaseRunner
from harness.session.process import Worker
from harness.session.runs import new_folder
from harness.session.side import Side
from harness.suite.definition import Planned, Suite, SuiteTest, narrowed, tests_of
from harness.suite.sides import SuiteSide, homes_of, put_suite, refuse_same_code, tests_to_run
from harness.tables import BASE, HEAD, SUITE_SCHEMA, suite_writer, write_suite_info


@dataclass(frozen=True)
class _Live:
    """A side whose worker has found its tests; packages: those that they have imported -> version."""

    side: SuiteSide
    worker: Worker
    revision: Revision
    packages: dict[str, str]


def duel_suite(suite: Suite, base: Origin, results: Path, say: Say, *, is_clone: bool) -> SuiteDuel:
    """Measure the tests of a suite on both sides into a new folder of `results`, and judge.

    The head is the working tree under this interpreter. is_clone: the base lies in a folder of ours, so it is given
    the suite as the head has it; any other base runs its own. Raises UserError where there is no such suite, CannotRun
    where a side cannot run it or both would run the same code, and Interrupted at Ctrl-C once there is a folder.
    """
    refuse_path(suite.path)
    with ExitStack() as stack:
        temporary = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="topk-suite-")))
        ours = SuiteSide(HEAD, Path.cwd(), sys.executable, suite.path, temporary / HEAD)
        theirs = SuiteSide(BASE, base.folder, base.interpreter, suite.path, temporary / BASE)
        for side in (ours, theirs):
            side.temporary.mkdir()
        worker = ours.greeted(stack.enter_context(ours.spawn()))
        tests = narrowed(tests_to_run(ours, worker), suite.only)
        for place, reason in worker.greeting["failed"]:
            say(f"the head cannot collect {place}: {reason}")
        modules, packages = ours.imported(worker)
        head = _Live(ours, worker, working_tree().revision, packages)
        lost: list[SuiteTest] = []
        if base.folder.resolve() != ours.folder.resolve():
            found = packages_of(base.folder, homes_of(modules))
            theirs = replace(theirs, modules=found.path, own=found.own, never_from=found.never_from)
            lost = _lost(theirs, tests_of(worker.greeting), suite.only)
            if is_clone:
                put_suite(suite.path, ours.folder, base.folder)
        worker = theirs.greeted(stack.enter_context(theirs.spawn()))
        tests_to_run(theirs, worker)
        modules, packages = theirs.imported(worker)
        refuse_same_code(theirs, modules)
        return _fought(stack, suite, tests, lost, (_Live(theirs, worker, base.revision, packages), head), results)


def refuse_path(path: str) -> None:
    """Raise UserError where a path is none of a suite in the current folder."""
    place = Path(path)
    if not place.exists():
        raise UserError(f"--pytest {path}: no such file or folder")
    if place.resolve() == Path.cwd().resolve():
        raise UserError(f"--pytest {path}: name the folder of the benchmarks alone, without the code that they measure")
    if place.is_absolute() or not inside(place, Path.cwd()):
        raise UserError(f"--pytest {path}: must be named from the current folder, and lie in it")


def _lost(side: SuiteSide, kept: Sequence[SuiteTest], only: Sequence[str]) -> list[SuiteTest]:
    """The tests that the base's own version of the suite has, and the head's has not."""
    ids = {each.id for each in kept}
    with side.spawn() as worker:
        try:
            own = tests_of(side.greeted(worker).greeting)
            return [each for each in (narrowed(own, only) if own else own) if each.id not in ids]
        except UserError:  # an older version of it may not run here, or has nothing of what is asked for
            return []


def _fought(
    stack: ExitStack,
    suite: Suite,
    tests: Sequence[SuiteTest],
    lost: Sequence[SuiteTest],
    both: tuple[_Live, _Live],
    results: Path,
) -> SuiteDuel:
    """Fight in a new folder. Raises Interrupted, which says what is kept, at Ctrl-C."""
    machine = this_machine()
    parameters = sorted({name for each in (*tests, *lost) for name, _ in each.parameters})
    label = "_vs_".join(live.revision.label for live in reversed(both))
    folder = new_folder(results / machine.slug / suite.name, label)
    writers = []
    for live in both:
        place = folder / live.side.name
        place.mkdir()
        write_suite_info(place, _info(suite, live, machine.facts) | {"parameters": parameters})
        writers.append(stack.enter_context(suite_writer(place, parameters)))
    for writer in writers:
        writer.open()

    def spawn(side: SuiteSide) -> Worker:
        return side.spawn(hash_seed=launches.sets.launch)

    runner = stack.enter_context(CaseRunner(suite, [Side(partial(spawn, live.side), live.worker) for live in both]))
    launches = SuiteLaunches(suite, _planned(tests, both[0]), runner, writers, folder, parameters, lost)
    try:
        return launches.fight()
    except KeyboardInterrupt:
        kept = f"what both sides measured is kept in {folder}, without a verdict"
        raise Interrupted(f"a duel cannot be resumed; {kept}") from None


def _planned(tests: Sequence[SuiteTest], base: _Live) -> list[PlannedTest]:
    """Every test of the head, with what is planned on each side."""
    known = {each.id for each in tests_of(base.worker.greeting)}
    planned = []
    for test in tests:
        why = "" if test.id in known else base.side.not_collected(base.worker, test) or FORGOTTEN
        planned.append((test, [[Planned(test.id, why)], [Planned(test.id)]]))
    return planned


def _info(suite: Suite, live: _Live, machine: dict[str, Any]) -> dict[str, Any]:
    """suite.json of a side."""
    return {
        "schema": SUITE_SCHEMA,
        "suite": suite.path,
        "only": list(suite.only),
        "commit": live.revision.commit,
        "dirty": live.revision.dirty,
        "machine": machine,
        "python": live.worker.greeting["python"],
        "packages": live.packages,
        "pinned_to": list(live.worker.cores),
        "timing": suite.timing.model_dump(),
        "gate": suite.gate.model_dump(),
        "begin": utc_now().isoformat(timespec="seconds"),
        "end": None,
    }
