"""What a method changes for everybody in its process is found, put back, and told."""

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
"""Whose functions every method and the harness itself call."""

REPLACED_BY_TORCH = ("manual_seed",)
"""What torch itself replaces when torch.compile is imported."""

MOST_NAMED = 3
"""Changes that one reason names."""

PLAIN = (int, float, str, torch.dtype, torch.device)
"""Values that are short enough to be told."""


class Spoilt(Exception):
    """A method has changed what other methods share; the message says what, and its process must end."""


class Watch:
    """Global state as it is now, with which it is compared later.

    device: of the case, whose state is watched as well.
    """

    def __init__(self, device: str) -> None:
        self._settings = [*of_torch(), *of_process.shared(), *of_process.noted()]
        if device != HOST:
            self._settings += of_accelerator(device)
        self._noted: dict[str, None] = {}
        self.begin()

    def begin(self) -> None:
        """From now on compare with the state as it is now."""
        self._before = [_read(each) for each in self._settings]
        self._functions = [_functions(each) for each in NAMESPACES]
        self._of_tensors = set(vars(torch.Tensor))
        self._threads = Threads()

    def hold(self) -> None:
        """Put back what methods share, if it has changed since `begin`: then it raises Spoilt."""
        spoilt = [*self._changes(shared=True), *self._replaced()]
        busy = self._threads.busy()
        if spoilt or busy:
            self._noted.clear()
            raise Spoilt("; ".join(filter(None, (_list("changes ", spoilt), _working(busy)))))

    def settle(self) -> None:
        """Put back everything that has changed since `begin`, and note what methods do not share.

        Raises Spoilt, as `hold` does.
        """
        try:
            self.hold()
        finally:  # put back what else has changed, but say no more than the gravest
            others = dict.fromkeys(self._changes(shared=False))
        self._noted.update(others)

    @contextlib.contextmanager
    def settling(self) -> Iterator[None]:
        """Settle after what is done inside, also where that fails: what a method changed may be why."""
        try:
            yield
        except Spoilt:
            raise
        except Exception:
            self.settle()
            raise
        self.settle()

    @contextlib.contextmanager
    def putting_back(self) -> Iterator[None]:
        """Put back whatever is changed inside, and blame nobody."""
        yield
        with contextlib.suppress(Spoilt):
            self.settle()

    def take_noted(self) -> str:
        """What was changed and put back since this was asked last, in words, or ''."""
        noted, self._noted = list(self._noted), {}
        return _list("changed and put back: ", noted)

    def _changes(self, shared: bool) -> list[str]:
        """What has changed of the settings of one kind, each put back."""
        changed = left = self._changed(shared)
        for _ in range(2 if changed else 0):  # twice, since some settings write into the place of others
            for setting, before, _ in left:
                with contextlib.suppress(Exception):  # what cannot be put back ends with the process
                    setting.write(before)
            left = self._changed(shared)
        return [_told(setting.name, before, now) for setting, before, now in changed]

    def _changed(self, shared: bool) -> list[tuple[Setting, Any, Any]]:
        """The settings of one kind that are not what they were, before and now."""
        pairs = zip(self._settings, self._before, strict=True)
        found = [(each, before, _read(each)) for each, before in pairs if each.shared == shared]
        return [(each, before, now) for each, before, now in found if before != now]

    def _replaced(self) -> Iterator[str]:
        """The functions that are not what they were, put back."""
        for owner, before in zip(NAMESPACES, self._functions, strict=True):
            with contextlib.suppress(Exception):  # one that is gone, or that cannot be compared
                if _functions(owner) == before:
                    continue
            for name, function in zip(_names(owner), before, strict=True):
                if vars(owner).get(name) is not function:
                    setattr(owner, name, function)
                    yield f"{_called(owner)}.{name}"
        for name in vars(torch.Tensor).keys() - self._of_tensors:
            if hasattr(torch._C.TensorBase, name):
                delattr(torch.Tensor, name)
                yield f"torch.Tensor.{name}"


def _read(setting: Setting) -> Any:
    """What a setting is, or the words of the error with which it cannot be read."""
    try:
        return setting.read()
    except Exception as error:  # such as torch's, where old and new names of one switch were mixed
        return f"{type(error).__name__}: {error}"


@functools.cache
def _names(owner: Any) -> tuple[str, ...]:
    """Of the functions and classes that a namespace has when it is first looked at."""
    return tuple(name for name, each in vars(owner).items() if callable(each) and name not in REPLACED_BY_TORCH)


def _functions(owner: Any) -> tuple[Any, ...]:
    """The functions and classes themselves, in the order of their names."""
    found: tuple[Any, ...] = _getter(owner)(vars(owner))
    return found


@functools.cache
def _getter(owner: Any) -> operator.itemgetter[Any]:
    """Made once a namespace: to make it costs more than to use it, and it is used after every first call."""
    return operator.itemgetter(*_names(owner))


def _called(owner: Any) -> str:
    return "torch.Tensor" if owner is torch.Tensor else str(owner.__name__)


def _told(name: str, before: Any, now: Any) -> str:
    """A change in words, without what may be long, or a path of this machine."""
    if isinstance(before, bool) and isinstance(now, bool):
        return f"{name}, {_on(before)} to {_on(now)}"
    if isinstance(before, Mapping) and isinstance(now, Mapping):
        keys = sorted(str(key) for key in {*before, *now} if before.get(key) != now.get(key))
        return f"{name} {', '.join(keys[:MOST_NAMED])}" + (" and more" if len(keys) > MOST_NAMED else "")
    if isinstance(before, PLAIN) and isinstance(now, PLAIN) and os.sep not in f"{before}{now}":
        return f"{name}, {before} to {now}"
    return name


def _on(value: bool) -> str:
    return "on" if value else "off"


def _list(verb: str, changes: list[str]) -> str:
    named = " and ".join(changes[:MOST_NAMED])
    more = f" and {len(changes) - MOST_NAMED} more" if len(changes) > MOST_NAMED else ""
    return f"{verb}{named}{more}" if changes else ""


def _working(threads: int) -> str:
    return f"leaves {threads} thread{'s' if threads > 1 else ''} working" if threads else ""
