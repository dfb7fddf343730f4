"""One commit of 64 made a method 5 % slower, or moved a gradient by 4 ulps: `harness bisect` finds it, and none where
there is none.

The scratch repository is the one of the acceptance `gate`: its commits have the planted code with nothing planted but
from the culprit on, and each changes a file of its own besides. Both sides of every duel are real workers.
"""

from __future__ import annotations

import random
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.acceptance.gate import plant, planted_clone
from tests.acceptance.line import Line

COMMITS = 64
DUELS = 7
MINUTES = 15.0
TRIALS = 3
IDENTITY = ["-c", "user.name=planted", "-c", "user.email=planted@example.invalid"]
ONLY = ["--only", "n=32768", "--only", "method=native_unsorted,fused"]


@dataclass(frozen=True)
class Trial:
    """What a bisection said: whether its last line names the culprit, after how many duels and minutes."""

    found: bool
    duels: int
    minutes: float


def measure() -> Iterator[Line]:
    """How many of the planted commits are found, and what that takes; and what is said where nothing is planted."""
    rng = random.Random(0)
    for what, settings, quantity in (
        ("5 %", {"SLOWER": "0.05"}, "time"),
        ("4 ulps", {"ULPS": "4"}, "ulp_max of dx"),
    ):
        trials = [bisected(rng.randint(1, COMMITS), settings, quantity) for _ in range(TRIALS)]
        found = sum(each.found for each in trials)
        yield Line(f"planted {what} that are found among {COMMITS} commits, of {TRIALS}", found, TRIALS, at_least=True)
        yield Line(f"duels that the planted {what} took, the most", max(each.duels for each in trials), DUELS)
        yield Line(f"minutes that the planted {what} took, the most", max(each.minutes for each in trials), MINUTES)
    nothing = bisected(COMMITS + 1, {}, "ulp_max of dx")
    yield Line("a history with nothing planted that says so", nothing.found, 1, at_least=True)


def bisected(culprit: int, settings: dict[str, str], quantity: str) -> Trial:
    """A bisection of a new repository with this planted from one commit on; a culprit after the last: nothing is."""
    with tempfile.TemporaryDirectory() as folder:
        clone = planted_clone(Path(folder) / "clone")
        names = [head(clone)]
        for number in range(1, COMMITS + 1):
            if number == culprit:
                plant(clone, **settings)
            (clone / f"note_{number}.txt").write_text("a change of no consequence\n", encoding="utf-8")
            subprocess.run(["git", "add", "--all"], cwd=clone, check=True)
            message = ["--message", f"Change {number}"]
            subprocess.run(["git", *IDENTITY, "commit", "--quiet", *message], cwd=clone, check=True)
            names.append(head(clone))
        begin = time.monotonic()
        command = [sys.executable, "-m", "harness", "bisect", "gate", "--good", names[0], "--quantity", quantity, *ONLY]
        done = subprocess.run(command, cwd=clone, capture_output=True, text=True, check=False)
        minutes = (time.monotonic() - begin) / 60
    sys.stderr.write(done.stdout + done.stderr)
    if done.returncode not in (0, 1, 3):
        raise RuntimeError(f"a bisection ended with {done.returncode}")
    *_, last = done.stdout.splitlines()
    if culprit > COMMITS:
        return Trial(last.startswith("no commit between"), 1, minutes)
    (duels,) = re.findall(r": (\d+) duels", done.stdout)[-1:] or ["0"]
    return Trial(last.startswith(f"{names[culprit][:8]} Change {culprit}: "), int(duels), minutes)


def head(clone: Path) -> str:
    """The commit that the clone is at."""
    done = subprocess.run(["git", "rev-parse", "HEAD"], cwd=clone, capture_output=True, text=True, check=True)
    return done.stdout.strip()
