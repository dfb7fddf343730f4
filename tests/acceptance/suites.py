"""The pytest-benchmark suite of a published package, between two of its releases: by a duel and by pytest-benchmark.

pluggy is small and pure Python, its source distribution has the suite, and nobody here wrote either. Each release is
installed in an environment of its own, from the package index that pip is configured for.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import pandas as pd

from harness.tables import read_suite_verdicts
from harness.vocabulary import EXIT_FAILED
from tests.acceptance.line import Line

ROOT = Path(__file__).parents[2]
PACKAGE, BASE, HEAD = "pluggy", "1.5.0", "1.6.0"
SUITE = "testing/benchmark.py"
TOOLS = ("pytest==9.1.1", "pytest-benchmark==5.3.1")
"""The same on both sides: later ones of pytest do not run with the older release."""

FEWEST_TESTS = 15
TIMES = 3
DUELS = 20
SHORT = "--budget=60"
"""Of a duel of equal code. More time makes more tests `same`; no time may make an alarm."""

TOLERANCE = 0.02
GRAVE = ("slower", "faster", "lost", "new")
"""What a duel of equal code must not say."""


def measure() -> Iterator[Line]:
    """Verdicts of both tools on two releases, TIMES times, and of the duel on one release against itself."""
    with tempfile.TemporaryDirectory(prefix="suites-") as name:
        folder = Path(name)
        base, head = (environment(folder, release) for release in (BASE, HEAD))
        place = folder / "project"
        (place / "bench").mkdir(parents=True)
        suite = suite_of(folder, HEAD)
        (place / "bench" / "test_published.py").write_bytes(suite)
        yield from of_releases(place, base, head)
        yield from of_one_release(place, head)


def of_releases(place: Path, base: Path, head: Path) -> Iterator[Line]:
    """What each tool says of every test, each time, and for how many tests it changes its mind."""
    duels = [duel(place, base, head) for _ in range(TIMES)]
    others = [medians_apart(place, base, head) for _ in range(TIMES)]
    tests = list(duels[0].index)
    yield Line(f"tests of the suite of {PACKAGE} {HEAD}, each duelled with {BASE}", len(tests), FEWEST_TESTS, True)
    words = {test: [str(each["verdict"].get(test)) for each in duels] for test in tests}
    theirs = {test: [word(each[test]) for each in others] for test in tests}
    for test in tests:
        ratios = " ".join(f"{each['ratio'][test]:.3f}" for each in duels)
        apart = " ".join(f"{each[test]:.3f}" for each in others)
        told = f"{test}: duel {', '.join(words[test])} ({ratios}); pytest-benchmark {', '.join(theirs[test])} ({apart})"
        yield Line(told, duels[0]["ratio"][test], None)
    yield Line(f"tests that the duel decides each of {TIMES} times", sum(map(decided, words.values())), None)
    for tool, found in (("the duel", words), ("pytest-benchmark", theirs)):
        changed = sum(len(set(each)) > 1 for each in found.values())
        yield Line(f"tests of which {tool} changes its mind over {TIMES} times", changed, None)
        opposite = sum({"slower", "faster"} <= set(each) for each in found.values())
        yield Line(f"of these, slower once and faster once, {tool}", opposite, 0 if tool == "the duel" else None)


def of_one_release(place: Path, head: Path) -> Iterator[Line]:
    """How often the duel alarms where both sides are the same release."""
    fought = [duel(place, head, head, SHORT) for _ in range(DUELS)]
    alarms = sum(bool(each["verdict"].isin(GRAVE).any()) for each in fought)
    yield Line(f"A/A duels of {DUELS} with any slower, faster, lost or new test", alarms, 0)
    same = sum(int((each["verdict"] == "same").sum()) for each in fought)
    yield Line(f"tests that are the same, of all {sum(map(len, fought))} of these duels", same, None)


def duel(place: Path, base: Path, head: Path, *options: str) -> pd.DataFrame:
    """The verdicts of a duel of the suite, its name without the file -> `verdict ratio`."""
    with tempfile.TemporaryDirectory() as results:
        command = [str(head), "-m", "harness", "duel", "--pytest", "bench", f"--base-python={base}", *options]
        done = run([*command, f"--results={results}"], place, allowed=(0, EXIT_FAILED))
        if not (found := list(Path(results).glob("*/pytest-bench/*/verdicts.csv"))):
            raise RuntimeError(f"a duel left no verdicts: {done}")
        verdicts = read_suite_verdicts(found[0].parent)
    return verdicts.assign(test=verdicts["test"].str.rpartition("::")[2]).set_index("test")


def medians_apart(place: Path, base: Path, head: Path) -> dict[str, float]:
    """Test -> ratio of the medians of two runs of pytest-benchmark, one after the other, as its compare reads them."""
    medians = []
    for number, python in enumerate((base, head)):
        target = place.parent / f"{number}.json"
        options = ["-p", "no:cacheprovider", "--quiet", f"--benchmark-json={target}"]
        run([str(python), "-m", "pytest", *options, "bench"], place)
        read = json.loads(target.read_text(encoding="utf-8"))["benchmarks"]
        medians.append({each["name"]: each["stats"]["median"] for each in read})
    return {test: medians[1][test] / medians[0][test] for test in medians[0]}


def word(ratio: float) -> str:
    """What `--benchmark-compare-fail` makes of a ratio at the duel's tolerance; it knows no doubt."""
    if ratio != ratio:
        return "lost"
    return "slower" if ratio > 1 + TOLERANCE else "faster" if ratio < 1 / (1 + TOLERANCE) else "same"


def decided(words: Sequence[str]) -> bool:
    return set(words) <= {"slower", "faster", "same"}


def environment(folder: Path, release: str) -> Path:
    """The interpreter of a new environment with a release, pytest and pytest-benchmark; what it lacks of the harness's
    needs it finds where this interpreter does."""
    home = folder / f"{PACKAGE}-{release}"
    run([sys.executable, "-m", "venv", str(home)], folder)
    python = home / "bin" / "python"
    run([str(python), "-m", "pip", "install", "--quiet", f"{PACKAGE}=={release}", *TOOLS], folder)
    (site,) = (home / "lib").glob("python*/site-packages")
    (site / "shared.pth").write_text(f"{sysconfig.get_path('purelib')}\n{ROOT}\n", encoding="utf-8")
    return python


def suite_of(folder: Path, release: str) -> bytes:
    """The suite as the source distribution of a release has it."""
    download = ["-m", "pip", "download", "--quiet", "--no-deps", f"--no-binary={PACKAGE}", f"{PACKAGE}=={release}"]
    run([sys.executable, *download], folder)
    with tarfile.open(folder / f"{PACKAGE}-{release}.tar.gz") as archive:
        member = archive.extractfile(f"{PACKAGE}-{release}/{SUITE}")
        assert member is not None
        return member.read()


def run(command: list[str], folder: Path, allowed: Sequence[int] = (0,)) -> str:
    """What a command prints. Raises RuntimeError where it ends with another code than is allowed."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode not in allowed:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}: {done.stdout}{done.stderr}")
    return done.stdout + done.stderr
