"""Many small cases as one test: what pytest and its workers spend on a test is more than most such cases take."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

SETS_BACK = {"test_survivors_below_what_was_chosen_are_left_out"}
"""Tests that undo, in every case, what they do with a fixture."""

Test = TypeVar("Test", bound=Callable[..., None])


def swept(names: str | tuple[str, ...], values: Iterable[Any]) -> Callable[[Test], Test]:
    """Like pytest.mark.parametrize, but within one test, which ends at the first of the values that fails and names it.

    Not for a test with a fixture that every case needs anew, such as tmp_path.
    """
    called, cases = (names,) if isinstance(names, str) else names, list(values)

    def decorate(test: Test) -> Test:
        assert cases, f"{test.__name__} is swept over nothing"
        signature = inspect.signature(test)
        others = [each for name, each in signature.parameters.items() if name not in called]
        assert len(others) == len(signature.parameters) - len(called), f"{test.__name__} does not take {names}"
        renewed = {"monkeypatch", "tmp_path"} & {*signature.parameters}
        assert not renewed or test.__name__ in SETS_BACK, f"every case of {test.__name__} needs {renewed} anew"
        without = signature.replace(parameters=others)

        @functools.wraps(test)
        def every(*arguments: Any, **options: Any) -> None:
            given = without.bind(*arguments, **options).arguments
            for case in cases:
                own = dict(zip(called, [case] if isinstance(names, str) else case, strict=True))
                try:
                    test(**given, **own)
                except BaseException as error:
                    error.add_note(", ".join(f"{name} = {value!r}" for name, value in own.items()))
                    raise

        every.__signature__ = without  # type: ignore[attr-defined]
        return every  # type: ignore[return-value]

    return decorate
