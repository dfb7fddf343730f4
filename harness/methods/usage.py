"""The errors of a decorator of definition.py that is used wrongly: TypeErrors that say how it is written."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

Result = TypeVar("Result")
Settings = ParamSpec("Settings")


def in_parentheses(decorator: Callable[Settings, Result]) -> Callable[Settings, Result]:
    """The same decorator, which raises a TypeError with the right usage if it is written without parentheses.

    In `@selector` without parentheses, Python passes the decorated function where the settings belong.
    """
    settings = inspect.signature(decorator).parameters.values()
    needed = [setting.name for setting in settings if setting.default is setting.empty]
    name = decorator.__name__
    usage = f"@{name}({', '.join(f'{setting}=...' for setting in needed)})"

    @functools.wraps(decorator)
    def checked(*arguments: Settings.args, **settings: Settings.kwargs) -> Result:
        if arguments:
            raise TypeError(f"@{name} is written with parentheses, and settings in them have names: {usage}")
        return decorator(*arguments, **settings)

    return checked


def keyword_parameters(function: Callable[..., Any]) -> tuple[str, ...]:
    """The names of a decorated function's keyword-only parameters; raises TypeError if it is a class or has others."""
    if inspect.isclass(function):
        raise TypeError(f"{function.__name__} is a class: decorate a function that returns what is measured")
    signature = inspect.signature(function)
    parameters = signature.parameters.values()
    own = tuple(parameter.name for parameter in parameters if parameter.kind is parameter.KEYWORD_ONLY)
    if len(own) < len(parameters):  # for example y and k: the function selects, instead of returning what selects
        name = f"{function.__name__}{signature}"
        raise TypeError(f"{name} has to return the function that is measured; its own parameters are keyword-only")
    return own


def refuse_other(name: str, returned: Any, returns: tuple[str, ...]) -> None:
    """Raise TypeError unless a decorated function has returned as many functions as its decorator asks for.

    Where it asks for one, a tuple of one is refused too: `return select,` has a comma too many.
    """
    parts = tuple(returned) if isinstance(returned, tuple | list) and len(returns) > 1 else (returned,)
    if len(parts) != len(returns) or not all(map(callable, parts)):
        kinds = ", ".join(type(part).__name__ for part in parts)
        raise TypeError(f"{name} has to return {' and '.join(returns)}, and it returned {kinds or 'nothing'}")
