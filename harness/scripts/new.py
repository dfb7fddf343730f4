"""`harness new`: a commented study file to start from, and a script with two figures beside it."""

from __future__ import annotations

import re
import sys
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path

from harness.errors import UserError
from harness.study.folders import is_path
from harness.tables import FOLDER_NAME
from harness.vocabulary import SHIPPED, STUDY_SUFFIX

TEMPLATES = {STUDY_SUFFIX: "study.toml", ".py": "script.py.txt"}
"""Suffix of a file -> its template, in which NAME stands for the name of the study."""


def new_study(word: str, studies: Path) -> list[Path]:
    """Write a study file and its script, and return their paths.

    word: a name for files in the folder `studies`, or a path. Raises UserError, before anything is written, where the
    name cannot be used or one of the files exists already.
    """
    target = Path(word.removesuffix(STUDY_SUFFIX)) if is_path(word) else studies / word
    _refuse_name(target.name)
    paths = {target.with_name(f"{target.name}{suffix}"): template for suffix, template in TEMPLATES.items()}
    for path in paths:
        if path.exists():
            raise UserError(f"{path}: is there already, and is left as it is")
    target.parent.mkdir(parents=True, exist_ok=True)
    for path, template in paths.items():
        text = files("harness").joinpath("templates", template).read_text(encoding="utf-8")
        with path.open("x", encoding="utf-8") as file:
            file.write(text.replace("NAME", target.name))
    return list(paths)


def _refuse_name(name: str) -> None:
    """Raise UserError for a name that cannot be a folder of results, or that would hide a module from scripts."""
    if not re.fullmatch(FOLDER_NAME, name):
        raise UserError(f"new: '{name}' is no name of a study: letters, digits, '_' and '-', the first no '-'")
    if any((SHIPPED / f"{name}{suffix}").exists() for suffix in TEMPLATES):
        raise UserError(f"new: '{name}' comes with the harness: take another name")
    if name in sys.modules or find_spec(name) is not None:
        raise UserError(f"new: '{name}' is a Python module, which scripts beside {name}.py could not import any more")
