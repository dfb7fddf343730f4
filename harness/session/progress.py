"""The bar of long work: it moves once a second, also while one case takes long."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NoReturn

from tqdm import tqdm

TICK_SECONDS = 1.0


def progress_bar(total: int, initial: int = 0) -> tqdm[NoReturn]:
    """A bar over cases with the remaining time; silent where there is no terminal, or no standard error at all."""
    silent = True if sys.stderr is None or sys.stderr.closed else None  # None: tqdm asks whether it is a terminal
    return tqdm(total=total, initial=initial, unit="case", disable=silent, dynamic_ncols=True)


class Progress:
    """A bar over cases. share_used: of the time that there is, from 0 to 1; it moves the bar where cases do not."""

    def __init__(self, bar: tqdm[NoReturn], share_used: Callable[[], float]) -> None:
        self.bar, self._share_used = bar, share_used
        self._done = float(bar.n)
        self._lock = threading.Lock()

    def done(self) -> None:
        """One case more is done."""
        with self._lock:
            self._done += 1
        self.move()

    def move(self) -> None:
        """Show how far it is: by cases, or by time where that is further on."""
        with self._lock:
            by_time = self._share_used() * float(self.bar.total or 0)
            self.bar.n = max(self.bar.n, int(max(self._done, by_time)))
            self.bar.refresh()


@contextmanager
def ticking(progress: Progress) -> Iterator[Progress]:
    """The bar moves by itself until this ends; where it is silent nothing runs beside the work."""
    if progress.bar.disable:
        yield progress
        return
    ended = threading.Event()

    def tick() -> None:
        while not ended.wait(TICK_SECONDS):
            progress.move()

    thread = threading.Thread(target=tick, daemon=True)
    thread.start()
    try:
        yield progress
    finally:
        ended.set()
        thread.join()
