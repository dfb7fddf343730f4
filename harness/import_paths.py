"""What a study names by an import path, 'package.module:name'; whatever leads nowhere is one line that says why."""

from __future__ import annotations

import difflib
import importlib
import pkgutil
import sys
from collections.abc import Iterable
from types import ModuleType
from typing import Any

from harness.errors import UserError, shortened


def import_name(kind: str, path: str, wanted: type) -> Any:
    """What `path` leads to, whatever it is.

    kind: the key of the study that has the path, with which the message begins; wanted: the class of the names that the
    message offers instead. Raises UserError where the module cannot be imported or has no such name.
    """
    module_name, _, attribute = path.partition(":")
    module = imported_module(kind, module_name, path)
    if not hasattr(module, attribute):
        there = [name for name, each in vars(module).items() if isinstance(each, wanted) and _is_of(each, module)]
        names = f" ({kind} there: {', '.join(there)})" if there else ""
        guess = _near(attribute, there or vars(module))
        why = f"no such name '{shortened(attribute)}' in {module_name}{names}{guess}"
        raise UserError(f"{kind}: cannot import '{shortened(path)}': {why}")
    return getattr(module, attribute)


def imported_module(kind: str, name: str, written: str) -> ModuleType:
    """The module of this name; written: the word that the user wrote. Raises UserError where it cannot be imported."""
    try:
        return importlib.import_module(name)
    except (Exception, SystemExit) as error:  # whatever a module of somebody else raises
        guess = _near(str(error.name), _siblings(str(error.name))) if isinstance(error, ModuleNotFoundError) else ""
        told = f"{type(error).__name__}: {error}{guess}"
        raise UserError(f"{kind}: cannot import '{shortened(written)}': {told}") from None


def _is_of(value: Any, module: ModuleType) -> bool:
    """Whether a function was written in this module; an instance, which does not say, counts as if it was."""
    return getattr(value, "__module__", module.__name__) in (module.__name__, type(value).__module__)


def _siblings(name: str) -> list[str]:
    """The modules beside one that is not there: of its package, or of all that can be imported."""
    package, _, _ = name.rpartition(".")
    path = getattr(sys.modules.get(package), "__path__", None) if package else None
    if package and path is None:
        return []
    prefix = f"{package}." if package else ""
    return [each.name for each in pkgutil.iter_modules(path, prefix)]


def _near(word: str, words: Iterable[str]) -> str:
    """The nearest of the words, as a question, or ''."""
    found = difflib.get_close_matches(word, list(words), n=1)
    return f"; did you mean '{found[0]}'?" if found else ""
