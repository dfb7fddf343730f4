"""The registered methods as tests meet them: what is not installed is skipped, what torch refuses is refused."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from harness.errors import UserError
from harness.methods import Method, Unsupported

needs_torch = pytest.mark.skipif(
    importlib.util.find_spec("torch") is None, reason="some environments of `make test-versions` have no torch"
)
"""Of a test among those that need none."""

REFUSED = {
    ("csr_at", "float16"),
    ("csr_at", "bfloat16"),
    ("numpy_argpartition", "bfloat16"),
    ("numpy_partition", "bfloat16"),
}
"""(method, dtype) for which there is no kernel on a CPU, or in NumPy no dtype; anything else is supported."""


def by_name(methods: Iterable[Method]) -> pytest.MarkDecorator:
    """The parameter `chosen` over methods, each under its own name."""
    cases = []
    for each in methods:
        why = absent(each)
        cases.append(pytest.param(each, id=each.name, marks=[pytest.mark.skip(why)] if why else []))
    return pytest.mark.parametrize("chosen", cases)


def named(methods: Iterable[Method]) -> list[Any]:
    """The names of methods as parameters of a test; what cannot be had here is skipped, with the reason."""
    whys = {each.name: absent(each) for each in methods}
    return [pytest.param(name, marks=[pytest.mark.skip(why)] if why else []) for name, why in whys.items()]


def absent(chosen: Method) -> str:
    """Why the method cannot be had here, or ''."""
    try:
        assert chosen.implementation
    except UserError as error:
        return str(error)
    return ""


def is_refused(name: str, dtype: str, call: Callable[[], object]) -> bool:
    """Whether REFUSED has the method in this dtype: then the call must fail with a message that names the dtype."""
    if (name, dtype) not in REFUSED:
        return False
    with pytest.raises((RuntimeError, Unsupported), match="'Half'" if dtype == "float16" else "BFloat16"):
        call()
    return True
