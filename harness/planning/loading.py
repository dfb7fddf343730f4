"""Loads a study that can be measured here: its names are registered, its cells planned, its devices present."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import product
from pathlib import Path
from typing import Any

from harness.errors import UserError, unknown
from harness.methods import named, registered
from harness.precision import registered_metrics
from harness.precision.own_metrics import import_metrics
from harness.study.definition import Study
from harness.study.file import Known, narrow, parse_study, read_study
from harness.study.folders import find_study
from harness.study.plan import Plan
from harness.tables import TAKEN, Run, verdict_columns
from harness.topk.distributions import DISTRIBUTIONS
from harness.vocabulary import CACHE

Say = Callable[[str], None]


def known_names() -> Known:
    """The registered names that a study may use."""
    parameters = [name for distribution in DISTRIBUTIONS.values() for name in distribution.parameters]
    parameters += [name for method in registered().values() for name in method.parameters]
    parameters.append(CACHE)
    return Known(tuple(registered()), tuple(DISTRIBUTIONS), registered_metrics(), tuple(dict.fromkeys(parameters)))


def load_study(path: str | Path, only: Iterable[str] = ()) -> Study:
    """The study in a TOML file or with that name, narrowed to `only` (items such as 'dtype=float16').

    A name is looked up in the folder `studies`, then among the shipped studies. Raises UserError, one line.
    """
    items = tuple(only)
    path = path if isinstance(path, Path) else find_study(path)
    study = narrow(read_study(path, known_names()), items)
    _check_weights(study, str(path))
    return study.identified(study.name, study.text, items)


def load_study_of(run: Run) -> Study:
    """The study of a run, as its run.json has it: narrowed as it was, with the launches that were asked for."""
    info = run.info
    study = narrow(parse_study(info["text"], info["study"], str(run.path / "run.json"), known_names()), info["only"])
    study = study.identified(study.name, study.text, tuple(info["only"]))
    launches = (info.get("timing") or {}).get("launches")
    return study if launches is None else study.with_launches(launches)


def plan_of(study: Study) -> Plan:
    """The cases and cells of a study.

    Raises UserError for an import path without a method or metric behind it, and for a parameter that nothing takes or
    that has the name of a column.
    """
    methods = named(Plan(study, {}).method_names)
    import_metrics(study.comparison.metrics)
    taken = {*known_names().parameters, *(name for method in methods.values() for name in method.parameters)}
    for word in study.parameters:
        if word in TAKEN or word in verdict_columns():
            raise UserError(f"{study.name}: parameters.{word}: a parameter cannot have the name of a column")
        if word not in taken:
            raise unknown(study.name, "parameter", word, sorted(taken))
    of_distributions = {name for distribution in DISTRIBUTIONS.values() for name in distribution.parameters}
    return Plan(study, methods, frozenset({CACHE, *of_distributions}))


def on_present_devices(study: Study, devices: list[str], say: Say) -> Study:
    """The study narrowed to those of its devices that are present. Raises UserError if none is."""
    here = [device for device in study.axes.device if device in devices]
    absent = ", ".join(device for device in study.axes.device if device not in devices)
    found = " and ".join(devices)
    if not here:
        raise UserError(f"{study.name}: torch finds no device of this study ({absent}); here it finds {found}")
    if absent:
        say(f"{absent} is not present (torch finds {found}): its cells are dropped")
    return narrow(study, [f"device={','.join(here)}"])


def refuse_nothing(study: Study) -> None:
    """Raise UserError for a study without a cell."""
    # Measured all the same, its empty folder would become the newest run, which other verbs read by default.
    plan = plan_of(study)
    if next(iter(plan), None) is None:
        raise UserError("; ".join((f"{study.name}: no cell is left to measure", *plan.notes[:1])))


def _check_weights(study: Study, source: str) -> None:
    """Raise UserError where a distribution that draws y alone is combined with d > 0, unless a rule excludes that."""
    for axes in study.axes_by_shape.values():
        for d, name in product(filter(None, axes.d), axes.distribution):
            if not (DISTRIBUTIONS[name].has_weights or _excluded(study, {"d": d, "distribution": name})):
                fitting = ", ".join(other.name for other in DISTRIBUTIONS.values() if other.has_weights)
                raise UserError(f"{source}: distribution '{name}' draws y alone; with d > 0 take one of {fitting}")


def _excluded(study: Study, point: dict[str, Any]) -> bool:
    """Whether a rule of the study leaves out every cell with these values, whatever its other axes are."""
    return any(
        rule.keys() <= point.keys() and all(point[key] in values for key, values in rule.items())
        for rule in study.exclude
    )
