"""Where studies are found: in the folder that a person names, then among the studies that the harness ships.

The script beside a study runs code. So a script is looked up by the name of its study in one of these two folders, or
beside a study file that a person names by its path, and never by a path that a results file contains.
"""

from __future__ import annotations

import os
from pathlib import Path

from harness.errors import UserError, unknown
from harness.vocabulary import SHIPPED, STUDIES, STUDY_SUFFIX


def is_path(word: str) -> bool:
    """Whether a word is the path of a study file rather than the name of a study."""
    return word.endswith(STUDY_SUFFIX) or os.sep in word


def study_files(studies: Path) -> dict[str, Path]:
    """Name of every study -> its file; a study in `studies` hides a shipped one of the same name."""
    found = {path.stem: path for folder in (SHIPPED, studies) for path in folder.glob(f"*{STUDY_SUFFIX}")}
    return {name: found[name] for name in sorted(found)}


def find_study(word: str, studies: Path = STUDIES) -> Path:
    """The study file that a word means: a path, with or without `.toml`, or a name in one of the two folders.

    Raises UserError if there is no such file or name.
    """
    if is_path(word):
        path = Path(word if word.endswith(STUDY_SUFFIX) else f"{word}{STUDY_SUFFIX}")
        if not path.is_file():
            raise UserError(f"{path}: no such file")
        return path
    files = study_files(studies)
    if word not in files:
        raise unknown(str(studies), "study", word, files)
    return files[word]


def home_of(name: str, studies: Path) -> Path:
    """The folder with the study file or the script of this name; `studies` if neither folder has one."""
    suffixes = (STUDY_SUFFIX, ".py")
    homes = (
        folder for folder in (studies, SHIPPED) if any((folder / f"{name}{suffix}").is_file() for suffix in suffixes)
    )
    return next(homes, studies)


def home_named(word: str, studies: Path) -> Path:
    """The folder to look for scripts in, for a word that means results.

    It is the folder of the study file if the word is the path of one, else `studies`. Raises UserError if the word ends
    like a study file and there is no such file.
    """
    return find_study(word, studies).parent if word.endswith(STUDY_SUFFIX) else studies
