"""The registered methods as tests meet them: those whose package is not installed are skipped, with what they say."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from harness.errors import UserError
from harness.methods import Method


def by_name(methods: Iterable[Method]) -> pytest.MarkDecorator:
    """The parameter `chosen` over methods, each under its own name."""
    cases = []
    for each in methods:
        why = absent(each)
        cases.append(pytest.param(each, id=each.name, marks=[pytest.mark.skip(why)] if why else []))
    return pytest.mark.parametrize("chosen", cases)


def absent(chosen: Method) -> str:
    """Why the method cannot be had here, or ''."""
    try:
        assert chosen.implementation
    except UserError as error:
        return str(error)
    return ""
