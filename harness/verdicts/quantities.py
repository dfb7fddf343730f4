"""Finds the quantities that a person means by words: a kind, or a part of the name of a quantity in a verdict line."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from harness.errors import unknown
from harness.study.definition import Study
from harness.verdicts.judge import GROWN, JUDGED_METRICS
from harness.verdicts.wording import quantity_of
from harness.vocabulary import CLOCKS

KINDS = tuple(GROWN)


def of_quantity(verdicts: pd.DataFrame, words: str) -> pd.DataFrame:
    """The verdicts on the quantities that these words mean: 'time', 'time of forward', 'ulp_max of dx'; '' means all.

    Verdicts on whole cells are always included: a lost cell has lost every quantity.
    """
    rows = verdicts.to_dict("records")
    meant = [not words or row["kind"] in (words, "cell") or words in quantity_of(row) for row in rows]
    return verdicts[pd.Series(meant, index=verdicts.index, dtype=bool)]  # a list would choose columns if it is empty


def refuse_unmeant(study: Study, words: str, option: str = "--quantity") -> None:
    """Raise UserError for words that mean none of the study's quantities."""
    if words and words not in KINDS and not any(words in name for name in _quantities(study)):
        phases = [f"{kind} of {phase}" for kind in ("time", "memory") for phase in study.phases]
        raise unknown(f"{option} {words}", "quantity", words, (*KINDS, *phases, *_metrics(study)))


def _quantities(study: Study) -> Iterator[str]:
    """The names that a verdict line may use for the quantities of this study."""
    compared = study.comparison
    rows = [{"kind": "time", "phase": phase, "clock": clock} for phase in study.phases for clock in CLOCKS]
    rows += [{"kind": "memory", "phase": phase} for phase in study.phases]
    rows += [
        {"kind": "error", "metric": metric, "tensor": tensor, "reference": reference}
        for metric in _metrics(study)
        for tensor in compared.tensors
        for reference in compared.references
    ]
    return map(quantity_of, rows)


def _metrics(study: Study) -> list[str]:
    return [metric for metric in JUDGED_METRICS if metric in study.comparison.metrics]
