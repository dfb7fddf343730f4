"""python -m tests.versions [NAME ...]: the tests that read, write, judge and draw, under other versions of packages.

The Python that runs this measures a run once, and each environment reads a copy of it, as people read what others have
measured. An environment lies in `.venvs/NAME`. It is made when it is first used, and again when what it asks for has
changed; `make clean` removes it, so that the next one has the newest versions.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import time
import tomllib
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import MEASURED, SMOKE
from tests.oldest import PYPROJECT, constraints

ROOT = PYPROJECT.parent
FOLDER = ROOT / ".venvs"
AT_ONCE = 2

READING = (
    "answer by_device compare comparison counts export forecast history judgement pandas_versions ratios "
    "report results saved_again sizes tables"
)
"""Tests that may end otherwise under another pandas or pyarrow; they need no torch."""

DRAWING = "default_figures page study_figures style_of_figures ticks"
"""Tests that may end otherwise under another matplotlib; they need no torch."""

SHOWING = f"{DRAWING} completion degenerate fastest hostile_text judge keep machines outside_text plausible sides trust"
"""Tests that may end otherwise under another of the other packages; they need no torch."""

MEASURING = "run report resume pandas_versions"
"""Tests that measure, and read what they have measured."""

LONG = (
    "bad_method",
    "every_figure_is_drawn",
    "expected_and_what_it_took",
    "five_per_cent",
    "5_percent",
    "imports_no_torch",
    "killed_at_any_byte",
    "launches_are_enough",
    "narrow",
    "seldom",
    "swapped",
    "two_runs_of_a_study",
    "degenerate and not whole",
    "writes_over",
    "committed_figures and not (capability or exceptions or seed or smoke or ties)",
)
"""Those of them that take longest, and reach no code that the others do not reach."""

TOOLS = ("pytest", "hypothesis", "jsonschema")

PYTHONS = ("3.13", "3.12")
"""Of the newest environment, in this order; where none of them is installed it has the Python that runs this."""


@dataclass(frozen=True)
class Environment:
    """packages: what it has beside, or instead of, the dependencies of the package.

    constrained: it has the oldest of each that pyproject.toml allows. borrows: it has the packages of the Python that
    runs this, torch among them, except where `packages` names another version; any other has no torch.
    """

    name: str
    packages: Sequence[str] = ()
    constrained: bool = False
    borrows: bool = False
    pythons: Sequence[str] = ()
    tests: str = READING

    @property
    def folder(self) -> Path:
        return FOLDER / self.name

    @property
    def python(self) -> Path:
        return self.folder / "bin" / "python"


OLD_PYPARSING = "pyparsing<3.3"
"""A newer one warns of what the oldest matplotlib calls."""

ENVIRONMENTS = (
    Environment("oldest", [OLD_PYPARSING], constrained=True, tests=f"{READING} {DRAWING}"),
    Environment("newest", ["pyarrow", "polars", "duckdb"], pythons=PYTHONS, tests=f"{READING} {SHOWING} streams"),
    Environment("pandas-2", ["pandas<3", "pytz", "pyarrow"], borrows=True),
    Environment("torch", ["pyarrow"], borrows=True, tests=MEASURING),
)


class Failed(Exception):
    """A command that prepares the tests has failed; the message is what it printed."""


def base_python(versions: Sequence[str]) -> Path:
    """The first of these Pythons that is installed, on PATH or by pyenv; else the one that runs this."""
    shelf = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    for version in versions:
        on_path = [Path(found)] if (found := shutil.which(f"python{version}")) else []
        for python in (*on_path, *sorted(shelf.glob(f"{version}.*/bin/python"))):
            asked = subprocess.run([python, "-c", "import venv"], capture_output=True, check=False)
            if asked.returncode == 0:  # else it is a shim of a version that is switched off, or lacks parts
                return python
    return Path(sys.executable)


def requirements(environment: Environment) -> Iterator[str]:
    """What pip installs into an environment."""
    yield from environment.packages
    if not environment.borrows:
        project = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["project"]
        yield from (each for each in project["dependencies"] if not each.startswith("torch"))
        yield from TOOLS


def make(environment: Environment) -> None:
    """Make an environment, unless it is there and has what it asks for. Raises Failed."""
    wanted = list(requirements(environment))
    bounds = list(constraints(PYPROJECT.read_text(encoding="utf-8"))) if environment.constrained else []
    python = base_python(environment.pythons)
    stamp, contents = environment.folder / "made-of", "\n".join([str(python), *wanted, "under", *bounds])
    if stamp.is_file() and stamp.read_text(encoding="utf-8") == contents:
        return
    shutil.rmtree(environment.folder, ignore_errors=True)
    _call(python, "-m", "venv", "--without-pip", environment.folder)
    under = environment.folder / "constraints.txt"
    under.write_text("\n".join(bounds), encoding="utf-8")
    options = ["--no-deps"] if environment.borrows else ["--constraint", under]
    pip: list[str | Path] = [
        sys.executable,
        "-m",
        "pip",
        "--python",
        environment.python,
    ]  # to install pip there too takes seconds
    _call(*pip, "install", "--quiet", "--no-compile", *options, *wanted)
    packages = next(environment.folder.glob("lib/python*/site-packages"))
    paths = [ROOT, *([sysconfig.get_path("purelib")] if environment.borrows else [])]
    (packages / "tested.pth").write_text("".join(f"{each}\n" for each in paths), encoding="utf-8")
    stamp.write_text(contents, encoding="utf-8")


def measure() -> Path:
    """Measure a part of the study `smoke` with the Python that runs this, and return the folder of the run.

    Raises Failed.
    """
    results = FOLDER / "measured"
    shutil.rmtree(results, ignore_errors=True)
    narrowed = [word for each in SMOKE for word in ("--only", each)]
    _call(sys.executable, "-m", "harness", "run", "smoke", *narrowed, "--results", results)
    (run,) = results.glob("*/smoke/*")
    return run


def _call(*command: str | Path) -> None:
    ended = subprocess.run(command, cwd=ROOT, text=True, capture_output=True, check=False)
    if ended.returncode:
        raise Failed(f"{' '.join(map(str, command))}\n{ended.stdout}{ended.stderr}")


VERSIONS = """
import importlib.metadata as have, platform, importlib.util
names = [each for each in ("pandas", "numpy", "matplotlib", "pyarrow", "torch") if importlib.util.find_spec(each)]
print(", ".join([f"Python {platform.python_version()}", *(f"{each} {have.version(each)}" for each in names)]))
"""


def tested(environment: Environment, measuring: Future[Path]) -> tuple[bool, str]:
    """Whether the tests pass in an environment, and what there is to say of it."""
    begin = time.monotonic()
    try:
        make(environment)
        measured = measuring.result()
    except Failed as error:
        return False, f"{environment.name}: {error}"
    ready = time.monotonic()
    versions = subprocess.run([environment.python, "-c", VERSIONS], text=True, capture_output=True, check=True).stdout
    variables = dict(os.environ) | {MEASURED: str(measured)}
    variables.pop("BROWSER", None)  # whose driver is in .venv alone
    short = " and ".join(f"not ({each})" for each in LONG)
    command: list[str | Path] = [environment.python, "-m", "pytest", "-q", "-p", "no:benchmark", "-k", short]
    command += [f"tests/test_{each}.py" for each in environment.tests.split()]
    ended = subprocess.run(command, cwd=ROOT, env=variables, text=True, capture_output=True, check=False)
    last = (ended.stdout.splitlines() or [""])[-1]
    counts = {word: int(number) for number, word in re.findall(r"(\d+) (passed|skipped)", last)}
    passed = ended.returncode == 0 and counts.get("passed", 0) > 10 * counts.get("skipped", 0)
    told = f"{last.strip('= ')} (made in {ready - begin:.0f} s)" if passed else ended.stdout + ended.stderr
    return passed, f"{environment.name}: {versions.strip()}: {told}"


def main(names: Sequence[str]) -> int:
    """Exit code 1 where anything fails in any environment."""
    chosen = [each for each in ENVIRONMENTS if not names or each.name in names]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        measuring = pool.submit(measure)  # first: the others wait for it
        ended = [pool.submit(tested, each, measuring) for each in chosen]
        for each in ended:
            print(each.result()[1], flush=True)  # noqa: T201  (a program's own output)
    return 0 if all(each.result()[0] for each in ended) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
