"""Where studies lie: in the folder that a person names, and behind it among those that come with the harness.

The script beside a study runs code. So a script is found by the name of its study in one of these two folders, or
beside a study file that a person names by its path, and never by a path that a results file contains.
"""

from __future__ import annotations

import os
from pathlib import Path

from harness.errors import UserError, unknown
from harness.vocabulary import SHIPPED, STUDIES, STUDY_SUFFIX


def is_path(word: str) -> bool:
    """Whether a word names a study by the path of its file, not by its name."""
    return word.endswith(STUDY_SUFFIX) or os.sep in word


def study_files(studies: Path) -> dict[str, Path]:
    """The name of every study that a person may ask for -> its file; one's own hides a shipped one of the same name."""
    found = {path.stem: path for folder in (SHIPPED, studies) for path in folder.glob(f"*{STUDY_SUFFIX}")}
    return {name: found[name] for name in sorted(found)}


def find_study(word: str, studies: Path = STUDIES) -> Path:
    """The study file that a word means: a path, with or without `.toml`, or a name in one of the two folders.

    Raises UserError where there is no such file or name.
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
    """The folder in which the study file and the script of that name lie; `studies` where neither folder has one."""
    kinds = (STUDY_SUFFIX, ".py")
    found = (each for each in (studies, SHIPPED) if any((each / f"{name}{kind}").is_file() for kind in kinds))
    return next(found, studies)


def home_named(word: str, studies: Path) -> Path:
    """The folder to look for scripts in when a word means results: that of the study file, where the word is its path.

    Raises UserError where a word that ends as a study file names none.
    """
    return find_study(word, studies).parent if word.endswith(STUDY_SUFFIX) else studies
