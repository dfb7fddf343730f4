"""Two sides in one set of rounds, now: two commits, two folders, two interpreters (so two torch builds), or several.

Both sides' workers are pinned to the same cores and take turns block by block, so that whatever disturbs one disturbs
the other. Launches go on until a change that matters could not be missed and no change would be called the same; what
is then found must be found again in a second full set of launches.
"""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from harness.duel.base_only import base_only
from harness.duel.launches import Duel, Launches
from harness.duel.origin import Origin, working_tree
from harness.duel.question import Question
from harness.errors import CannotRun, Interrupted, UserError
from harness.machine import this_machine
from harness.planning.loading import Say, on_present_devices, plan_of, refuse_nothing
from harness.session.case import CaseRunner
from harness.session.process import Worker, WorkerLost
from harness.session.runs import new_folder, sidecar, write_info
from harness.session.side import Side
from harness.study.definition import Study
from harness.tables import BASE, HEAD, RunWriter, parameter_types
from harness.verdicts.sides import side_labels
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

    studies: the folder in which the base's own version of the study lies; None: both sides have this one.
    The head is the working tree under this interpreter, unless another is given; this process's study, sampler and
    judge drive both sides. question: the one quantity that is asked for; only its cell is measured, until the question
    is answered. until_decided: seconds that the duel may take, in place of the study's budget, until everything is
    decided. Raises UserError where the study times nothing, CannotRun where a side cannot be measured or speaks another
    protocol, and Interrupted at Ctrl-C once there is a folder.
    """
    if study.timing is None:
        raise UserError(f"{study.name}: a duel needs a study with a [timing] table (it may be empty)")
    study = study.without_own_metrics()  # nothing is judged by them, and the base may not have their code
    head = head or working_tree()
    with ExitStack() as stack:
        first = [stack.enter_context(side.spawn()) for side in (base, head)]
        for name, side, each in zip((BASE, HEAD), (base, head), first, strict=True):
            _greet(name, each)
            _admit(name, side, each, study)
        ours, theirs = (each.greeting.get("packages") for each in first)
        if ours and ours == theirs:
            say(f"both sides have the same code: {', '.join(f'{name} {each}' for name, each in ours.items())}")
        study = on_present_devices(study, first[1].greeting["devices"], say)
        refuse_nothing(study)
        plan = plan_of(study)
        for line in plan.notes:
            say(line)
        machine = this_machine(first[1].greeting["accelerator"])
        of_base, of_head = (
            sidecar(study, machine.facts, origin.revision, worker.greeting, worker.cores[:1])
            for origin, worker in zip((base, head), first, strict=True)
        )
        label = "_vs_".join(reversed(side_labels(of_base, of_head)))
        folder = new_folder(Path(results) / machine.slug / study.name, label)
        runs = []
        for name, info in ((BASE, of_base), (HEAD, of_head)):
            (folder / name).mkdir()
            write_info(folder / name, info)
            runs.append(stack.enter_context(RunWriter(folder / name, parameter_types(study.own_axes))))
        for writer in runs:
            writer.open()
        sides = [Side(origin.spawn, worker) for origin, worker in zip((base, head), first, strict=True)]
        runner = stack.enter_context(CaseRunner(study, sides))
        known = first[0].greeting["methods"]
        gone = {} if studies is None else base_only(base, study, studies, plan)
        cases = question.cells(plan) if question else list(plan)
        spawns = (base.spawn, head.spawn)
        launches = Launches(study, cases, runner, runs, folder, known, gone, say, until_decided, spawns)
        try:
            return launches.answer(question) if question else launches.fight()
        except KeyboardInterrupt:
            kept = f"what both sides measured is kept in {folder}, without a verdict"
            raise Interrupted(f"a duel cannot be resumed; {kept}") from None


def _greet(side: str, worker: Worker) -> None:
    """Wait for the greeting of a side's worker. Raises CannotRun, which names the side, where there is none, or one of
    another protocol."""
    try:
        worker.greet()
    except UserError as error:
        raise CannotRun(f"duel: the {side}'s {error}") from None
    theirs = worker.greeting["protocol"]
    if theirs != PROTOCOL:
        age = "old" if theirs < PROTOCOL else "new"
        told = f"the {side}'s worker speaks protocol {theirs}, this harness {PROTOCOL}"
        raise CannotRun(f"duel: {told}: it cannot be asked, because the {side} is too {age} for this harness")


def _admit(name: str, side: Origin, worker: Worker, study: Study) -> None:
    """Note in the greeting where the packages come from whose methods the study names. Raises CannotRun, as `admit`."""
    try:
        if packages := side.admit(worker, study.methods):
            worker.greeting["packages"] = packages
    except WorkerLost as error:
        raise CannotRun(f"duel: the {name}'s worker: {error.reason}") from None
    except CannotRun as error:
        raise CannotRun(f"duel: the {name}: {error}") from None
