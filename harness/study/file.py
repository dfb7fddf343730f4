"""A study file (TOML), read strictly: every mistake is one line that says what is allowed."""

from __future__ import annotations

import re
import tomllib
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from harness.errors import UserError, unknown
from harness.outside_text import decoded
from harness.study.definition import Study
from harness.study.tables import Axes, Gate, Instructions, Limits, Precision, Shape, Timing
from harness.study.validation import one_line
from harness.vocabulary import AXES, CACHE, CACHE_STATES, SHAPE

_MODELS: dict[str, type[BaseModel]] = {
    "": Study,
    "axes": Axes,
    "shapes.*": Shape,
    "timing": Timing,
    "instructions": Instructions,
    "precision": Precision,
    "limits": Limits,
    "gate": Gate,
}
"""The table of a study file -> its model."""


@dataclass(frozen=True)
class Known:
    """The registered names that a study may use; import paths ('package.module:name') are methods and metrics too."""

    methods: tuple[str, ...]
    distributions: tuple[str, ...]
    metrics: tuple[str, ...]
    parameters: tuple[str, ...]


def parse_study(text: str, name: str, source: str, known: Known) -> Study:
    """The study that `text` describes.

    Raises UserError, one line that begins with `source`, for anything that is not allowed.
    """
    try:
        study = Study.model_validate(tomllib.loads(text))
    except ValidationError as error:
        raise UserError(f"{source}: {one_line(error, _MODELS)}") from None
    except (ValueError, RecursionError) as error:  # of tomllib: its own is a ValueError, as is a number too long
        raise UserError(f"{source}: not TOML: {error}{_unseen(text, str(error))}") from None
    except UserError as error:
        raise UserError(f"{source}: {error}") from None
    _check_names(study, source, known)
    return study.told(name, text)


def parse_gate(text: str, source: str) -> Gate:
    """The tolerances of the study that `text` describes, whatever else it says. Raises UserError, as parse_study."""
    try:
        return Gate.model_validate(tomllib.loads(text).get("gate", {}))
    except ValidationError as error:
        raise UserError(f"{source}: gate: {one_line(error, {'': Gate})}") from None


def read_study(path: Path, known: Known) -> Study:
    """The study in a file; raises UserError where it cannot be read or is not allowed."""
    try:
        text = decoded(path.read_bytes())
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}") from None
    except ValueError as error:
        raise UserError(f"{path}: {error}") from None
    return parse_study(text, path.stem, str(path), known).found_in(path.parent)


def _unseen(text: str, message: str) -> str:
    """The first character of the line of a TOML error that looks like nothing or like another one."""
    at = re.search(r"at line (\d+)", message)
    lines = text.split("\n")
    for each in lines[int(at[1]) - 1] if at and int(at[1]) <= len(lines) else "":
        if each not in " \t" and unicodedata.category(each) in ("Cc", "Cf", "Zs", "Zl", "Zp", "Pi", "Pf"):
            return f"; this line has a {unicodedata.name(each, 'control character').lower()} (U+{ord(each):04X})"
    return ""


def narrow(study: Study, only: Iterable[str]) -> Study:
    """The study with axes, `method` or `shape` cut to the values of `only`: items such as 'dtype=float16,float32'."""
    axes, methods, shapes = dict(study.axes), study.methods, study.shapes
    allowed = (*AXES, "method", *((SHAPE,) if shapes else ()))
    for item in only:
        key, _, words = item.partition("=")
        if key not in allowed:
            raise unknown(f"--only {item}", "axis", key, allowed)
        if any(getattr(shape, key, None) is not None for shape in shapes.values()):
            raise UserError(f"--only {item}: the shapes of this study have a {key} of their own: narrow `{SHAPE}`")
        present: tuple[Any, ...] = {"method": methods, SHAPE: tuple(shapes)}.get(key) or axes[key]
        by_word = {str(value): value for value in present}
        for word in words.split(","):
            if word not in by_word:
                raise unknown(f"--only {item}", f"{key} in this study", word, by_word)
        kept = tuple(dict.fromkeys(by_word[word] for word in words.split(",")))
        if key == "method":
            methods = kept
        elif key == SHAPE:
            shapes = {name: shapes[name] for name in kept}
        else:
            axes[key] = kept
    return study.model_copy(update={"axes": study.axes.model_copy(update=axes), "methods": methods, "shapes": shapes})


def _check_names(study: Study, source: str, known: Known) -> None:
    """What parameters a method of an import path takes is known once it is imported: reading a study runs no code."""
    imported = any(":" in each for each in study.methods)
    by_shape = study.axes_by_shape.values()
    for kind, words, allowed in (
        ("method", [each for each in study.methods if ":" not in each], known.methods),
        ("distribution", [each for axes in by_shape for each in axes.distribution], known.distributions),
        ("metric", [each for each in study.comparison.metrics if ":" not in each], known.metrics),
        ("parameter", () if imported else study.parameters, known.parameters),
        (CACHE, study.parameters.get(CACHE, ()), CACHE_STATES),
    ):
        for word in words:
            if word not in allowed:
                raise unknown(source, kind, word, allowed)
