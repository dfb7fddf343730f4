"""Duels that know the answer: A/A on a loaded machine, a planted 5 %, a planted ulp, a method that vanished.

Each is fought by the command line in a clone, whose base commit has the planted code with nothing planted and whose
working tree plants it: both sides run the same lines.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
from scipy import stats

from harness.tables import read_verdicts
from tests.acceptance.line import Line
from tests.planted.load import busy

DUELS = 20
FALSE_ALARMS = 1
FOUND = 19
CELL_SECONDS = 30.0
QUANTITIES = 20
GRAVE = ("slower", "worse", "lost")

FAULTS = Path(__file__).parents[1] / "planted" / "faults.py"
SETTINGS = "SLOWER, ULPS = "
UNPLANTED = f"\n\n{SETTINGS}0.0, 0\n\n\n"
"""What stands before the text of FAULTS in a file of the clone."""


def measure() -> Iterator[Line]:
    """Counts of false alarms and of found faults with their Clopper-Pearson intervals, and seconds a cell."""
    with tempfile.TemporaryDirectory() as folder:
        clone = planted_clone(Path(folder) / "clone")
        with busy():
            fought = [fight(clone, "--only", "n=32768") for _ in range(DUELS)]
        fewest = min(int((verdicts["kind"] != "cell").sum()) for verdicts, _ in fought)
        yield Line("quantities of an A/A duel", fewest, QUANTITIES, at_least=True)
        alarms = sum(bool(verdicts["verdict"].isin(GRAVE).any()) for verdicts, _ in fought)
        yield Line(f"A/A duels of {DUELS} with any slower, worse or lost, {interval(alarms)}", alarms, FALSE_ALARMS)
        undecided = sum(int((verdicts["verdict"] == "inconclusive").sum()) for verdicts, _ in fought)
        yield Line(f"inconclusive quantities of all {sum(len(each) for each, _ in fought)}", undecided, None)

        plant(clone, SLOWER="0.05")
        fought = [fight(clone) for _ in range(DUELS)]
        times = [verdicts[verdicts["kind"] == "time"] for verdicts, _ in fought]
        found = sum(slower(each, "native_unsorted", "forward") for each in times)
        yield Line(f"planted 5 % that are slower, of {DUELS}, {interval(found)}", found, FOUND, at_least=True)
        others = sum(bool((each["verdict"] == "slower")[each["method"] != "native_unsorted"].any()) for each in times)
        yield Line(f"of these duels, those in which another method is slower, {interval(others)}", others, FALSE_ALARMS)
        cells = [seconds / verdicts.groupby(["case", "method"]).ngroups for verdicts, seconds in fought]
        yield Line("seconds a cell, the longest of them", max(cells), CELL_SECONDS)

        worse = 0
        for ulps in ("1", "-1"):  # away from the exact answer is one of the two
            plant(clone, ULPS=ulps)
            verdicts, _ = fight(clone, "--only", "n=32768", "--only", "method=native,fused")
            errors = verdicts.query("kind == 'error' and method == 'fused' and tensor == 'dx' and metric == 'ulp_max'")
            worse += told(errors, "worse")
        yield Line("ulp_max of dx that are worse after one planted ulp up or down", worse, 1, at_least=True)
        plant(clone)
        gather = clone / "harness" / "methods" / "gather.py"
        gather.write_text(gather.read_text(encoding="utf-8").replace("def gather()", "def gone()"), encoding="utf-8")
        study = clone / "studies" / "gate.toml"
        study.write_text(study.read_text(encoding="utf-8").replace('"gather", ', ""), encoding="utf-8")
        verdicts, _ = fight(clone, "--only", "n=32768", "--only", "method=native")
        yield Line("lost rows of a method that vanished", told(verdicts.query("method == 'gather'"), "lost"), 1, True)


def planted_clone(clone: Path) -> Path:
    """A clone whose commit can be planted: forward of native_unsorted slower, dx of fused an ulp off."""
    subprocess.run(["git", "clone", "--quiet", ".", str(clone)], check=True)
    methods = clone / "harness" / "methods"
    for name, before, after in (
        ("native.py", "return lambda y, k: torch.topk(y, k, sorted=False)", "return delayed({}, SLOWER)"),
        ("gather.py", "return project\n", "return moved({}, ULPS)\n"),
    ):
        path = methods / name
        text = path.read_text(encoding="utf-8")
        assert text.count(before) == 1, f"{name} no longer has what is to be planted"
        expression = before.removeprefix("return ").strip()
        planted = text.replace(before, after.format(expression)) + UNPLANTED + FAULTS.read_text(encoding="utf-8")
        path.write_text(planted, encoding="utf-8")
    shutil.copy(Path(__file__).with_name("gate.toml"), clone / "studies" / "gate.toml")
    identity = ["-c", "user.name=planted", "-c", "user.email=planted@example.invalid"]
    subprocess.run(["git", "add", "--all"], cwd=clone, check=True)
    subprocess.run(["git", *identity, "commit", "--quiet", "--message", "Nothing planted yet"], cwd=clone, check=True)
    return clone


def plant(clone: Path, SLOWER: str = "0.0", ULPS: str = "0") -> None:
    """Change the working tree of the clone, and nothing else of it."""
    for name in ("native.py", "gather.py"):
        path = clone / "harness" / "methods" / name
        before, _, after = path.read_text(encoding="utf-8").partition(f"\n{SETTINGS}")
        path.write_text(f"{before}\n{SETTINGS}{SLOWER}, {ULPS}\n{after.partition(chr(10))[2]}", encoding="utf-8")


def fight(clone: Path, *only: str) -> tuple[pd.DataFrame, float]:
    """The verdicts of the clone's working tree against its commit, and the seconds that they took."""
    shutil.rmtree(clone / "results", ignore_errors=True)
    begin = time.monotonic()
    command = [sys.executable, "-m", "harness", "duel", "gate", "--base-rev", "HEAD", *only]
    done = subprocess.run(command, cwd=clone, capture_output=True, text=True, check=False)
    seconds = time.monotonic() - begin
    if done.returncode not in (0, 1):
        raise RuntimeError(f"a duel ended with {done.returncode}: {done.stdout}{done.stderr}")
    (folder,) = (path.parent for path in (clone / "results").glob("*/gate/*/verdicts.csv"))
    return read_verdicts(folder), seconds


def slower(verdicts: pd.DataFrame, method: str, phase: str) -> bool:
    """Whether a phase of a method is slower in every case."""
    rows = verdicts[(verdicts["method"] == method) & (verdicts["phase"] == phase)]
    return len(rows) > 0 and bool((rows["verdict"] == "slower").all())


def told(verdicts: pd.DataFrame, word: str) -> int:
    """How many verdicts are this word."""
    return int((verdicts["verdict"] == word).sum())


def interval(count: int) -> str:
    """The Clopper-Pearson 95 % interval of the rate of `count` in DUELS."""
    low, high = stats.binomtest(count, DUELS).proportion_ci(method="exact")
    return f"rate {count / DUELS:.0%} ({low:.0%}..{high:.0%})"
