"""Completions of the command line for shells: studies, runs, axes and their values, machines, formats.

The user waits for them at every TAB, so they come from names of files and the text of a study alone: reading a run
would import pandas. A study that cannot be read has no completions.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from click import Context, Parameter
from click.shell_completion import CompletionItem

from harness.errors import UserError
from harness.outside_text import decoded
from harness.study.folders import find_study, study_files
from harness.vocabulary import AXES, EXPORTS, RESULTS, SHAPE, STUDIES

Completion = Callable[[Context, Parameter, str], list[CompletionItem]]


def study_names(context: Context, parameter: Parameter, incomplete: str) -> list[CompletionItem]:
    """The user's studies and the shipped ones; otherwise files."""
    studies = study_files(_folder(context, "studies", STUDIES))
    return _beginning(incomplete, studies) or [CompletionItem(incomplete, type="file")]


def run_names(context: Context, parameter: Parameter, incomplete: str) -> list[CompletionItem]:
    """Studies that have a run; otherwise folders."""
    return _beginning(incomplete, _studies_with(context, "run.json")) or [CompletionItem(incomplete, type="dir")]


def result_names(context: Context, parameter: Parameter, incomplete: str) -> list[CompletionItem]:
    """Studies that have a run or a duel, and suites that have a duel; otherwise folders."""
    names = [*_studies_with(context, "run.json"), *_studies_with(context, "verdicts.csv")]
    return _beginning(incomplete, names) or [CompletionItem(incomplete, type="dir")]


def base_names(context: Context, parameter: Parameter, incomplete: str) -> list[CompletionItem]:
    """Studies that have a run, and STUDY/baseline for those with a recorded baseline; otherwise folders."""
    baselines = _folder(context, "results", RESULTS).glob("*/*/baseline/*/run.json")
    names = [*_studies_with(context, "run.json"), *(f"{path.parts[-4]}/baseline" for path in baselines)]
    return _beginning(incomplete, names) or [CompletionItem(incomplete, type="dir")]


def machine_names(context: Context, parameter: Parameter, incomplete: str) -> list[CompletionItem]:
    """Machines that have a history."""
    histories = _folder(context, "results", RESULTS).glob("*/history*.csv")
    return _beginning(incomplete, {path.parent.name for path in histories})


def export_formats(context: Context, parameter: Parameter, incomplete: str) -> list[CompletionItem]:
    """The formats of `export`."""
    return _beginning(incomplete, EXPORTS)


def only_items(context: Context, parameter: Parameter, incomplete: str) -> list[CompletionItem]:
    """AXIS= for each axis of the study; after the `=` its values, and after a comma the values not yet named.

    The study is the first one on the command line; without one every axis is offered. (bash ends a word at `=`, so
    values are not offered there.)
    """
    swept = _swept(context)
    axis, has_values, words = incomplete.partition("=")
    if not has_values:
        return _beginning(incomplete, (f"{name}=" for name in swept))
    *named, last = words.split(",")
    before = "".join(f"{word}," for word in named)
    left = (str(value) for value in swept.get(axis, ()) if str(value) not in named)
    return [CompletionItem(f"{axis}={before}{word}") for word in left if word.startswith(last)]


def _swept(context: Context) -> dict[str, list[Any]]:
    """axis -> its values in the study on the command line; every axis without values if there is no readable study."""
    # While an option still lacks its value, click has not assigned the arguments yet: they are in args.
    named = [*context.args, context.params.get("study"), *(context.params.get("studies_named") or ())]
    word = next(filter(None, named), "")
    try:
        path = find_study(word, _folder(context, "studies", STUDIES))
        study = tomllib.loads(decoded(path.read_bytes()))
        shapes = study.get("shapes", {})
        own = {key for shape in shapes.values() for key in shape}
        swept = {axis: study["axes"][axis] for axis in AXES if axis in study["axes"] and axis not in own}
        swept |= {"method": study["methods"], **({SHAPE: list(shapes)} if shapes else {})}
    except (UserError, OSError, ValueError, RecursionError, KeyError, AttributeError, TypeError):
        return {axis: [] for axis in (*AXES, "method")}
    return {axis: values if isinstance(values, list) else [values] for axis, values in swept.items()}


def _studies_with(context: Context, file: str) -> Iterator[str]:
    """Names of studies that have a folder of results with this file."""
    return (path.parts[-3] for path in _folder(context, "results", RESULTS).glob(f"*/*/*/{file}"))


def _folder(context: Context, name: str, usual: Path) -> Path:
    return Path(context.params.get(name) or usual)


def _beginning(incomplete: str, words: Iterable[str]) -> list[CompletionItem]:
    return [CompletionItem(word) for word in sorted(set(words)) if word.startswith(incomplete)]
