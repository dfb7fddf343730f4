"""Two runs, or two sides of a duel, to the table of verdicts; and what the verdicts mean for an exit code."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from harness.errors import UserError
from harness.study import Gate, Precision
from harness.study_file import parse_gate
from harness.tables import Run, of_one_machine
from harness.verdicts.changes import (
    IDENTITY,
    NOT_JUDGED,
    QUANTITY,
    changes_of_levels,
    changes_of_pairs,
    errors,
    memory_levels,
    paired_memory,
    paired_times,
    time_levels,
)
from harness.verdicts.judge import JUDGED_METRICS, confirm, judge, judge_errors
from harness.vocabulary import BROKEN, EXIT_CELLS, EXIT_FAILED, EXIT_INCONCLUSIVE

FAILING = ("slower", "worse", "lost")

ORDER = ("lost", "worse", "slower", "inconclusive", "new", "better", "faster", "same")
"""Of the verdicts: what matters most comes first."""

PROTOCOL = ("block_seconds", "rounds", "fresh_memory")
"""Of a study's timing: what changes the times that come out. Launches and budget only change how many."""

NOT_IN_HEAD, NOT_IN_BASE = "it is not in the head", "not in the base"

Launches = Sequence[int]


def duel_changes(base: Run, head: Run, launches: Launches) -> pd.DataFrame:
    """Changes of time and memory between the sides of a duel, over these launches."""
    sides = [_of_launches(run, launches) for run in (base, head)]
    times = paired_times(sides[0]["timings"], sides[1]["timings"])
    memory = paired_memory(sides[0]["memory"], sides[1]["memory"])
    return changes_of_pairs(pd.concat([times, memory], ignore_index=True))


def duel_verdicts(base: Run, head: Run, first: Launches, second: Launches, gate: Gate) -> pd.DataFrame:
    """The verdicts of a duel whose `second` launches confirm what the `first` found; with none, nothing stands."""
    tolerance = {"time": gate.time, "memory": gate.memory}
    judged = judge(duel_changes(base, head, first), tolerance)
    if judged["found"].any():
        # Judged alone, as what is to be confirmed: the false discoveries are controlled among these.
        again = duel_changes(base, head, second).merge(judged.loc[judged["found"], IDENTITY], on=IDENTITY)
        judged = confirm(judged, judge(again, tolerance))
    return _table([base], head, judged, _errors(base, head, gate))


def compare_verdicts(bases: Sequence[Run], head: Run, gate: Gate) -> pd.DataFrame:
    """The verdicts of a recorded run against one or several that are pooled.

    Raises UserError where they are not comparable.
    """
    bases, head = [of_one_machine(each) for each in bases], of_one_machine(head)
    for base in bases:
        refuse_unlike(base, head)
        if base.info.get("commit") != bases[0].info.get("commit"):
            raise UserError(f"{base.path} and {bases[0].path} are of two commits: a base is one version of the code")
    levels = []
    for runs in (bases, [head]):
        frames = [
            pd.concat([time_levels(run.timings), memory_levels(run.memory)], ignore_index=True).assign(run=number)
            for number, run in enumerate(runs)
        ]
        levels.append(pd.concat(frames, ignore_index=True))
    changes = changes_of_levels(levels[0], levels[1])
    judged = judge(changes, {"time": gate.time, "memory": gate.memory})
    return _table(bases, head, judged, _errors(bases[-1], head, gate))


def refuse_unlike(base: Run, head: Run) -> None:
    """Raises UserError, naming what differs, where two runs say nothing about each other."""
    unlike = {
        "study": (base.name, head.name),
        "machine": (base.info["machine"]["slug"], head.info["machine"]["slug"]),
        "parameters": (base.info["parameters"], head.info["parameters"]),
        "timing": (_protocol(base), _protocol(head)),
        "--only": (base.info["only"], head.info["only"]),
        "loss": (_loss(base), _loss(head)),
    }
    for run in (base, head):
        if run.timings.empty:
            raise UserError(f"{run.path}: this run has no times to compare")
        if not run.info["end"]:
            raise UserError(f"{run.path}: this run has not ended: go on with `harness run --resume {run.path}`")
    for what, (one, two) in unlike.items():
        if one != two:
            raise UserError(f"{base.path} and {head.path} are not comparable: {what} {_shown(one, two)}")


def counts(verdicts: pd.DataFrame) -> dict[str, int]:
    """verdict -> how many, the gravest first."""
    found = verdicts["verdict"].value_counts()
    return {word: int(found[word]) for word in ORDER if word in found}


def exit_code(verdicts: pd.DataFrame, head: pd.DataFrame, strict: bool) -> int:
    """The first that applies: 4 crashed or incorrect cells of the head, 1 something failed, 3 inconclusive under
    strict, 0. What the base had broken does not stand in the way of a head that mends it."""
    if head["status"].isin(BROKEN).any():
        return EXIT_CELLS
    if verdicts["verdict"].isin(FAILING).any():
        return EXIT_FAILED
    if strict and (verdicts["verdict"] == "inconclusive").any():
        return EXIT_INCONCLUSIVE
    return 0


def _errors(base: Run, head: Run, gate: Gate) -> pd.DataFrame:
    return judge_errors(
        errors(base.discrepancies, JUDGED_METRICS), errors(head.discrepancies, JUDGED_METRICS), gate.error
    )


def _table(bases: Sequence[Run], head: Run, *judged: pd.DataFrame) -> pd.DataFrame:
    """verdicts.csv: what became of the cells, then the quantities of those that both sides have."""
    key = list(head.cells.columns[: head.cells.columns.get_loc("launch")])
    columns = [*key, *QUANTITY, "base", "head", "ratio", "low", "high", "launches", "verdict", "detectable", "reason"]
    cells = _cells_that_changed(pd.concat([base.cells for base in bases], ignore_index=True), head.cells, key)
    known = [cells, *(each for each in judged if not each.empty)]
    rows = pd.concat([*known, _without_verdict(bases, head, key, known)], ignore_index=True)
    return rows.reindex(columns=columns).sort_values("verdict", key=_gravity, kind="stable", ignore_index=True)


def _without_verdict(bases: Sequence[Run], head: Run, key: list[str], known: list[pd.DataFrame]) -> pd.DataFrame:
    """Quantities that one side has and the other has not, of cells that both have: `lost` or `new`.

    What both have, but never in the same rounds, is inconclusive.
    """
    both = _quantities(bases, key).merge(_quantities([head], key), how="outer", indicator="side")
    cells, *judged = ({*each[IDENTITY].itertuples(index=False, name=None)} for each in known)
    changed = {each[:2] for each in cells}
    told = set().union(*judged)
    untold = [each[:2] not in changed and each not in told for each in both[IDENTITY].itertuples(False, None)]
    rows = both[np.array(untold, dtype=bool)]
    sides = [rows["side"] == "left_only", rows["side"] == "right_only"]
    verdict = np.select(sides, ["lost", "new"], "inconclusive")
    reason = np.select(sides, [NOT_IN_HEAD, NOT_IN_BASE], "it was never measured on both sides at once")
    return rows.drop(columns="side").assign(launches=0, verdict=verdict, reason=reason)


def _quantities(runs: Sequence[Run], key: list[str]) -> pd.DataFrame:
    """What was measured in any of these runs, and errors in the last: the key and QUANTITY, each once."""
    tables = [errors(runs[-1].discrepancies, JUDGED_METRICS)]
    for run in runs:
        for kind, table in (("time", run.timings), ("memory", run.memory.dropna(subset="peak_bytes"))):
            tables.append(table.assign(kind=kind, tensor="", reference="", metric=""))
    rows = pd.concat([each[[*key, *QUANTITY]] for each in tables], ignore_index=True).drop_duplicates()
    return rows[~rows["method"].isin(NOT_JUDGED)]


def _cells_that_changed(base: pd.DataFrame, head: pd.DataFrame, key: list[str]) -> pd.DataFrame:
    """Cells that were measured on one side only: `lost` where that is the base, `new` where it is the head.

    What was tried on both and measured on neither is inconclusive: it must not pass for the same.
    """
    states = [_states(side, key) for side in (base, head)]
    both = states[0].merge(states[1], "outer", left_index=True, right_index=True, suffixes=("_base", "_head"))
    both = both.reset_index()
    was, now = both["ok_base"].eq(True), both["ok_head"].eq(True)
    tried = both["tried_base"].eq(True) & both["tried_head"].eq(True)
    verdict = np.select([was & ~now, now & ~was, tried & ~was & ~now], ["lost", "new", "inconclusive"], "")
    reason = np.where(was, both["why_head"].fillna(NOT_IN_HEAD), both["why_base"].fillna(NOT_IN_BASE))
    rows = both[key].assign(kind="cell", phase="", tensor="", reference="", metric="", launches=0)
    rows = rows.assign(verdict=verdict, reason=reason)
    return rows[rows["verdict"] != ""]


def _states(cells: pd.DataFrame, key: list[str]) -> pd.DataFrame:
    """Cell -> ok: measured in a launch, and in none anything but measured or skipped; why: what was otherwise; tried:
    whether it was neither skipped nor beyond torch everywhere, so that it ought to have a time."""
    why = [
        "" if each == "ok" else f"{each}: {reason}"
        for each, reason in zip(cells["status"], cells["reason"], strict=True)
    ]
    measured = cells.assign(
        ok=cells["status"].isin(("ok",)),  # a text type of pandas can answer == with a type of its own
        bad=~cells["status"].isin(("ok", "skipped")),
        tried=~cells["status"].isin(("skipped", "unsupported")),
        why=np.array(why, dtype=object),  # of no cell at all it is text as well
    )
    measured = measured[~measured["method"].isin(NOT_JUDGED)]
    table = measured.groupby(key, sort=False).agg(
        ok=("ok", "any"), bad=("bad", "any"), tried=("tried", "any"), why=("why", "max")
    )
    return pd.DataFrame({"ok": table["ok"] & ~table["bad"], "tried": table["tried"], "why": table["why"]})


def _of_launches(run: Run, launches: Launches) -> Mapping[str, pd.DataFrame]:
    tables = {"timings": run.timings, "memory": run.memory}
    return {name: table[table["launch"].isin(list(launches))] for name, table in tables.items()}


def _protocol(run: Run) -> dict[str, object]:
    timing = run.info.get("timing") or {}
    return {name: timing.get(name) for name in PROTOCOL}


def _loss(run: Run) -> str:
    precision = tomllib.loads(run.info["text"]).get("precision", {})
    told = precision.get("loss") if isinstance(precision, dict) else None
    return str(told or Precision().loss)


def gate_of(run: Run) -> Gate:
    """The tolerances of a run's study, whose methods may be gone since. Raises UserError for what is none."""
    return parse_gate(run.info["text"], str(run.path / "run.json"))


def _gravity(verdicts: pd.Series) -> pd.Series:
    return verdicts.map({word: place for place, word in enumerate(ORDER)})


def _shown(one: object, two: object) -> str:
    if isinstance(one, Mapping) and isinstance(two, Mapping):
        names = [name for name in {**one, **two} if one.get(name) != two.get(name)]
        return ", ".join(f"{name} {one.get(name)!r} and {two.get(name)!r}" for name in names)
    return f"{one!r} and {two!r}"
