"""Two sides in one set of rounds, now: two commits, two interpreters (so two torch builds), or both.

Both sides' workers are pinned to the same cores and take turns block by block, so that whatever disturbs one disturbs
the other. Launches go on until a change that matters could not be missed and no change would be called the same; what
is then found must be found again in a second full set of launches.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from harness.duel.base_only import base_only
from harness.duel.launches import Duel, Launches
from harness.errors import Interrupted, UserError
from harness.loading import Say, on_present_devices, plan_of, refuse_nothing
from harness.machine import this_machine, this_revision
from harness.measure.case import CaseRunner, Side
from harness.measure.process import Worker
from harness.origin import Origin
from harness.runs import new_folder, sidecar, write_info
from harness.study import Study
from harness.tables import BASE, HEAD, RunWriter, parameter_types
from harness.verdicts.sides import side_labels
from harness.vocabulary import RESULTS, STUDIES

__all__ = ["Duel", "duel"]


def duel(
    study: Study,
    base: Origin,
    results: str | Path = RESULTS,
    studies: Path = STUDIES,
    say: Say = print,
) -> Duel:
    """Measure a study on both sides into a new folder of `results`, and judge.

    The head is the working tree under this interpreter; its study, sampler and judge drive both sides. Raises
    UserError where the study times nothing or the two sides speak different protocols, and Interrupted at Ctrl-C once
    there is a folder.
    """
    if study.timing is None:
        raise UserError(f"{study.name}: a duel needs a study with a [timing] table")
    head = Origin(Path.cwd(), sys.executable, this_revision())
    with ExitStack() as stack:
        first = [stack.enter_context(side.spawn()) for side in (base, head)]
        for name, each in zip((BASE, HEAD), first, strict=True):
            _greet(name, each)
        _refuse_unlike([each.greeting for each in first])
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
        launches = Launches(study, plan, runner, runs, folder, known, base_only(base, study, studies, plan))
        try:
            return launches.fight()
        except KeyboardInterrupt:
            kept = f"what both sides measured is kept in {folder}, without a verdict"
            raise Interrupted(f"a duel cannot be resumed; {kept}") from None


def _greet(side: str, worker: Worker) -> None:
    """Wait for the greeting of a side's worker. Raises UserError, which names the side, where there is none."""
    try:
        worker.greet()
    except UserError as error:
        raise UserError(f"duel: the {side}'s {error}") from None


def _refuse_unlike(greetings: Sequence[dict[str, Any]]) -> None:
    one, two = (each["protocol"] for each in greetings)
    if one != two:
        older = "base" if one < two else "head"
        told = f"the base's worker speaks protocol {one}, the head's {two}"
        raise UserError(f"duel: {told}: they cannot be compared, because the {older} is too old for the other side")
