"""A duel measures two sides now, in the same rounds: two commits, folders or interpreters (so maybe two torch builds).

Both sides' workers are pinned to the same cores and take turns block by block, so that a disturbance hits both alike.
Launches continue until the spread is so small that a change that matters would be found, and no change would be judged
`same`. A change that is then found must be found again in a second full set of launches.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from harness.duel.base_only import base_only
from harness.duel.launches import Duel, Launches
from harness.duel.origin import Origin, working_tree
from harness.duel.question import Question
from harness.errors import CannotRun, Interrupted, UserError
from harness.machine import this_machine
from harness.planning.loading import Say, on_present_devices, plan_of, refuse_nothing
from harness.report.sides import side_labels
from harness.session.case import CaseRunner
from harness.session.folder import new_folder, sidecar, write_info
from harness.session.process import Worker, WorkerLost
from harness.session.side import Side
from harness.study.definition import Study
from harness.tables import BASE, HEAD, RunWriter, parameter_types
from harness.vocabulary import RESULTS, STUDIES
from harness.worker.protocol import PROTOCOL

__all__ = ["Duel", "Question", "duel"]


def duel(
    study: Study,
    base: Origin,
    results: str | Path = RESULTS,
    studies: Path | None = STUDIES,
    say: Say = print,
    *,
    head: Origin | None = None,
    question: Question | None = None,
    until_decided: float | None = None,
) -> Duel:
    """Measure a study on both sides into a new folder of `results`, and judge.

    This process's study, sampler and judge drive both sides. head: by default the working tree under this interpreter.
    studies: the folder below which the base has its own version of the study, where methods that the head has dropped
    are looked up; None: the base has no version of its own. question: measure only the cell of this one quantity, and
    only until the question is answered. until_decided: seconds that the duel may take to decide everything, instead of
    the study's budget. Raises UserError if the study times nothing, CannotRun if a side cannot be measured or speaks
    another protocol, and Interrupted at Ctrl-C once there is a folder.
    """
    if study.timing is None:
        raise UserError(f"{study.name}: a duel needs a study with a [timing] table (it may be empty)")
    study = study.without_own_metrics()  # they are not judged, and the base may not have their code
    head = head or working_tree()
    with ExitStack() as stack:
        first = _workers(stack, base, head, study, say)
        study = on_present_devices(study, first[1].greeting["devices"], say)
        refuse_nothing(study)
        plan = plan_of(study)
        for line in plan.notes:
            say(line)
        machine = this_machine(first[1].greeting["accelerator"])
        base_info, head_info = (
            sidecar(study, machine.facts, origin.revision, worker.greeting, worker.cores[:1])
            for origin, worker in zip((base, head), first, strict=True)
        )
        label = "_vs_".join(reversed(side_labels(base_info, head_info)))
        folder = new_folder(Path(results) / machine.slug / study.name, label)
        writers = _writers(stack, folder, {BASE: base_info, HEAD: head_info}, parameter_types(study.own_axes))
        sides = [Side(origin.spawn, worker) for origin, worker in zip((base, head), first, strict=True)]
        runner = stack.enter_context(CaseRunner(study, sides))
        known = first[0].greeting["methods"]
        gone = {} if studies is None else base_only(base, study, studies, plan)
        cases = question.cells(plan) if question else list(plan)
        spawns = (base.spawn, head.spawn)
        launches = Launches(study, cases, runner, writers, folder, known, gone, say, until_decided, spawns)
        try:
            return launches.answer(question) if question else launches.fight()
        except KeyboardInterrupt:
            kept = f"what both sides measured is kept in {folder}, without a verdict"
            raise Interrupted(f"a duel cannot be resumed; {kept}") from None


def _workers(stack: ExitStack, base: Origin, head: Origin, study: Study, say: Say) -> list[Worker]:
    """The first worker of the base and of the head, greeted and admitted. Raises CannotRun if a side cannot be
    measured."""
    workers = [stack.enter_context(side.spawn()) for side in (base, head)]  # neither waits for the other to start
    for name, side, worker in zip((BASE, HEAD), (base, head), workers, strict=True):
        _greet(name, worker)
        _admit(name, side, worker, study)
    of_base, of_head = (worker.greeting.get("packages") for worker in workers)
    if of_base and of_base == of_head:
        same = ", ".join(f"{name} {version}" for name, version in of_base.items())
        say(f"both sides have the same code: {same}")
    return workers


def _writers(
    stack: ExitStack, folder: Path, infos: Mapping[str, dict[str, Any]], parameters: Mapping[str, type]
) -> list[RunWriter]:
    """Make the folder of each side with its run.json, and open its tables."""
    writers = []
    for name, info in infos.items():
        (folder / name).mkdir()
        write_info(folder / name, info)
        writers.append(stack.enter_context(RunWriter(folder / name, parameters)))
    for writer in writers:
        writer.open()
    return writers


def _greet(side: str, worker: Worker) -> None:
    """Wait for the greeting of a side's worker. Raises CannotRun, which names the side, if there is none or the worker
    speaks another protocol."""
    try:
        worker.greet()
    except UserError as error:
        raise CannotRun(f"duel: the {side}'s {error}") from None
    theirs = worker.greeting["protocol"]
    if theirs != PROTOCOL:
        age = "old" if theirs < PROTOCOL else "new"
        protocols = f"the {side}'s worker speaks protocol {theirs}, this harness {PROTOCOL}"
        raise CannotRun(f"duel: {protocols}: it cannot be asked, because the {side} is too {age} for this harness")


def _admit(name: str, side: Origin, worker: Worker, study: Study) -> None:
    """Check which code the worker imports (`Origin.admit`), and note its packages in the greeting. Raises CannotRun,
    which names the side."""
    try:
        if packages := side.admit(worker, study.methods):
            worker.greeting["packages"] = packages
    except WorkerLost as error:
        raise CannotRun(f"duel: the {name}'s worker: {error.reason}") from None
    except CannotRun as error:
        raise CannotRun(f"duel: the {name}: {error}") from None
