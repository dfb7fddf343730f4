"""What sweeps its cases within one test calls it with each of them, and a failure names the case."""

from __future__ import annotations

import inspect

import pytest

from tests.swept import swept


def test_every_combination_is_called_and_the_first_that_fails_is_named() -> None:
    called = []

    @swept("rows", [1, 3])
    @swept(("n", "k"), [(4, 1), (4, 2)])
    def test(dtype: str, rows: int, n: int, k: int) -> None:
        called.append((dtype, rows, n, k))
        assert (rows, k) != (3, 1)

    assert list(inspect.signature(test).parameters) == ["dtype"]
    with pytest.raises(AssertionError) as caught:
        test("float32")  # type: ignore[call-arg]
    assert called == [("float32", 1, 4, 1), ("float32", 1, 4, 2), ("float32", 3, 4, 1)]
    assert caught.value.__notes__ == ["n = 4, k = 1", "rows = 3"]


def test_a_name_that_the_test_does_not_take_is_refused() -> None:
    with pytest.raises(AssertionError, match="does not take row"):

        @swept("row", [1])
        def test(rows: int) -> None:
            """It has another name."""
