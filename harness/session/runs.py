"""A run from beginning to end: its folder, where it comes from, how it is resumed."""

from __future__ import annotations

import hashlib
import json
import shlex
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from harness.errors import Interrupted, UserError, refused
from harness.machine import Revision, code_digest, measured_revision, package_revision, utc_now
from harness.outside_text import decoded
from harness.planning.earlier import earlier_run
from harness.planning.forecast import expected_seconds
from harness.planning.loading import Say, load_study_of, on_present_devices, plan_of, refuse_nothing
from harness.report.notebook import read
from harness.scripts.studies import load_script
from harness.session.counting import Counted, count_instructions, uncounted
from harness.session.place import Place, ThisMachine
from harness.session.process import Worker
from harness.session.sweep import Sweep
from harness.study.cells import Plan
from harness.study.definition import Study
from harness.study.folders import home_of
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
    replace_text,
)
from harness.version import __version__
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
    """Measure a study into a new folder of `results`, and read it back.

    studies: where its script lies (default: beside the file that it was read from); say: takes a line for the person
    who waits; baseline: whether it is one to be compared with; place: this machine, unless another is given.

    Raises UserError where nothing can be measured, and Interrupted at Ctrl-C once there is a folder.
    """
    begun = time.monotonic()
    plan_of(study)
    studies = studies or study.folder or STUDIES
    load_script(study.name, studies)
    with _opened(place) as there:
        present = on_present_devices(study, there.devices, lambda _: None)
        refuse_nothing(present)
        there.admit(study)
        revision = measured_revision(outside=any(":" in method for method in study.methods))
        info = sidecar(study, there.machine, revision, there.torch, there.pinned_to)
        info["digests"]["code"] = code_digest()
        earlier = earlier_run(Path(results), present, there.machine["slug"])
        info["expected_seconds"] = round(expected_seconds(plan_of(present), earlier), 1)
        parent = Path(results) / there.machine["slug"] / study.name
        folder = new_folder(parent / BASELINE if baseline else parent, revision.label)
        write_info(folder, info)
        return _measure(study, folder, info, there, studies, say, begun)


def resume(folder: str | Path, studies: Path = STUDIES, say: Say = print, *, place: Place | None = None) -> Run:
    """Go on with a run that was stopped, by the study in its run.json.

    Raises UserError where the run is complete or a side of a duel, its study file has changed, or this is another
    machine, other code or another torch; Interrupted as `run` does.
    """
    begun = time.monotonic()
    path = Path(folder)
    info = dict(read(path).info)
    if info["schema"] != SCHEMA_VERSION:
        raise UserError(f"{path}: begun with schema {info['schema']}, this version writes {SCHEMA_VERSION}")
    if info["end"]:
        raise UserError(f"{path}: this run is complete")
    source = home_of(info["study"], studies) / f"{info['study']}.toml"
    if source.is_file() and not _says(source, info["text"]):
        raise UserError(f"{source}: has changed since {path.name} began: restore it, or begin a new run")
    if path.name in (BASE, HEAD) and (path.parent / (HEAD if path.name == BASE else BASE)).is_dir():
        raise UserError(f"{path}: is one side of a duel, which cannot go on: begin a new one")
    study = load_study_of(read(path))
    with _opened(place) as there:
        if why := there.refuse(info["machine"]["slug"]) or _unlike(info, there):
            raise UserError(f"{path}: {why}")
        there.admit(study)
        return _measure(study, path, info, there, studies, say, begun)


def _says(source: Path, text: str) -> bool:
    try:
        return decoded(source.read_bytes()) == text
    except ValueError:
        return False


def _unlike(info: Mapping[str, Any], place: Place) -> str:
    """In what a run that was begun differs from what would go on with it, or ''."""
    code, torch, here = info.get("digests", {}).get("code"), info.get("torch", {}).get("torch"), place.torch["torch"]
    if code not in (None, code_digest()):
        return f"begun with code {code}, and this is {code_digest()}: go back to commit {info.get('commit')}"
    if torch not in (None, here):
        return f"begun with torch {torch}, and this is {here}: install that one, or begin a new run"
    return ""


def sidecar(
    study: Study,
    machine: Mapping[str, Any],
    revision: Revision,
    torch: Mapping[str, Any],
    pinned_to: Sequence[int],
) -> dict[str, Any]:
    """run.json of a run that begins now: what is measured, where, and by what.

    machine: its facts; revision: of the code that is measured; torch: the greeting of its worker; pinned_to: the core
    that one thread is pinned to. The package that measures adds its own version and revision.
    """
    return {
        "schema": SCHEMA_VERSION,
        "study": study.name,
        "text": study.text,
        "only": list(study.only),
        "parameters": {name: kind.__name__ for name, kind in parameter_types(study.own_axes).items()},
        "commit": revision.commit,
        "dirty": revision.dirty,
        "harness": {"version": __version__, **asdict(package_revision())},
        "machine": machine,
        "torch": torch,
        "pinned_to": list(pinned_to),
        "timing": study.timing.model_dump() if study.timing else None,
        "digests": {"study": hashlib.sha256(study.text.encode()).hexdigest()},
        "begin": utc_now().isoformat(timespec="seconds"),
        "end": None,
    }


@contextmanager
def _opened(place: Place | None) -> Iterator[Place]:
    """The place, which whoever gave it closes, or this machine."""
    if place is not None:
        yield place
        return
    with ThisMachine() as here:
        yield here


def _measure(
    study: Study, folder: Path, info: dict[str, Any], place: Place, studies: Path, say: Say, begun: float
) -> Run:
    command = f"harness run --resume {shlex.quote(str(folder))}{studies_option(studies)}{place.option}"
    kept = f"what is measured is kept: go on with `{command}`"
    try:
        return _measured(study, folder, info, place, studies, say, begun)
    except KeyboardInterrupt:
        raise Interrupted(kept) from None
    except Busy:
        raise
    except UserError as error:
        raise UserError(f"{error}; {kept}") from error
    except OSError as error:
        raise UserError(f"{refused(error)}; {kept}") from error


def _measured(
    study: Study, folder: Path, info: dict[str, Any], place: Place, studies: Path, say: Say, begun: float
) -> Run:
    present = on_present_devices(study, place.devices, say)
    plan = plan_of(present)
    for line in plan.notes:
        say(line)
    with RunWriter(folder, parameter_types(study.own_axes)) as writer:
        # Of every device: what was measured on one that is absent now stays.
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
            say(f"{script.path}: its measure() is of one machine, and left out on a cluster: facts.csv is empty")
        elif script.measure is not None:
            with script.blamed():
                facts = list(script.measure(study))
            writer.write_whole("facts", facts)
        read(folder).check()
        took = before + time.monotonic() - begun
        ended: dict[str, Any] = {"machine": _machines(info, place), "end": utc_now().isoformat(timespec="seconds")}
        ended["took_seconds"] = round(took, 3)
        write_info(folder, info | ended)
    return read(folder)


def _count(study: Study, plan: Plan, writer: RunWriter, folder: Path, place: Place, say: Say) -> None:
    """Count the instructions of every phase, unless an earlier part of the run has."""
    if not place.is_this_machine:
        say("instructions are counted on one machine, and left out on a cluster: instructions.csv is empty")
        return
    if (folder / "instructions.csv").exists():
        return
    counted = Counted(lambda prefix: Worker.spawn(counts=prefix), read(folder))
    (rows,) = count_instructions(study, list(plan), [counted])
    writer.write_whole("instructions", rows)
    if line := uncounted(rows):
        say(line)


def _machines(info: Mapping[str, Any], place: Place) -> dict[str, Any]:
    """The machine that a run began on; of a cluster with the kinds that joined, and those of an earlier part."""
    begun = info["machine"]
    known = begun.get("machines", {}) | place.machine.get("machines", {})
    return begun | ({"machines": known} if known else {})


def new_folder(parent: Path, label: str) -> Path:
    """A folder of this run alone: made, never shared."""
    stamp = utc_now().strftime("%Y%m%dT%H%M%SZ")
    for suffix in ("", *(f"_{number}" for number in range(2, 100))):
        folder = parent / f"{stamp}_{label}{suffix}"
        try:
            folder.mkdir(parents=True)
            return folder
        except FileExistsError:
            continue
        except OSError as error:
            raise UserError(f"{folder}: {error.strerror}") from None
    raise UserError(f"{parent}: too many runs begun in the same second")


def write_info(folder: Path, info: dict[str, Any]) -> None:
    """Write run.json, whole."""
    replace_text(folder / "run.json", json.dumps(info, indent=1) + "\n")
