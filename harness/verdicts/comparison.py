"""Compares two runs, or the two sides of a duel: the table of verdicts, and the exit code that follows from it."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from harness.errors import UserError
from harness.study.file import parse_gate
from harness.study.tables import Gate, Precision
from harness.tables import Run, of_one_machine
from harness.verdicts.absent import cells_of_one_side, quantities_of_one_side
from harness.verdicts.changes import (
    IDENTITY,
    QUANTITY,
    changes_of_levels,
    changes_of_pairs,
    error_levels,
    errors,
    memory_levels,
    not_finite,
    paired_errors,
    paired_memory,
    paired_times,
    time_levels,
    unvarying_levels,
    unvarying_pairs,
    without,
)
from harness.verdicts.counts import INSTRUCTIONS, judge_counts, with_counts_in_reasons
from harness.verdicts.judge import JUDGED_METRICS, confirm, judge, judge_unvarying
from harness.verdicts.measured import Measured
from harness.vocabulary import BROKEN, EXIT_CELLS, EXIT_FAILED, EXIT_INCONCLUSIVE

FAILING = ("slower", "worse", "lost")

ORDER = ("lost", "worse", "slower", "more", "inconclusive", "new", "better", "faster", "fewer", "same")
"""The verdicts, the gravest first."""

CHANGED = tuple(word for word in ORDER if word not in ("same", "inconclusive", "new"))
"""The verdicts that stand for a change, the gravest first."""

PROTOCOL = ("block_seconds", "rounds", "fresh_memory")
"""The keys of [timing] that influence the measured times. Launches and budget only change their number."""

Launches = Sequence[int]


def duel_verdicts(base: Measured, head: Measured, first: Launches, second: Launches, gate: Gate) -> pd.DataFrame:
    """The verdicts of a duel. A change that the `first` launches show stands only if the `second` confirm it."""
    pairs = _pairs(base, head, first)
    again = _pairs(base, head, second) if second else pairs.head(0)
    # A figure that is not finite cannot confirm anything, and must not pass for unconfirmed: it decides by itself.
    broken = not_finite(unvarying_pairs(again))
    pairs, again = without(pairs, broken), without(again, broken)
    unvarying = unvarying_pairs(pairs)
    judged = judge(changes_of_pairs(without(pairs, unvarying)), tolerances(gate))
    if judged["found"].any():
        # Only the quantities to be confirmed are judged again, so false discoveries are controlled among them alone.
        found = pd.MultiIndex.from_frame(judged.loc[judged["found"], IDENTITY])
        again = again[pd.MultiIndex.from_frame(again[IDENTITY]).isin(found)]
        judged = confirm(judged, judge(changes_of_pairs(again), tolerances(gate)))
    repeated = [judge_unvarying(figures, tolerances(gate)) for figures in (unvarying, broken)]
    counted = judge_counts(base.instructions, head.instructions, gate.instructions)
    return _table([base], head, judged, *repeated, counted)


def judged_so_far(base: Measured, head: Measured, launches: Launches, gate: Gate) -> pd.DataFrame:
    """The unconfirmed judgement of these launches of a duel, on the quantities that vary between launches."""
    return judge(changes_so_far(base, head, launches), tolerances(gate))


def changes_so_far(base: Measured, head: Measured, launches: Launches) -> pd.DataFrame:
    """The changes behind `judged_so_far`."""
    pairs = _pairs(base, head, launches)
    return changes_of_pairs(without(pairs, unvarying_pairs(pairs)))


def compare_verdicts(bases: Sequence[Run], head: Run, gate: Gate) -> pd.DataFrame:
    """The verdicts of a recorded run against one base, or against several that are pooled.

    Raises UserError if they are not comparable.
    """
    bases, head = [of_one_machine(base) for base in bases], of_one_machine(head)
    for base in bases:
        refuse_unlike(base, head)
        if base.info.get("commit") != bases[0].info.get("commit"):
            raise UserError(f"{base.path} and {bases[0].path} are of two commits: the runs of a base must share one")
    before, after = (
        pd.concat([_levels(run).assign(run=number) for number, run in enumerate(runs)], ignore_index=True)
        for runs in (bases, [head])
    )
    unvarying = unvarying_levels(before, after)
    judged = judge(changes_of_levels(without(before, unvarying), without(after, unvarying)), tolerances(gate))
    counted = judge_counts(
        pd.concat([base.instructions for base in bases], ignore_index=True), head.instructions, gate.instructions
    )
    return _table(bases, head, judged, judge_unvarying(unvarying, tolerances(gate)), counted)


def refuse_unlike(base: Run, head: Run) -> None:
    """Raise UserError, naming what differs, if two runs cannot be compared."""
    unlike = {
        "schema": (base.info["schema"], head.info["schema"]),
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
    for name, (one, two) in unlike.items():
        if one != two:
            raise UserError(f"{base.path} and {head.path} are not comparable: {name} {_difference(one, two)}")


def counts(verdicts: pd.DataFrame) -> dict[str, int]:
    """verdict -> number of quantities, the gravest verdict first."""
    numbers = verdicts["verdict"].value_counts()
    return {word: int(numbers[word]) for word in ORDER if word in numbers}


def gravest_first(verdicts: pd.DataFrame) -> pd.DataFrame:
    """The same rows, sorted by the gravity of their verdicts (ORDER) and then by the size of the change, largest first.

    A row whose ratio is NaN comes before all others with its verdict.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        size = np.abs(np.log(verdicts["ratio"].to_numpy(dtype=float)))
    gravity = verdicts["verdict"].map({word: rank for rank, word in enumerate(ORDER)}).to_numpy()
    return verdicts.iloc[np.lexsort((-np.nan_to_num(size, nan=np.inf), gravity))]


def exit_code(verdicts: pd.DataFrame, head: pd.DataFrame, strict: bool) -> int:
    """The exit code of a comparison, the first that applies; head: cells.csv of the head.

    4: the head has crashed or incorrect cells (those of the base do not count: the head may have mended them);
    1: something is slower, worse or lost; 3: with `strict`, something is inconclusive, or nothing was judged; 0.

    Rows on counts of instructions do not matter here, but a time may have been decided by its count
    (`decided_by_counts`), and then `more` is 1.
    """
    if head["status"].isin(BROKEN).any():
        return EXIT_CELLS
    words = verdicts["verdict"][verdicts["kind"] != INSTRUCTIONS]
    if words.isin((*FAILING, "more")).any():
        return EXIT_FAILED
    if strict and (words.empty or (words == "inconclusive").any()):
        return EXIT_INCONCLUSIVE
    return 0


def _pairs(base: Measured, head: Measured, launches: Launches) -> pd.DataFrame:
    """The pairs of every quantity of a duel, for each of these launches."""
    one, two = (_of_launches(run, launches) for run in (base, head))
    paired = [
        paired_times(one["timings"], two["timings"]),
        paired_memory(one["memory"], two["memory"]),
        paired_errors(one["errors"], two["errors"]),
    ]
    return pd.concat(paired, ignore_index=True)


def _levels(run: Run) -> pd.DataFrame:
    """The levels of every quantity of a run, for each launch."""
    levels = [time_levels(run.timings), memory_levels(run.memory), error_levels(run.discrepancies, JUDGED_METRICS)]
    return pd.concat(levels, ignore_index=True)


def tolerances(gate: Gate) -> dict[str, float]:
    """kind -> relative change that does not matter, for the kinds that may vary between launches."""
    return {"time": gate.time, "memory": gate.memory, "error": gate.error}


def _table(bases: Sequence[Measured], head: Measured, *judged: pd.DataFrame) -> pd.DataFrame:
    """verdicts.csv: the judged quantities, and the cells and quantities that one side lacks.

    The gravest verdicts come first, and within a verdict the largest changes.
    """
    key = list(head.cells.columns[: head.cells.columns.get_loc("launch")])
    columns = [*key, *QUANTITY, "base", "head", "ratio", "low", "high", "launches", "verdict", "detectable", "reason"]
    cells = cells_of_one_side(pd.concat([base.cells for base in bases], ignore_index=True), head.cells, key)
    known = [cells, *(rows for rows in judged if not rows.empty)]
    rows = pd.concat([*known, quantities_of_one_side(bases, head, key, known)], ignore_index=True)
    return with_counts_in_reasons(gravest_first(rows.reindex(columns=columns)).reset_index(drop=True))


def _of_launches(run: Measured, launches: Launches) -> Mapping[str, pd.DataFrame]:
    tables = {"timings": run.timings, "memory": run.memory, "errors": errors(run.discrepancies, JUDGED_METRICS)}
    return {name: table[table["launch"].isin(list(launches))] for name, table in tables.items()}


def _protocol(run: Run) -> dict[str, object]:
    timing = run.info.get("timing") or {}
    return {name: timing.get(name) for name in PROTOCOL}


def _loss(run: Run) -> str:
    precision = tomllib.loads(run.info["text"]).get("precision", {})
    loss = precision.get("loss") if isinstance(precision, dict) else None
    return str(loss or Precision().loss)


def gate_of(run: Run) -> Gate:
    """The tolerances of a run's study. Raises UserError for tolerances that are not allowed."""
    # Only [gate] is read: the methods that the rest of the study names may no longer exist.
    return parse_gate(run.info["text"], str(run.path / "run.json"))


def _difference(one: object, two: object) -> str:
    if isinstance(one, Mapping) and isinstance(two, Mapping):
        names = [name for name in {**one, **two} if one.get(name) != two.get(name)]
        return ", ".join(f"{name} {one.get(name)!r} and {two.get(name)!r}" for name in names)
    return f"{one!r} and {two!r}"
