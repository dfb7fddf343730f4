"""The progress bar: it moves every second, even while a single case takes long."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NoReturn

from tqdm import tqdm

TICK_SECONDS = 1.0


def progress_bar(total: int, initial: int = 0) -> tqdm[NoReturn]:
    """A bar over cases that shows the remaining time; silent without a terminal, or without any standard error."""
    silent = True if sys.stderr is None or sys.stderr.closed else None  # None: tqdm checks for a terminal itself
    return tqdm(total=total, initial=initial, unit="case", disable=silent, dynamic_ncols=True)


class Progress:
    """Moves a bar over cases. share_used: the share of the budget used so far, from 0 to 1, which moves the bar too."""

    def __init__(self, bar: tqdm[NoReturn], share_used: Callable[[], float]) -> None:
        self.bar, self._share_used = bar, share_used
        self._done = float(bar.n)
        self._lock = threading.Lock()

    def done(self) -> None:
        """Count one more case as done."""
        with self._lock:
            self._done += 1
        self.move()

    def move(self) -> None:
        """Redraw the bar: by cases done, or by time used if that is further along."""
        with self._lock:
            by_time = self._share_used() * float(self.bar.total or 0)
            self.bar.n = max(self.bar.n, int(max(self._done, by_time)))
            self.bar.refresh()


@contextmanager
def ticking(progress: Progress) -> Iterator[Progress]:
    """Move the bar every second, until this context ends."""
    if progress.bar.disable:  # no thread beside the measurements for a bar that nobody sees
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
