"""The ways to select: every `Method` that a module of this folder defines, and any other by its import path."""

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
    """name -> method, for every method that a module of this folder defines.

    Raises UserError for a module that cannot be imported.
    """
    methods = {}
    for module in pkgutil.iter_modules(__path__, f"{__name__}."):
        for value in vars(imported_module("methods", module.name, module.name)).values():
            if isinstance(value, Method):
                methods[value.name] = value
    return methods


def method(name: str) -> Method:
    """The method of this name or import path; raises UserError where there is none."""
    return named([name])[name]


def named(names: Iterable[str]) -> dict[str, Method]:
    """name -> method; a name of the form 'package.module:name' is imported.

    Raises UserError for a name that is not registered, or an import path that leads to no method.
    """
    return {name: _imported(name) if ":" in name else _registered(name) for name in names}


def _registered(name: str) -> Method:
    if name not in registered():
        raise unknown("methods", "method", name, registered())
    return registered()[name]


def _imported(path: str) -> Method:
    imported = import_name("methods", path, Method)
    if not isinstance(imported, Method):
        raise UserError(
            f"methods: '{path}' is not a method: decorate it with one of the decorators in harness.methods.definition"
        )
    return imported
