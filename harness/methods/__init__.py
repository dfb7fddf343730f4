"""The ways to select: every `Method` that a module of this folder defines, and any other by import path."""

from __future__ import annotations

import difflib
import functools
import importlib
import pkgutil
import sys
from collections.abc import Iterable
from types import ModuleType

from harness.errors import UserError, shortened, unknown
from harness.methods.definition import Method, Unsupported

__all__ = ["Method", "Unsupported", "method", "named", "registered"]


@functools.cache
def registered() -> dict[str, Method]:
    """name -> method, for every method that a module of this folder defines; raises UserError for one that fails."""
    found = {}
    for module in pkgutil.iter_modules(__path__, f"{__name__}."):
        for each in vars(_module(module.name, module.name)).values():
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


def _module(name: str, wanted: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except (Exception, SystemExit) as error:  # whatever a module of somebody else raises
        guess = _near(str(error.name), _siblings(str(error.name))) if isinstance(error, ModuleNotFoundError) else ""
        raise UserError(f"methods: cannot import '{wanted}': {type(error).__name__}: {error}{guess}") from None


def _siblings(name: str) -> list[str]:
    """The modules beside one that is not there: of its package, or of all that can be imported."""
    package, _, _ = name.rpartition(".")
    path = getattr(sys.modules.get(package), "__path__", None) if package else None
    if package and path is None:
        return []
    prefix = f"{package}." if package else ""
    return [each.name for each in pkgutil.iter_modules(path, prefix)]


def _imported(path: str) -> Method:
    module_name, _, attribute = path.partition(":")
    module = _module(module_name, path)
    if not hasattr(module, attribute):
        there = [name for name, each in vars(module).items() if isinstance(each, Method)]
        names = f" (methods there: {', '.join(there)})" if there else ""
        guess = _near(attribute, there or vars(module))
        why = f"no such name '{shortened(attribute)}' in {module_name}{names}{guess}"
        raise UserError(f"methods: cannot import '{shortened(path)}': {why}")
    found = getattr(module, attribute)
    if not isinstance(found, Method):
        raise UserError(f"methods: '{path}' is no method: decorate it with one of harness.methods.definition")
    return found


def _near(word: str, words: Iterable[str]) -> str:
    """The nearest of the words, as a question, or ''."""
    found = difflib.get_close_matches(word, list(words), n=1)
    return f"; did you mean '{found[0]}'?" if found else ""
