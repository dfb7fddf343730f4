"""A duel of a pytest suite: the two sides take turns at each test, block by block, as they do at a cell of a study."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from harness.duel.launches import BASE_LACKS_IT
from harness.duel.origin import Origin, packages_of, working_tree
from harness.duel.suite_launches import PlannedTest, SuiteDuel, SuiteLaunches
from harness.errors import Interrupted, UserError
from harness.machine import Revision, this_machine, utc_now
from harness.planning.loading import Say
from harness.repository.checkout import inside
from harness.session.case import CaseRunner
from harness.session.folder import new_folder
from harness.session.process import Worker
from harness.session.side import Side
from harness.suite.definition import Planned, Suite, SuiteTest, narrowed, tests_of
from harness.suite.sides import SuiteSide, homes_of, put_suite, refuse_same_code, tests_to_run
from harness.tables import BASE, HEAD, SUITE_SCHEMA, suite_writer, write_suite_info


@dataclass(frozen=True)
class _Live:
    """A side whose worker has collected its tests; packages: installed packages that the tests import -> version."""

    side: SuiteSide
    worker: Worker
    revision: Revision
    packages: dict[str, str]


def duel_suite(suite: Suite, base: Origin, results: Path, say: Say, *, is_clone: bool) -> SuiteDuel:
    """Measure the tests of a suite on both sides into a new folder of `results`, and judge.

    The head is the working tree under this interpreter. is_clone: the base is a temporary clone, into which the head's
    version of the suite is copied; any other base runs its own version. Raises UserError if there is no such suite,
    CannotRun if a side cannot run it or both sides would run the same code, and Interrupted at Ctrl-C once there is a
    folder.
    """
    refuse_path(suite.path)
    with ExitStack() as stack:
        # Errors of cleaning up are ignored: a test may have left a process behind that goes on writing there.
        place = tempfile.TemporaryDirectory(prefix="topk-suite-", ignore_cleanup_errors=True)
        temporary = Path(stack.enter_context(place))
        of_head = SuiteSide(HEAD, Path.cwd(), sys.executable, suite.path, temporary / HEAD)
        of_base = SuiteSide(BASE, base.folder, base.interpreter, suite.path, temporary / BASE)
        for side in (of_head, of_base):
            side.temporary.mkdir()
        worker = of_head.greeted(stack.enter_context(of_head.spawn()))
        tests = narrowed(tests_to_run(of_head, worker), suite.only)
        for place, reason in worker.greeting["failed"]:
            say(f"the head cannot collect {place}: {reason}")
        modules, packages = of_head.imported(worker)
        head = _Live(of_head, worker, working_tree().revision, packages)
        lost: list[SuiteTest] = []
        if base.folder.resolve() != of_head.folder.resolve():
            places = packages_of(base.folder, homes_of(modules))
            of_base = replace(of_base, modules=places.path, own=places.own, never_from=places.never_from)
            lost = _lost(of_base, tests_of(worker.greeting), suite.only)
            if is_clone:  # only now, since _lost needs the base's own version of the suite
                put_suite(suite.path, of_head.folder, base.folder)
        worker = of_base.greeted(stack.enter_context(of_base.spawn()))
        tests_to_run(of_base, worker)
        modules, packages = of_base.imported(worker)
        refuse_same_code(of_base, modules)
        return _fought(stack, suite, tests, lost, (_Live(of_base, worker, base.revision, packages), head), results)


def refuse_path(path: str) -> None:
    """Raise UserError unless the path is a file or folder below the current folder."""
    place = Path(path)
    if not place.exists():
        raise UserError(f"--pytest {path}: no such file or folder")
    if place.resolve() == Path.cwd().resolve():
        raise UserError(f"--pytest {path}: name the folder of the benchmarks alone, without the code that they measure")
    if place.is_absolute() or not inside(place, Path.cwd()):
        raise UserError(f"--pytest {path}: must be named from the current folder, and lie in it")


def _lost(side: SuiteSide, kept: Sequence[SuiteTest], only: Sequence[str]) -> list[SuiteTest]:
    """The tests that only the base's own version of the suite has; kept: the tests of the head's version."""
    ids = {test.id for test in kept}
    with side.spawn() as worker:
        try:
            own = tests_of(side.greeted(worker).greeting)
            return [test for test in (narrowed(own, only) if own else own) if test.id not in ids]
        except UserError:  # an older version may not run here, or may have no test that `only` asks for
            return []


def _fought(
    stack: ExitStack,
    suite: Suite,
    tests: Sequence[SuiteTest],
    lost: Sequence[SuiteTest],
    both: tuple[_Live, _Live],
    results: Path,
) -> SuiteDuel:
    """Run the duel into a new folder. Raises Interrupted, which says what is kept, at Ctrl-C."""
    machine = this_machine()
    parameters = sorted({name for test in (*tests, *lost) for name, _ in test.parameters})
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

    def spawn(side: SuiteSide) -> Worker:  # sets of Python get a new order in each launch, the same on both sides
        return side.spawn(hash_seed=launches.sets.launch)

    runner = stack.enter_context(CaseRunner(suite, [Side(partial(spawn, live.side), live.worker) for live in both]))
    launches = SuiteLaunches(suite, _planned(tests, both[0]), runner, writers, folder, parameters, lost)
    try:
        return launches.fight()
    except KeyboardInterrupt:
        kept = f"what both sides measured is kept in {folder}, without a verdict"
        raise Interrupted(f"a duel cannot be resumed; {kept}") from None


def _planned(tests: Sequence[SuiteTest], base: _Live) -> list[PlannedTest]:
    """Every test of the head, with what is planned for it on each side; a test that the base lacks is skipped there."""
    known = {test.id for test in tests_of(base.worker.greeting)}
    planned = []
    for test in tests:
        why = "" if test.id in known else base.side.not_collected(base.worker, test) or BASE_LACKS_IT
        planned.append((test, [[Planned(test.id, why)], [Planned(test.id)]]))
    return planned


def _info(suite: Suite, live: _Live, machine: dict[str, Any]) -> dict[str, Any]:
    """The contents of a side's suite.json."""
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
