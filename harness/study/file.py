"""Reads a study file (TOML) strictly: every mistake is reported in one line that says what is allowed."""

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
"""Table of a study file -> its model."""


@dataclass(frozen=True)
class Known:
    """The registered names that a study may use; methods and metrics may also be import paths 'package.module:name'."""

    methods: tuple[str, ...]
    distributions: tuple[str, ...]
    metrics: tuple[str, ...]
    parameters: tuple[str, ...]


def parse_study(text: str, name: str, source: str, known: Known) -> Study:
    """The study that `text` describes. Raises UserError, which begins with `source`, for anything not allowed."""
    try:
        study = Study.model_validate(tomllib.loads(text))
    except ValidationError as error:
        raise UserError(f"{source}: {one_line(error, _MODELS)}") from None
    except (ValueError, RecursionError) as error:
        # tomllib's own error is a ValueError, and so is int()'s on too long a number; deep nesting is a RecursionError.
        raise UserError(f"{source}: not TOML: {error}{_invisible(text, str(error))}") from None
    except UserError as error:
        raise UserError(f"{source}: {error}") from None
    _check_names(study, source, known)
    return study.identified(name, text)


def parse_gate(text: str, source: str) -> Gate:
    """The tolerances ([gate]) in the text of a study, whose other tables are ignored. Raises UserError."""
    try:
        return Gate.model_validate(tomllib.loads(text).get("gate", {}))
    except ValidationError as error:
        raise UserError(f"{source}: gate: {one_line(error, {'': Gate})}") from None


def read_study(path: Path, known: Known) -> Study:
    """The study in a file. Raises UserError if the file cannot be read or says something that is not allowed."""
    try:
        text = decoded(path.read_bytes())
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}") from None
    except ValueError as error:
        raise UserError(f"{path}: {error}") from None
    return parse_study(text, path.stem, str(path), known).found_in(path.parent)


def _invisible(text: str, message: str) -> str:
    """Names the first character, in the line of a TOML error, that is invisible or looks like another; or ''."""
    at = re.search(r"at line (\d+)", message)
    lines = text.split("\n")
    for character in lines[int(at[1]) - 1] if at and int(at[1]) <= len(lines) else "":
        # Control and format characters, spaces and separators, typographic quotes.
        if character not in " \t" and unicodedata.category(character) in ("Cc", "Cf", "Zs", "Zl", "Zp", "Pi", "Pf"):
            name = unicodedata.name(character, "control character").lower()
            return f"; this line has a {name} (U+{ord(character):04X})"
    return ""


def narrow(study: Study, only: Iterable[str]) -> Study:
    """The study with only some values of an axis, `method` or `shape`.

    only: items such as 'dtype=float16,float32'. Raises UserError for a key or a value that the study does not have.
    """
    axes, methods, shapes = dict(study.axes), study.methods, study.shapes
    allowed = (*AXES, "method", *((SHAPE,) if shapes else ()))
    for item in only:
        key, _, words = item.partition("=")
        if key not in allowed:
            raise unknown(f"--only {item}", "axis", key, allowed)
        if any(getattr(shape, key, None) is not None for shape in shapes.values()):
            raise UserError(f"--only {item}: the shapes of this study have their own {key}: narrow `{SHAPE}`")
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
    """Raise UserError for a name that is not registered."""
    # The parameters of a method named by import path are known only once it is imported, and reading runs no code.
    imported = any(":" in name for name in study.methods)
    by_shape = study.axes_by_shape.values()
    for kind, words, allowed in (
        ("method", [name for name in study.methods if ":" not in name], known.methods),
        ("distribution", [name for axes in by_shape for name in axes.distribution], known.distributions),
        ("metric", [name for name in study.comparison.metrics if ":" not in name], known.metrics),
        ("parameter", () if imported else study.parameters, known.parameters),
        (CACHE, study.parameters.get(CACHE, ()), CACHE_STATES),
    ):
        for word in words:
            if word not in allowed:
                raise unknown(source, kind, word, allowed)
