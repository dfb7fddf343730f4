"""Objects that a study names by an import path, 'package.module:name'; one that leads nowhere is a one-line error."""

from __future__ import annotations

import difflib
import importlib
import pkgutil
import sys
from collections.abc import Iterable
from types import ModuleType
from typing import Any

from harness.errors import UserError, shortened


def import_name(kind: str, path: str, offered: type) -> Any:
    """Import the object at `path` and return it, whatever it is.

    kind: the key of the study that contains the path (`methods`), with which the message begins; offered: the class
    whose instances the message lists instead. Raises UserError if the module cannot be imported or has no such name.
    """
    module_name, _, attribute = path.partition(":")
    module = imported_module(kind, module_name, path)
    try:
        return getattr(module, attribute)
    except AttributeError:
        own = [name for name, value in vars(module).items() if isinstance(value, offered) and _is_of(value, module)]
        names = f" ({kind} there: {', '.join(own)})" if own else ""
        guess = _near(attribute, own or vars(module))
        why = f"no such name '{shortened(attribute)}' in {module_name}{names}{guess}"
    except Exception as error:  # a module may import its parts only when it is asked for them (PEP 562)
        why = f"{type(error).__name__}: {error}"
    raise UserError(f"{kind}: cannot import '{shortened(path)}': {why}")


def imported_module(kind: str, name: str, written: str) -> ModuleType:
    """Import the module of this name; written: the user's own word. Raises UserError if it cannot be imported."""
    try:
        return importlib.import_module(name)
    except (Exception, SystemExit) as error:  # a user's module may raise anything when it is imported
        guess = _near(str(error.name), _siblings(str(error.name))) if isinstance(error, ModuleNotFoundError) else ""
        why = f"{type(error).__name__}: {error}{guess}"
        raise UserError(f"{kind}: cannot import '{shortened(written)}': {why}") from None


def _is_of(value: Any, module: ModuleType) -> bool:
    """Whether a function was written in this module. An instance has only the `__module__` of its class, so it always
    counts as written here."""
    return getattr(value, "__module__", module.__name__) in (module.__name__, type(value).__module__)


def _siblings(name: str) -> list[str]:
    """The modules in the package of a missing module; of a missing top-level module all that can be imported."""
    package, _, _ = name.rpartition(".")
    path = getattr(sys.modules.get(package), "__path__", None) if package else None
    if package and path is None:
        return []
    prefix = f"{package}." if package else ""
    return [each.name for each in pkgutil.iter_modules(path, prefix)]


def _near(word: str, words: Iterable[str]) -> str:
    """The nearest of the words, as a question, or ''."""
    near = difflib.get_close_matches(word, list(words), n=1)
    return f"; did you mean '{near[0]}'?" if near else ""
