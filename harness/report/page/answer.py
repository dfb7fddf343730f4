"""The answer of a run in words and small tables: which method, how exact, what to beware of."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd

from harness.precision.ulp import FORMATS
from harness.tables import SCHEMA_VERSION, Run, clock_words
from harness.verdicts.closing import worst_launch
from harness.verdicts.fastest import BASE, SHARED, TOGETHER, WHOLE, fastest, relaxations
from harness.verdicts.plausible import believed, doubts
from harness.verdicts.ratios import FEWEST_LAUNCHES, without_interval
from harness.verdicts.wording import status_lines
from harness.vocabulary import CAUSE, DTYPES

TENSORS = ("values", "dy", "dx", "dW", "dS")
TOLD_REASONS = 12


@dataclass(frozen=True)
class Table:
    """A small table of text: the first column is what a row is of."""

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def which_method(run: Run) -> Iterator[Table]:
    """How often each method is the fastest, and by how much; nothing where nothing can be ranked."""
    if run.timings.empty or (best := fastest(believed(run))).empty:
        return
    phases = [phase for phase in WHOLE if phase in set(best["phase"])]
    cases = best.groupby("phase")["case"].nunique()
    named = best.assign(method=best["fastest"].str.split(TOGETHER)).explode("method")
    rows = []
    for name in named["method"].value_counts().index:
        mine = named[named["method"] == name]
        cells = [_share(mine[mine["phase"] == phase], int(cases[phase])) for phase in phases]
        rows.append((str(name), *cells))
    caption = (
        f"Fastest method{clock_words(best)} by number of cases, with its speed-up over native there. It is native "
        "unless another method is surely faster: all intervals of a case hold simultaneously with 95 %. Methods that "
        "are not told apart count together."
    )
    yield Table(caption, ("method", *phases), tuple(rows))


def _share(rows: pd.DataFrame, cases: int) -> str:
    """In how many cases a method is the fastest, and in how many it is one of several, in words; or '-'."""
    alone = rows[rows["standing"] != SHARED]
    told = []
    if len(alone):
        gains = alone["speedup"]
        faster = "" if (alone["method"] == BASE).all() else f", {gains.min():.2f} to {gains.max():.2f} times faster"
        told.append(f"{len(alone)} of {cases} cases{faster}")
    if shared := len(rows) - len(alone):
        told.append(f"in {shared} {'more ' if told else f'of {cases} cases '}among the fastest")
    return "; ".join(told) or "-"


def how_exact(run: Run) -> Iterator[Table]:
    """The largest errors by dtype against the exact answer, and by method against native."""
    own = worst_launch(run.discrepancies[run.discrepancies["of"] == "method"])
    exact, native = (own[own["reference"] == reference] for reference in ("exact", "native"))
    if not (errors := exact[exact["metric"] == "rel_l2"]).empty:
        yield _against_exact(errors, exact[exact["metric"] == "flips"])
    if not (errors := native[(native["metric"] == "rel_l2") & (native["method"] != "native")]).empty:
        yield _against_native(errors, native[native["metric"].str.startswith(CAUSE)])


def beware(run: Run) -> Iterator[str]:
    """What stands in the way of the answer, a line each."""
    info = run.info
    if not info["end"]:
        yield f"This run has not ended: go on with harness run --resume {run.path}"
    if info.get("dirty"):
        yield "The working tree had changes that are in no commit: this code cannot be had again."
    if info["schema"] < SCHEMA_VERSION:
        yield f"This run was written with schema {info['schema']}: what later versions added is not known of it."
    if not run.timings.empty and (launches := run.timings["launch"].nunique()) < FEWEST_LAUNCHES:
        yield f"{without_interval(launches)}. No method can be told from native."
    if soft := sorted(relaxations() & set(run.cells["method"])):
        yield f"Relaxations, which are biased: their values and gradients are not held to native's: {', '.join(soft)}."
    yield from doubts(run)
    yield from status_lines(run.cells, TOLD_REASONS)


def _against_exact(errors: pd.DataFrame, flips: pd.DataFrame) -> Table:
    """By dtype: the largest relative error of each tensor where the selection is right, and how often it is not."""
    flipped = flips.groupby(["case", "method"])["value"].max().rename("flips")
    rows = errors.merge(flipped, on=["case", "method"], how="left")
    right = rows[~(rows["flips"] > 0)]
    tensors = [name for name in TENSORS if name in set(rows["tensor"])]
    worst = right.pivot_table(index="dtype", columns="tensor", values="value", aggfunc="max")
    cells = rows.drop_duplicates(["case", "method"]).groupby("dtype")["flips"]
    told = []
    for dtype in (each for each in DTYPES if each in set(rows["dtype"])):
        largest = [_figure(worst, dtype, tensor) for tensor in tensors]
        known = cells.get_group(dtype).dropna()
        share = f"{int((known > 0).sum())} of {len(known)} cells" if len(known) else "not measured"
        told.append((dtype, f"{FORMATS[dtype].unit_roundoff:.1e}", *largest, share))
    caption = (
        "Largest relative error (2-norm) against the exact answer, where no index is known to have flipped, beside "
        "the unit roundoff; and in how many cells one did, which costs far more."
    )
    return Table(caption, ("dtype", "unit roundoff", *tensors, "an index flipped in"), tuple(told))


def _against_native(errors: pd.DataFrame, causes: pd.DataFrame) -> Table:
    """By method: the largest relative difference from native of each tensor over all cases, and what explains it."""
    tensors = [name for name in TENSORS if name in set(errors["tensor"])]
    worst = errors.pivot_table(index="method", columns="tensor", values="value", aggfunc="max")
    counts = causes.groupby(["method", "metric"], sort=False)["value"].sum()
    rows = []
    for name in dict.fromkeys(errors["method"]):
        mine = counts[name] if name in counts.index else pd.Series(dtype=float)
        why = ", ".join(f"{str(word).removeprefix(CAUSE)} {count:.0f}" for word, count in mine.items() if count > 0)
        rows.append((str(name), *(_figure(worst, str(name), tensor) for tensor in tensors), why or "-"))
    caption = (
        "Largest relative difference (2-norm) from native over all cases (0: never any), and how many entries differ "
        "for which cause."
    )
    return Table(caption, ("method", *tensors, "entries that differ"), tuple(rows))


def _figure(table: pd.DataFrame, row: str, column: str) -> str:
    value = table[column].get(row, float("nan")) if column in table else float("nan")
    return "-" if value != value else "0" if value == 0 else f"{value:.1e}"
