"""A run from beginning to end, and how a stopped one is resumed."""

from __future__ import annotations

import shlex
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from harness.errors import Interrupted, UserError, refused
from harness.machine import code_digest, measured_revision, utc_now
from harness.outside_text import decoded
from harness.planning.earlier import earlier_run
from harness.planning.forecast import expected_seconds
from harness.planning.loading import Say, load_study_of, on_present_devices, plan_of, refuse_nothing
from harness.report.notebook import read
from harness.scripts.studies import load_script
from harness.session.counting import Counted, count_instructions, uncounted
from harness.session.folder import new_folder, sidecar, write_info
from harness.session.place import Place, ThisMachine
from harness.session.process import Worker
from harness.session.sweep import Sweep
from harness.study.definition import Study
from harness.study.folders import home_of
from harness.study.plan import Plan
from harness.tables import (
    BASE,
    BASELINE,
    HEAD,
    SCHEMA_VERSION,
    Busy,
    Run,
    RunWriter,
    parameter_types,
    recover,
)
from harness.vocabulary import RESULTS, STUDIES, studies_option


def run(
    study: Study,
    results: str | Path = RESULTS,
    studies: Path | None = None,
    say: Say = print,
    *,
    baseline: bool = False,
    place: Place | None = None,
) -> Run:
    """Measure a study into a new folder below `results`, and read it back.

    studies: the folder of its script (default: where the study file is). say: prints a line for the user. baseline:
    whether to put it among the baseline runs, with which others are compared. place: where to measure (default: this
    machine).

    Raises UserError if nothing can be measured, and Interrupted on Ctrl-C once there is a folder.
    """
    begun = time.monotonic()
    # Mistakes in the study or its script are found here, before a worker starts or a folder is made.
    plan_of(study)
    studies = studies or study.folder or STUDIES
    load_script(study.name, studies)
    with _opened(place) as opened:
        present = on_present_devices(study, opened.devices, lambda _: None)
        refuse_nothing(present)
        opened.admit(study)
        revision = measured_revision(outside=any(":" in method for method in study.methods))
        info = sidecar(study, opened.machine, revision, opened.torch, opened.pinned_to)
        info["digests"]["code"] = code_digest()
        earlier = earlier_run(Path(results), present, opened.machine["slug"])
        expected = expected_seconds(plan_of(present), earlier, max(1, opened.at_once(present)))
        info["expected_seconds"] = round(expected, 1)
        parent = Path(results) / opened.machine["slug"] / study.name
        folder = new_folder(parent / BASELINE if baseline else parent, revision.label)
        write_info(folder, info)
        return _measure_resumably(study, folder, info, opened, studies, say, begun)


def resume(folder: str | Path, studies: Path = STUDIES, say: Say = print, *, place: Place | None = None) -> Run:
    """Go on with a run that was stopped, using the study in its run.json.

    Raises UserError if the run is complete or a side of a duel, if its study file has changed, or if the machine, the
    code or torch differ from those it began with; Interrupted as `run` does.
    """
    begun = time.monotonic()
    path = Path(folder)
    info = dict(read(path).info)
    if info["schema"] != SCHEMA_VERSION:
        raise UserError(f"{path}: begun with schema {info['schema']}, and this version writes {SCHEMA_VERSION}")
    if info["end"]:
        raise UserError(f"{path}: this run is complete")
    source = home_of(info["study"], studies) / f"{info['study']}.toml"
    if source.is_file() and not _has_text(source, info["text"]):
        raise UserError(f"{source}: has changed since {path.name} began: restore it, or begin a new run")
    if path.name in (BASE, HEAD) and (path.parent / (HEAD if path.name == BASE else BASE)).is_dir():
        raise UserError(f"{path}: is one side of a duel, and a duel cannot be resumed: begin a new one")
    study = load_study_of(read(path))
    with _opened(place) as opened:
        if reason := opened.refuse(info["machine"]["slug"]) or _difference(info, opened):
            raise UserError(f"{path}: {reason}")
        opened.admit(study)
        return _measure_resumably(study, path, info, opened, studies, say, begun)


def _has_text(source: Path, text: str) -> bool:
    try:
        return decoded(source.read_bytes()) == text
    except ValueError:
        return False


def _difference(info: Mapping[str, Any], place: Place) -> str:
    """How the code or torch differ from those that a run began with, or ''."""
    code = info.get("digests", {}).get("code")
    torch, torch_now = info.get("torch", {}).get("torch"), place.torch["torch"]
    if code not in (None, code_digest()):
        return f"begun with code {code}, and this is {code_digest()}: go back to commit {info.get('commit')}"
    if torch not in (None, torch_now):
        return f"begun with torch {torch}, and this is {torch_now}: install that one, or begin a new run"
    return ""


@contextmanager
def _opened(place: Place | None) -> Iterator[Place]:
    """The place, which its owner closes; without one, this machine."""
    if place is not None:
        yield place
        return
    with ThisMachine() as here:
        yield here


def _measure_resumably(
    study: Study, folder: Path, info: dict[str, Any], place: Place, studies: Path, say: Say, begun: float
) -> Run:
    """Measure into the folder; errors and interruptions say how to go on."""
    command = f"harness run --resume {shlex.quote(str(folder))}{studies_option(studies)}{place.option}"
    kept = f"what is measured is kept: go on with `{command}`"
    try:
        return _measure(study, folder, info, place, studies, say, begun)
    except KeyboardInterrupt:
        raise Interrupted(kept) from None
    except Busy:  # another process writes this run: there is nothing to go on with
        raise
    except UserError as error:
        raise UserError(f"{error}; {kept}") from error
    except OSError as error:
        raise UserError(f"{refused(error)}; {kept}") from error


def _measure(
    study: Study, folder: Path, info: dict[str, Any], place: Place, studies: Path, say: Say, begun: float
) -> Run:
    """Measure what the folder lacks: cells, instruction counts and facts; then complete run.json and read it back."""
    present = on_present_devices(study, place.devices, say)
    plan = plan_of(present)
    for line in plan.notes:
        say(line)
    with RunWriter(folder, parameter_types(study.own_axes)) as writer:
        # By the plan of all devices, since the rows of a device that is absent now must stay.
        committed = recover(folder, {case.id: len(cells) for case, cells in plan_of(study)})
        writer.open()
        with place.measuring(present) as measure:
            earlier = read(folder)
            before = float(earlier.cells["wall_seconds"].sum())
            sweep = Sweep(plan, measure, committed, earlier, place.at_once(present), begun=begun)
            for rows in sweep.rows():
                writer.commit(rows)
        if line := sweep.budget_line():
            say(line)
        if present.instructions is not None:
            _count(present, plan, writer, folder, place, say)
        script = load_script(study.name, studies)
        if script.measure is not None and not place.is_this_machine:
            say(f"{script.path}: its measure() needs one machine and is left out on a cluster: facts.csv is empty")
        elif script.measure is not None:
            with script.blamed():
                facts = list(script.measure(study))
            writer.write_whole("facts", facts)
        read(folder).check()
        took = before + time.monotonic() - begun
        completed: dict[str, Any] = {"machine": _machines(info, place), "end": utc_now().isoformat(timespec="seconds")}
        completed["took_seconds"] = round(took, 3)
        write_info(folder, info | completed)
    return read(folder)


def _count(study: Study, plan: Plan, writer: RunWriter, folder: Path, place: Place, say: Say) -> None:
    """Count the instructions of every phase, unless an earlier part of the run has done so."""
    if not place.is_this_machine:
        say("instructions are counted on one machine only and left out on a cluster: instructions.csv is empty")
        return
    if (folder / "instructions.csv").exists():
        return
    counted = Counted(lambda prefix: Worker.spawn(counts=prefix), read(folder))
    (rows,) = count_instructions(study, list(plan), [counted])
    writer.write_whole("instructions", rows)
    if line := uncounted(rows):
        say(line)


def _machines(info: Mapping[str, Any], place: Place) -> dict[str, Any]:
    """The machine that a run began on; for a cluster, with all kinds of machines that joined in any part of the run."""
    first = info["machine"]
    joined = first.get("machines", {}) | place.machine.get("machines", {})
    return first | ({"machines": joined} if joined else {})
