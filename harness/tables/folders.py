"""Finds runs and duels: which folder a word means (its path, or the name of a study for its newest run), and where the
runs behind a history are."""

from __future__ import annotations

import os
import re
from pathlib import Path

from harness.errors import UserError, shortened, unknown
from harness.machine import this_machine
from harness.tables.judged import HISTORY_FILE, SUITE_HISTORY_FILE, VERDICTS_FILE
from harness.tables.reading import HEAD, read_object
from harness.tables.schema import FOLDER_NAME, SUITE_FILE
from harness.vocabulary import STUDY_SUFFIX

BASELINE = "baseline"
"""The folder of the runs that are recorded as a base for later comparisons."""

REFERENCE = "reference"
"""The folder of a committed run. The user's own runs are named by their time."""


def studies_with_runs(results: Path) -> list[str]:
    """The names of the studies that have a run, sorted."""
    return sorted({path.parent.parent.name for path in results.glob("*/*/*/run.json")})


def newest_run(results: Path, word: str) -> Path:
    """The folder that a word names; if it names a study, or the file of one, the folder of its newest run.

    A committed `reference` counts as older than any of the user's own runs. Raises UserError if there is no run.
    """
    if (Path(word) / "run.json").is_file():
        return Path(word)
    folders = sorted(_folders(results, word, "*/run.json"), key=_age)
    if not folders:
        raise _no_run(results, word)
    return folders[-1]


def _no_run(results: Path, word: str) -> UserError:
    """The error for a word that means no run."""
    if word and Path(word).is_dir():
        return UserError(f"{word}: not the folder of a run: it has no run.json")
    if os.sep in word and not word.endswith((STUDY_SUFFIX, f"/{BASELINE}")):
        return UserError(f"{word}: no such file")
    if known := studies_with_runs(results):
        return unknown(str(results), "run", word, known)
    return UserError(f"{results}: unknown run '{shortened(word)}': no run is there yet: `harness run STUDY` makes one")


def newest_result(results: Path, word: str) -> Path:
    """The folder that a word means where either a run or a duel will do: its path, or the newest one of the study."""
    if has_verdicts(Path(word)) or (Path(word) / "run.json").is_file():
        return Path(word)
    duels = _folders(results, word, f"*/{VERDICTS_FILE}")
    runs = _folders(results, word, "*/run.json")
    return max(duels + runs, key=_age) if duels else newest_run(results, word)


def baseline_runs(results: Path, word: str) -> list[Path]:
    """The folders that a word means as a base: STUDY/baseline means every recorded baseline, any other word one run."""
    study, _, name = word.partition("/")
    folders = sorted(_folders(results, study, f"{BASELINE}/*/run.json")) if name == BASELINE else []
    return folders or [newest_run(results, word)]


def _folders(results: Path, study: str, file: str) -> list[Path]:
    """The folders of a study, given by name or by its file, that match the pattern `file`."""
    name = Path(study).stem if study.endswith(STUDY_SUFFIX) else study
    # A word that cannot be the name of a study has no folders, and must not be taken for a pattern by glob.
    return [path.parent for path in results.glob(f"*/{name}/{file}")] if re.fullmatch(FOLDER_NAME, name) else []


def _age(folder: Path) -> tuple[bool, str]:
    """Sort key: the reference first, then the user's runs by their time."""
    return folder.name != REFERENCE, folder.name


def has_verdicts(folder: Path) -> bool:
    """Whether a folder holds a finished duel."""
    return (folder / VERDICTS_FILE).is_file()


def is_suite_duel(folder: Path) -> bool:
    """Whether a folder holds a finished duel of a pytest suite."""
    return has_verdicts(folder) and (folder / HEAD / SUITE_FILE).is_file()


def history_of(results: Path, machine: str | None) -> Path:
    """The path of the history of a machine (its slug), or of this machine if none is named.

    The file itself may be missing if the machine has a history of suites beside it. Raises UserError if it has neither,
    or if several histories could be this machine's.
    """
    files = [*results.glob(f"*/{HISTORY_FILE}"), *results.glob(f"*/{SUITE_HISTORY_FILE}")]
    known = sorted({path.parent.name for path in files})
    if machine is not None and machine not in known and known:
        raise unknown(str(results), "machine", machine, known)
    slug = machine or this_machine().slug
    # A slug ends with the accelerator, if there is one. Only torch knows its name, and readers do not import torch.
    mine = [name for name in known if name == slug or (machine is None and name.startswith(f"{slug}_"))]
    if not mine:
        raise UserError(
            f"{results / slug / HISTORY_FILE}: no history yet: `harness duel` and `harness compare` add to it"
        )
    if len(mine) > 1:
        raise UserError(f"{results}: several histories of this machine: name one with --machine: {', '.join(mine)}")
    return results / mine[0] / HISTORY_FILE


def judged_folders(machine: Path) -> dict[tuple[str, str], Path]:
    """(study, begin) -> the folder of that duel or run, for all that still exist in the folder of a machine.

    Runs that cannot be read are left out, and so are committed references.
    """
    folders = {}
    patterns = ("*/*/run.json", f"*/*/{HEAD}/run.json", f"*/*/{HEAD}/{SUITE_FILE}")
    for file in sorted(path for pattern in patterns for path in machine.glob(pattern)):
        folder = file.parent.parent if file.parent.name == HEAD else file.parent
        if folder.name == REFERENCE:
            continue
        try:
            folders[folder.parent.name, str(read_object(file).get("begin"))] = folder
        except UserError:
            continue
    return folders
