"""The ways to select: every `Method` that a module of this folder defines, and any other by import path."""

from __future__ import annotations

import functools
import pkgutil
from collections.abc import Iterable

from harness.errors import UserError, unknown
from harness.import_paths import import_name, imported_module
from harness.methods.definition import Method, Unsupported

__all__ = ["Method", "Unsupported", "method", "named", "registered"]


@functools.cache
def registered() -> dict[str, Method]:
    """name -> method, for every method that a module of this folder defines; raises UserError for one that fails."""
    found = {}
    for module in pkgutil.iter_modules(__path__, f"{__name__}."):
        for each in vars(imported_module("methods", module.name, module.name)).values():
            if isinstance(each, Method):
                found[each.name] = each
    return found


def method(name: str) -> Method:
    """The method of this name or import path; raises UserError where there is none."""
    return named([name])[name]


def named(names: Iterable[str]) -> dict[str, Method]:
    """The methods of these names; 'package.module:name' is imported.

    Raises UserError for a name that is not registered or an import path that leads to no method.
    """
    return {name: _imported(name) if ":" in name else _registered(name) for name in names}


def _registered(name: str) -> Method:
    if name not in registered():
        raise unknown("methods", "method", name, registered())
    return registered()[name]


def _imported(path: str) -> Method:
    found = import_name("methods", path, Method)
    if not isinstance(found, Method):
        raise UserError(
            f"methods: '{path}' is not a method: decorate it with one of the decorators in harness.methods.definition"
        )
    return found
