"""Two runs, or two sides of a duel, to the table of verdicts; and what the verdicts mean for an exit code."""

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
    paired_errors,
    paired_memory,
    paired_times,
    time_levels,
    unvarying_levels,
    unvarying_pairs,
    without,
)
from harness.verdicts.counts import INSTRUCTIONS, judge_counts, with_counts_told
from harness.verdicts.judge import JUDGED_METRICS, confirm, judge, judge_unvarying
from harness.verdicts.measured import Measured
from harness.vocabulary import BROKEN, EXIT_CELLS, EXIT_FAILED, EXIT_INCONCLUSIVE

FAILING = ("slower", "worse", "lost")

ORDER = ("lost", "worse", "slower", "more", "inconclusive", "new", "better", "faster", "fewer", "same")
"""Of the verdicts: what matters most comes first."""

CHANGED = tuple(word for word in ORDER if word not in ("same", "inconclusive", "new"))
"""The verdicts by which a judged run has seen a change, the gravest first."""

PROTOCOL = ("block_seconds", "rounds", "fresh_memory")
"""Of a study's timing: what changes the times that come out. Launches and budget only change how many."""

Launches = Sequence[int]


def duel_verdicts(base: Measured, head: Measured, first: Launches, second: Launches, gate: Gate) -> pd.DataFrame:
    """The verdicts of a duel: a change that the `first` launches found stands only where the `second` confirm it."""
    pairs = _pairs(base, head, first)
    judged = _judged_pairs(pairs, gate)
    if judged["found"].any():
        # Judged alone, as what is to be confirmed: the false discoveries are controlled among these.
        found = pd.MultiIndex.from_frame(judged.loc[judged["found"], IDENTITY])
        again = _pairs(base, head, second)
        again = again[pd.MultiIndex.from_frame(again[IDENTITY]).isin(found)]
        judged = confirm(judged, judge(changes_of_pairs(again), tolerances(gate)))
    counted = judge_counts(base.instructions, head.instructions, gate.instructions)
    return _table([base], head, judged, judge_unvarying(unvarying_pairs(pairs), tolerances(gate)), counted)


def judged_so_far(base: Measured, head: Measured, launches: Launches, gate: Gate) -> pd.DataFrame:
    """What is judged of these launches of a duel: the quantities that vary between launches, not yet confirmed."""
    return _judged_pairs(_pairs(base, head, launches), gate)


def changes_so_far(base: Measured, head: Measured, launches: Launches) -> pd.DataFrame:
    """The changes that `judged_so_far` judges."""
    pairs = _pairs(base, head, launches)
    return changes_of_pairs(without(pairs, unvarying_pairs(pairs)))


def compare_verdicts(bases: Sequence[Run], head: Run, gate: Gate) -> pd.DataFrame:
    """The verdicts of a recorded run against one or several that are pooled.

    Raises UserError where they are not comparable.
    """
    bases, head = [of_one_machine(each) for each in bases], of_one_machine(head)
    for base in bases:
        refuse_unlike(base, head)
        if base.info.get("commit") != bases[0].info.get("commit"):
            raise UserError(f"{base.path} and {bases[0].path} are of two commits: a base is one version of the code")
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
    """Raises UserError, naming what differs, where two runs say nothing about each other."""
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
    for what, (one, two) in unlike.items():
        if one != two:
            raise UserError(f"{base.path} and {head.path} are not comparable: {what} {_shown(one, two)}")


def counts(verdicts: pd.DataFrame) -> dict[str, int]:
    """verdict -> how many, the gravest first."""
    found = verdicts["verdict"].value_counts()
    return {word: int(found[word]) for word in ORDER if word in found}


def gravest_first(verdicts: pd.DataFrame) -> pd.DataFrame:
    """The same rows in the order of their verdicts in ORDER; of equal verdicts the largest change comes first, and one
    without a ratio (a NaN) before all others."""
    with np.errstate(divide="ignore", invalid="ignore"):
        size = np.abs(np.log(verdicts["ratio"].to_numpy(dtype=float)))
    gravity = verdicts["verdict"].map({word: place for place, word in enumerate(ORDER)}).to_numpy()
    return verdicts.iloc[np.lexsort((-np.nan_to_num(size, nan=np.inf), gravity))]


def exit_code(verdicts: pd.DataFrame, head: pd.DataFrame, strict: bool) -> int:
    """The first that applies: 4 crashed or incorrect cells of the head, 1 something failed, 3 inconclusive under
    strict, 0. What the base had broken does not stand in the way of a head that mends it.

    Time decides: the rows of counts of instructions themselves say nothing here, but a time may have been decided by
    its count (`decided_by_counts`), and then `more` fails.
    """
    if head["status"].isin(BROKEN).any():
        return EXIT_CELLS
    words = verdicts["verdict"][verdicts["kind"] != INSTRUCTIONS]
    if words.isin((*FAILING, "more")).any():
        return EXIT_FAILED
    if strict and (words == "inconclusive").any():
        return EXIT_INCONCLUSIVE
    return 0


def _pairs(base: Measured, head: Measured, launches: Launches) -> pd.DataFrame:
    """Every quantity of both sides of a duel in each of these launches."""
    one, two = (_of_launches(run, launches) for run in (base, head))
    paired = [
        paired_times(one["timings"], two["timings"]),
        paired_memory(one["memory"], two["memory"]),
        paired_errors(one["errors"], two["errors"]),
    ]
    return pd.concat(paired, ignore_index=True)


def _judged_pairs(pairs: pd.DataFrame, gate: Gate) -> pd.DataFrame:
    return judge(changes_of_pairs(without(pairs, unvarying_pairs(pairs))), tolerances(gate))


def _levels(run: Run) -> pd.DataFrame:
    """Every quantity of a run in each launch."""
    levels = [time_levels(run.timings), memory_levels(run.memory), error_levels(run.discrepancies, JUDGED_METRICS)]
    return pd.concat(levels, ignore_index=True)


def tolerances(gate: Gate) -> dict[str, float]:
    """kind -> relative change that does not matter, of what varies between launches."""
    return {"time": gate.time, "memory": gate.memory, "error": gate.error}


def _table(bases: Sequence[Measured], head: Measured, *judged: pd.DataFrame) -> pd.DataFrame:
    """verdicts.csv: cells that one side lacks, and the quantities of the others; the gravest first, and of these the
    largest change."""
    key = list(head.cells.columns[: head.cells.columns.get_loc("launch")])
    columns = [*key, *QUANTITY, "base", "head", "ratio", "low", "high", "launches", "verdict", "detectable", "reason"]
    cells = cells_of_one_side(pd.concat([base.cells for base in bases], ignore_index=True), head.cells, key)
    known = [cells, *(each for each in judged if not each.empty)]
    rows = pd.concat([*known, quantities_of_one_side(bases, head, key, known)], ignore_index=True)
    return with_counts_told(gravest_first(rows.reindex(columns=columns)).reset_index(drop=True))


def _of_launches(run: Measured, launches: Launches) -> Mapping[str, pd.DataFrame]:
    tables = {"timings": run.timings, "memory": run.memory, "errors": errors(run.discrepancies, JUDGED_METRICS)}
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


def _shown(one: object, two: object) -> str:
    if isinstance(one, Mapping) and isinstance(two, Mapping):
        names = [name for name in {**one, **two} if one.get(name) != two.get(name)]
        return ", ".join(f"{name} {one.get(name)!r} and {two.get(name)!r}" for name in names)
    return f"{one!r} and {two!r}"
