"""Which folder a word means: a folder itself, or the name of a study for the newest of its runs; and where judged runs
lie."""

from __future__ import annotations

import os
import re
from pathlib import Path

from harness.errors import UserError, shortened, unknown
from harness.machine import this_machine
from harness.tables.reading import HEAD, read_object
from harness.tables.schema import FOLDER_NAME, HISTORY_FILE, SUITE_FILE, SUITE_HISTORY_FILE, VERDICTS_FILE
from harness.vocabulary import STUDY_SUFFIX

BASELINE = "baseline"
"""The folder of the runs that are recorded to be compared with."""

REFERENCE = "reference"
"""The folder of a committed run; those of one's own are named by their time."""


def studies_with_runs(results: Path) -> list[str]:
    """The names of the studies that have a run, in order."""
    return sorted({path.parent.parent.name for path in results.glob("*/*/*/run.json")})


def newest_run(results: Path, word: str) -> Path:
    """The folder that a word means: a run folder itself, or the newest run of the study of that name, or of that file.

    A committed `reference` is older than any run of one's own.
    """
    if (Path(word) / "run.json").is_file():
        return Path(word)
    found = sorted(_folders(results, word, "*/run.json"), key=_age)
    if not found:
        raise _no_run(results, word)
    return found[-1]


def _no_run(results: Path, word: str) -> UserError:
    """Why a word means no run."""
    if word and Path(word).is_dir():
        return UserError(f"{word}: not the folder of a run: no run.json is in it")
    if os.sep in word and not word.endswith((STUDY_SUFFIX, f"/{BASELINE}")):
        return UserError(f"{word}: no such file")
    if known := studies_with_runs(results):
        return unknown(str(results), "run", word, known)
    return UserError(f"{results}: unknown run '{shortened(word)}': no run is there yet: `harness run STUDY` makes one")


def newest_result(results: Path, word: str) -> Path:
    """The folder that a word means where a duel is as good as a run: a folder of either, or the newest of the study."""
    if has_verdicts(Path(word)) or (Path(word) / "run.json").is_file():
        return Path(word)
    duels = _folders(results, word, f"*/{VERDICTS_FILE}")
    runs = _folders(results, word, "*/run.json")
    return max(duels + runs, key=_age) if duels else newest_run(results, word)


def baseline_runs(results: Path, word: str) -> list[Path]:
    """The folders that a word means as a base: STUDY/baseline stands for every run recorded as such, else one run."""
    study, _, name = word.partition("/")
    found = sorted(_folders(results, study, f"{BASELINE}/*/run.json")) if name == BASELINE else []
    return found or [newest_run(results, word)]


def _folders(results: Path, study: str, file: str) -> list[Path]:
    """The folders that hold such a file, of a study by its name, or by the path of its file.

    A word that is no name of a study has none, and is no pattern.
    """
    name = Path(study).stem if study.endswith(STUDY_SUFFIX) else study
    return [path.parent for path in results.glob(f"*/{name}/{file}")] if re.fullmatch(FOLDER_NAME, name) else []


def _age(folder: Path) -> tuple[bool, str]:
    return folder.name != REFERENCE, folder.name


def has_verdicts(folder: Path) -> bool:
    """Whether a folder is that of a duel which came to its end."""
    return (folder / VERDICTS_FILE).is_file()


def is_suite_duel(folder: Path) -> bool:
    """Whether a folder is that of a duel of a pytest suite which came to its end."""
    return has_verdicts(folder) and (folder / HEAD / SUITE_FILE).is_file()


def history_of(results: Path, machine: str | None) -> Path:
    """The path of the history of a machine by its slug, or of this one; a machine may have only one of suites, which
    lies beside that path. Raises UserError where there is neither."""
    files = [*results.glob(f"*/{HISTORY_FILE}"), *results.glob(f"*/{SUITE_HISTORY_FILE}")]
    there = sorted({path.parent.name for path in files})
    if machine is not None and machine not in there and there:
        raise unknown(str(results), "machine", machine, there)
    slug = machine or this_machine().slug
    # What reads results does not ask torch for the accelerator, which ends the slug of a machine that has one.
    mine = [each for each in there if each == slug or (machine is None and each.startswith(f"{slug}_"))]
    if not mine:
        raise UserError(
            f"{results / slug / HISTORY_FILE}: no history yet: `harness duel` and `harness compare` add to it"
        )
    if len(mine) > 1:
        raise UserError(f"{results}: several histories of this machine: name one with --machine: {', '.join(mine)}")
    return results / mine[0] / HISTORY_FILE


def judged_folders(machine: Path) -> dict[tuple[str, str], Path]:
    """(study, begin) -> the folder of that duel or run, as far as it is still there in the folder of a machine.

    A run that cannot be read is left out, and so are committed references.
    """
    found = {}
    names = ("*/*/run.json", f"*/*/{HEAD}/run.json", f"*/*/{HEAD}/{SUITE_FILE}")
    for file in sorted(path for name in names for path in machine.glob(name)):
        folder = file.parent.parent if file.parent.name == HEAD else file.parent
        if folder.name == REFERENCE:
            continue
        try:
            found[folder.parent.name, str(read_object(file).get("begin"))] = folder
        except UserError:
            continue
    return found
