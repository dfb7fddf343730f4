"""Nothing depends on how a pandas spells its text: as objects, or as strings that Python or pyarrow stores.

`make test-versions` runs these and the other tests under several of them.
"""

from __future__ import annotations

import pandas as pd
import pandera.pandas as pa
import pytest

from harness.tables.schema import TABLES, column_kinds, schema
from harness.verdicts.comparison import duel_verdicts
from tests.fake_run import fake_run, noise
from tests.test_comparison import FIRST, GATE, times


@pytest.mark.parametrize("spelled", [str, "str", "string", "string[python]", "string[pyarrow]"])
def test_text_is_text_however_it_is_stored(spelled: str | type) -> None:
    if spelled == "string[pyarrow]":
        pytest.importorskip("pyarrow")
    declared = pa.DataFrameSchema({"text": pa.Column(spelled), "n": pa.Column(int), "value": pa.Column(float)})
    assert column_kinds(declared) == {"text": str, "n": int, "value": float}


def test_the_kinds_of_a_table_are_pythons_own() -> None:
    parameters: dict[str, type] = {"flag": bool, "count": int, "share": float, "word": str}
    for table in TABLES:
        kinds = column_kinds(schema(table, parameters))
        assert {name: kinds[name] for name in parameters} == parameters
        assert set(kinds.values()) == {bool, int, float, str}


@pytest.mark.parametrize("stored", ["object", "str", "string[python]", "string[pyarrow]"])
def test_a_base_without_any_cell_has_lost_nothing(stored: str) -> None:
    """A column without a value has no type but its own, and text cannot be added to some of them."""
    if stored == "string[pyarrow]":
        pytest.importorskip("pyarrow")
    base, head = fake_run({"m": times(*noise(1))}), fake_run({"m": times(*noise(2))})
    base.__dict__["cells"] = base.cells.iloc[:0].astype(
        {name: stored for name in base.cells if pd.api.types.is_string_dtype(base.cells[name])}
    )
    verdicts = duel_verdicts(base, head, FIRST, [], GATE)
    assert set(verdicts.loc[verdicts["kind"] == "cell", "verdict"]) == {"new"}
