"""Finds, restores and reports what a method changes in the global state of its process."""

from __future__ import annotations

import builtins
import contextlib
import functools
import operator
import os
import time
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
import torch.nn.functional

from harness.device.settings import Setting, of_accelerator
from harness.state import of_process
from harness.state.of_torch import of_torch
from harness.state.threads import Threads
from harness.vocabulary import HOST

NAMESPACES: tuple[Any, ...] = (
    torch,
    torch.Tensor,
    torch.nn.functional,
    torch.autograd,
    torch.sparse,
    torch.func,
    torch.linalg,
    np,
    time,
    builtins,
)
"""Namespaces whose functions every method and the harness itself call."""

REPLACED_BY_TORCH = ("manual_seed",)
"""Functions that torch itself replaces when torch.compile is imported."""

MOST_NAMED = 3
"""How many changes one reason names."""

PLAIN = (int, float, str, torch.dtype, torch.device)
"""Types whose values are short enough to appear in a reason."""


class Spoilt(Exception):
    """A method has changed what all methods share; the message says what. Its process must end."""


class Watch:
    """A snapshot of the global state, with which later states are compared.

    device: of the case; the state of an accelerator is included.
    """

    def __init__(self, device: str) -> None:
        self._settings = [*of_torch(), *of_process.shared(), *of_process.noted()]
        if device != HOST:
            self._settings += of_accelerator(device)
        self._noted: dict[str, None] = {}
        self.begin()

    def begin(self) -> None:
        """Take a new snapshot."""
        self._before = [_read(setting) for setting in self._settings]
        self._functions = [_functions(namespace) for namespace in NAMESPACES]
        self._tensor_attributes = set(vars(torch.Tensor))
        self._threads = Threads()

    def hold(self) -> None:
        """Restore the state that methods share; raises Spoilt if it has changed since `begin`."""
        changes = [*self._changes(shared=True), *self._replaced()]
        busy = self._threads.busy()
        if changes or busy:
            self._noted.clear()
            raise Spoilt("; ".join(filter(None, (_list("changes ", changes), _working(busy)))))

    def settle(self) -> None:
        """Restore everything that has changed since `begin`, and note changes of state that methods do not share.

        Raises Spoilt, as `hold` does.
        """
        try:
            self.hold()
        finally:  # restores the rest too, but after Spoilt nothing else is noted
            others = dict.fromkeys(self._changes(shared=False))
        self._noted.update(others)

    @contextlib.contextmanager
    def settling(self) -> Iterator[None]:
        """Settle after the block inside, even if it fails."""
        try:
            yield
        except Spoilt:
            raise
        except Exception:
            self.settle()  # if this raises Spoilt, that counts: the change may be why the block failed
            raise
        self.settle()

    @contextlib.contextmanager
    def putting_back(self) -> Iterator[None]:
        """Restore whatever changes inside, without blaming a method."""
        yield
        with contextlib.suppress(Spoilt):
            self.settle()

    def take_noted(self) -> str:
        """What was changed and restored since the last call of this, in words, or ''."""
        noted, self._noted = list(self._noted), {}
        return _list("changed and put back: ", noted)

    def _changes(self, shared: bool) -> list[str]:
        """Restore the changed settings of one kind; returns a description of each change."""
        changed = left = self._changed(shared)
        for _ in range(2 if changed else 0):  # twice, since writing some settings changes others
            for setting, before, _ in left:
                with contextlib.suppress(Exception):  # a setting that cannot be restored ends with the process
                    setting.write(before)
            left = self._changed(shared)
        return [_described(setting.name, before, now) for setting, before, now in changed]

    def _changed(self, shared: bool) -> list[tuple[Setting, Any, Any]]:
        """The changed settings of one kind, with their values before and now."""
        pairs = zip(self._settings, self._before, strict=True)
        triples = [(setting, before, _read(setting)) for setting, before in pairs if setting.shared == shared]
        return [(setting, before, now) for setting, before, now in triples if before != now]

    def _replaced(self) -> Iterator[str]:
        """Restore the functions that were replaced, and yield their names."""
        for namespace, before in zip(NAMESPACES, self._functions, strict=True):
            with contextlib.suppress(Exception):  # a function is gone, or its replacement cannot be compared
                if _functions(namespace) == before:
                    continue
            for name, function in zip(_names(namespace), before, strict=True):
                if vars(namespace).get(name) is not function:
                    setattr(namespace, name, function)
                    yield f"{_display_name(namespace)}.{name}"
        for name in vars(torch.Tensor).keys() - self._tensor_attributes:
            if hasattr(torch._C.TensorBase, name):  # a new attribute that hides an inherited one
                delattr(torch.Tensor, name)
                yield f"torch.Tensor.{name}"


def _read(setting: Setting) -> Any:
    """The value of a setting, or the text of the error that reading it raises."""
    try:
        return setting.read()
    except Exception as error:  # torch raises one if the old and new names of a switch were mixed
        return f"{type(error).__name__}: {error}"


@functools.cache
def _names(namespace: Any) -> tuple[str, ...]:
    """Names of the functions and classes that a namespace had when it was first looked at."""
    return tuple(name for name, value in vars(namespace).items() if callable(value) and name not in REPLACED_BY_TORCH)


def _functions(namespace: Any) -> tuple[Any, ...]:
    """The functions and classes of a namespace, in the order of `_names`."""
    functions: tuple[Any, ...] = _getter(namespace)(vars(namespace))
    return functions


@functools.cache
def _getter(namespace: Any) -> operator.itemgetter[Any]:
    """Reads all functions of a namespace. Cached: it is used after every first call of a phase, and costly to make."""
    return operator.itemgetter(*_names(namespace))


def _display_name(namespace: Any) -> str:
    return "torch.Tensor" if namespace is torch.Tensor else str(namespace.__name__)


def _described(name: str, before: Any, now: Any) -> str:
    """A change in words, without values that may be long or contain a path of this machine."""
    if isinstance(before, bool) and isinstance(now, bool):
        return f"{name}, {_on_or_off(before)} to {_on_or_off(now)}"
    if isinstance(before, Mapping) and isinstance(now, Mapping):
        keys = sorted(str(key) for key in {*before, *now} if before.get(key) != now.get(key))
        return f"{name} {', '.join(keys[:MOST_NAMED])}" + (" and more" if len(keys) > MOST_NAMED else "")
    if isinstance(before, PLAIN) and isinstance(now, PLAIN) and os.sep not in f"{before}{now}":
        return f"{name}, {before} to {now}"
    return name


def _on_or_off(value: bool) -> str:
    return "on" if value else "off"


def _list(verb: str, changes: list[str]) -> str:
    named = " and ".join(changes[:MOST_NAMED])
    more = f" and {len(changes) - MOST_NAMED} more" if len(changes) > MOST_NAMED else ""
    return f"{verb}{named}{more}" if changes else ""


def _working(threads: int) -> str:
    return f"leaves {threads} thread{'s' if threads > 1 else ''} working" if threads else ""
