"""Imports point down the floors, never in a circle, and each dependency has one home; read from the sources."""

from __future__ import annotations

import ast
import graphlib
import json
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from harness.machine import this_machine
from tests.recorded import record

ROOT = Path(__file__).parent.parent

FLOORS = {
    12: ("__main__",),
    11: ("cli",),
    10: ("bisect",),
    9: ("duel",),
    8: ("__init__", "distribute", "doctor", "suite", "history"),
    7: ("session", "page", "export", "measure"),
    6: ("report", "worker"),
    5: ("planning", "scripts", "verdicts", "accuracy"),
    4: ("tables", "topk"),
    3: ("machine", "methods", "precision"),
    2: ("study", "repository", "state", "import_paths"),
    1: ("errors", "device"),
    0: ("outside_text", "vocabulary", "version", "exact"),
}
FLOOR = {room: floor for floor, rooms in FLOORS.items() for room in rooms}

HOMES = {
    "torch": {"methods", "precision", "device", "state", "topk", "accuracy", "worker"},
    "numpy": {
        *("exact", "precision", "methods", "topk", "accuracy", "worker", "state"),
        *("verdicts", "report", "page", "history", "scripts", "session"),
    },
    "entmax": {"methods"},
    "softtorch": {"methods"},
    "triton": {"methods"},
    "jax": {"methods"},
    "cupy": {"methods"},
    "flashinfer": {"methods"},
    "quack": {"methods"},
    "pandas": {"tables", "verdicts", "report", "page", "history", "export", "planning", "duel", "bisect"},
    "pandera": {"tables"},
    "scipy": {"verdicts"},
    "ruptures": {"verdicts"},
    "pydantic": {"study", "tables"},
    "pydantic_core": {"study"},
    "psutil": {"machine"},
    "cpuinfo": {"machine"},
    "tqdm": {"session"},
    "pynvml": {"device"},
    "altair": {"page", "history"},
    "jinja2": {"page"},
    "markupsafe": {"page"},
    "vl_convert": {"page"},
    "click": {"cli"},
    "dask": {"distribute"},
    "distributed": {"distribute"},
    "matplotlib": {"scripts"},
    "pytest": {"suite"},
    "pytest_benchmark": {"export", "suite"},  # the statistics of an export are its own; its fixture a suite's
    "junitparser": {"export"},
}
"""Dependency -> the rooms that may import it; any other belongs to the studies."""

INSIDE = ("harness.methods.", "harness.precision.", "harness.topk.problems", "harness.topk.distributions")
"""Modules, or rooms, that import torch inside functions only, so that listing what there is imports none."""

KERNELS = "harness.methods.kernels"
"""Modules that need torch and Triton to be imported at all; what imports them does so inside functions."""

WITHOUT_TORCH = {"harness.worker.counting", "harness.worker.installed", "harness.worker.protocol"}
"""Modules of the worker that its parent imports too."""

LARGEST_ROOM = 2000
"""Lines."""


@dataclass(frozen=True)
class Import:
    """One import: the full name of the module that has it, of what it imports, and where it stands."""

    module: str
    target: str
    top_level: bool
    typing_only: bool


def imports_of(module: str, source: str) -> Iterator[Import]:
    """Every import of a source; `from package import name` counts as package.name where that is a module."""

    def walk(node: ast.AST, top: bool, typing: bool) -> Iterator[Import]:
        if isinstance(node, ast.Import):
            yield from (Import(module, alias.name, top, typing) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: a relative import"
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                yield Import(module, full if full in MODULES else str(node.module), top, typing)
        inside = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        guarded = isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for child in ast.iter_child_nodes(node):
            yield from walk(child, top and not inside, typing or guarded)

    return walk(ast.parse(source), True, False)


def modules() -> dict[str, Path]:
    """Full name of a module of the harness -> its file."""
    found = {}
    for path in sorted((ROOT / "harness").rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 2 else parts)] = path
    return found


MODULES = modules()
IMPORTS = [each for name, path in MODULES.items() for each in imports_of(name, path.read_text(encoding="utf-8"))]


def room_of(module: str) -> str:
    return module.split(".")[1] if "." in module else "__init__"


def upward(found: Iterator[Import] | list[Import]) -> list[str]:
    """Imports of the harness that point up, or to another room on the same floor."""
    wrong = []
    for each in found:
        if each.target.partition(".")[0] != "harness":
            continue
        here, there = room_of(each.module), room_of(each.target)
        if here != there and FLOOR[there] >= FLOOR[here]:
            wrong.append(f"{each.module} imports {each.target}")
    return wrong


def homeless(found: Iterator[Import] | list[Import]) -> list[str]:
    """Imports of others that stand in a room which is not their home, or at the top where they must be inside."""
    wrong = []
    for each in found:
        package = each.target.partition(".")[0]
        if each.typing_only or package in sys.stdlib_module_names or package == "harness":
            continue
        at_home = room_of(each.module) in HOMES.get(package, ())
        inside = each.module.startswith(INSIDE) and not each.module.startswith(f"{KERNELS}.")
        if package in ("torch", "triton") and (each.module in WITHOUT_TORCH or (inside and each.top_level)):
            at_home = False
        if not at_home:
            wrong.append(f"{each.module} imports {each.target}")
    return wrong


def test_every_room_stands_on_one_floor() -> None:
    rooms = [room for each in FLOORS.values() for room in each]
    assert sorted(rooms) == sorted({room_of(module) for module in MODULES})


def test_imports_point_down() -> None:
    assert upward(IMPORTS) == []


def circle(found: list[Import]) -> list[str]:
    """Modules that import one another in a circle, or none; also what is imported inside a function."""
    graph: dict[str, set[str]] = {}
    for each in found:
        graph.setdefault(each.module, set()).add(each.target)
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        return list(error.args[1])
    return []


def test_no_modules_import_one_another_in_a_circle() -> None:
    assert circle(IMPORTS) == []


def test_no_room_is_larger_than_a_person_reads_in_a_day() -> None:
    sizes: dict[str, int] = {}
    for name, path in MODULES.items():
        lines = len(path.read_text(encoding="utf-8").splitlines())
        sizes[room_of(name)] = sizes.get(room_of(name), 0) + lines
    assert {room: size for room, size in sizes.items() if size > LARGEST_ROOM} == {}


def test_each_dependency_has_one_home() -> None:
    assert homeless(IMPORTS) == []


def test_every_home_is_used() -> None:
    used = {(each.target.partition(".")[0], room_of(each.module)) for each in IMPORTS}
    assert {(package, room) for package, rooms in HOMES.items() for room in rooms} - used == set()


def test_the_parent_imports_no_module_of_the_worker_that_needs_torch() -> None:
    found = {each.target for each in IMPORTS if room_of(each.module) in ("session", "duel")}
    assert {each for each in found if each.startswith("harness.worker.")} == WITHOUT_TORCH


def test_kernels_are_imported_inside_functions_only() -> None:
    found = [each for each in IMPORTS if each.target.startswith(KERNELS)]
    assert {each.module for each in found} == {"harness.methods.drop_in"}
    assert not any(each.top_level for each in found)


def test_the_figures_library_is_in_no_room_and_what_saves_figures_imports_matplotlib_late() -> None:
    figures = {each for each in IMPORTS if each.target.partition(".")[0] in ("seaborn", "matplotlib")}
    assert [each for each in figures if each.top_level or "seaborn" in each.target] == []


@pytest.mark.parametrize(
    ("module", "source", "wrong"),
    [
        ("harness.study.cells", "import harness.session.sweep", True),
        ("harness.study.cells", "from harness.session import sweep", True),
        ("harness.study.cells", "def f():\n    from harness.session.runs import run", True),
        ("harness.device.clock", "from harness.verdicts.ratios import speedups", True),
        ("harness.verdicts.ratios", "from harness.report.terminal import closing_table", True),
        ("harness.vocabulary", "from harness.errors import UserError", True),
        ("harness.exact.ulp", "from harness.topk.problems import draw", True),
        ("harness.precision.metrics", "from harness.exact.ulp import ulp", False),
        ("harness.session.sweep", "from harness.study.cells import Case", False),
    ],
)
def test_an_import_that_points_up_is_found(module: str, source: str, wrong: bool) -> None:
    assert bool(upward(imports_of(module, source))) == wrong


@pytest.mark.parametrize(
    ("module", "source", "wrong"),
    [
        ("harness.study.cells", "import torch", True),
        ("harness.study.cells", "if TYPE_CHECKING:\n    import torch", False),
        ("harness.methods.dense", "from torch import Tensor", True),
        ("harness.methods.dense", "def f():\n    import torch", False),
        ("harness.methods.kernels.blockmax", "import torch, triton", False),
        ("harness.methods.drop_in", "import triton", True),
        ("harness.topk.problems", "def f():\n    import triton", True),
        ("harness.worker.serve", "import torch", False),
        ("harness.session.process", "def f():\n    import torch", True),
        ("harness.report.terminal", "import seaborn as sns", True),
        ("harness.planning.loading", "from tqdm import tqdm", True),
        ("harness.session.runs", "try:\n    import pandas\nexcept ImportError:\n    pass", True),
        ("harness.session.runs", "import requests", True),
        ("harness.session.runs", "import json", False),
    ],
)
def test_a_dependency_away_from_home_is_found(module: str, source: str, wrong: bool) -> None:
    assert bool(homeless(imports_of(module, source))) == wrong


def test_a_circle_is_found() -> None:
    sources = {
        "harness.study.definition": "import harness.study.cells",
        "harness.study.cells": "def f(): import harness.study.definition",
    }
    assert circle([each for module, source in sources.items() for each in imports_of(module, source)])


def test_the_worker_knows_of_topk_what_the_readme_names() -> None:
    asked: dict[str, set[str]] = {}
    for name, path in MODULES.items():
        if room_of(name) not in ("worker", "session", "state", "device"):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            module = node.module or "" if isinstance(node, ast.ImportFrom) else ""
            if isinstance(node, ast.ImportFrom) and module.startswith(("harness.topk.", "harness.accuracy.")):
                asked.setdefault(module.rpartition(".")[2], set()).update(each.name for each in node.names)
    text = (ROOT / "harness" / "README.md").read_text(encoding="utf-8").partition("## Another operator")[2]
    lines = re.findall(r"`(\w+)`: ((?:`\w+`(?:, )?)+)", text)
    assert {module: set(re.findall(r"\w+", names)) for module, names in lines} == asked


def run_python(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "ignore", "-c", code, *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


OF_A_SUITE = {"harness.suite.worker", "harness.suite.fixture", "harness.suite.names"}
"""What runs inside the pytest of a suite, and nowhere else."""


def test_only_the_worker_of_a_suite_imports_pytest() -> None:
    found = {each.module for each in IMPORTS if each.target.partition(".")[0] in ("pytest", "pytest_benchmark")}
    assert found == {*OF_A_SUITE, "harness.export.benchmark"}
    assert {each.module for each in IMPORTS if each.target in OF_A_SUITE} <= OF_A_SUITE


BLOCKER = """
import sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in sys.argv[1:]:
            raise ImportError(f"{name} is blocked")
sys.meta_path.insert(0, Blocker())
"""

BLOCKED = (
    BLOCKER
    + """
import harness.worker.serve
from harness.errors import UserError
from harness.methods import registered
for each in registered().values():
    try:
        assert each.implementation
    except UserError as error:
        print(each.name, error)
"""
)


def test_the_worker_needs_torch_numpy_and_the_standard_library_only() -> None:
    """A method of another package says how to install it, and the worker lives without."""
    blocked = [each for each in HOMES if each not in ("torch", "numpy")] + ["matplotlib", "seaborn"]
    done = run_python(BLOCKED, *blocked)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "blockmax_triton triton is blocked: pip install '.[kernels]'",
        "jax_top_k jax is blocked: pip install '.[peers-gpu]'",
        "cupy_argpartition cupy is blocked: pip install '.[peers-gpu]'",
        "flashinfer_top_k flashinfer is blocked: pip install '.[peers-gpu]'",
        "quack_topk quack is blocked: pip install '.[peers-gpu]'",
        "entmax_budget entmax is blocked: pip install '.[peers]'",
        "softtorch_softsort softtorch is blocked: pip install '.[peers]'",
    ]
    assert "numpy is blocked" in run_python(BLOCKED, *blocked, "numpy").stderr


def test_the_worker_of_a_suite_needs_pytest_and_the_standard_library_only() -> None:
    blocked = [each for each in HOMES if each not in ("pytest", "pytest_benchmark")] + ["matplotlib", "seaborn"]
    done = run_python(f"{BLOCKER}\nimport harness.suite.worker", *blocked)
    assert (done.returncode, done.stderr) == (0, "")


READING = """
import json, sys
from harness.cli import cli

folder, readers = sys.argv[1], json.loads(sys.argv[2])
results = folder + "/results"

def call(*words):
    try:
        cli(list(words), standalone_mode=False)
    except SystemExit as ended:  # of a verb that judges
        assert ended.code == 0

for name, code in readers.items():
    print("\f" + name)
    exec(code)
    if "torch" in sys.modules:
        sys.exit(name + " imports torch")
"""
"""Runs one reader after the other, what each prints after a form feed and its name."""

READS: Mapping[str, str] = {
    "help": "call('run', '--help')",
    "plan": "call('plan', 'smoke')",
    "list": "call('list')",
    "list --schema": "call('list', '--schema')",
    "closing table": "from harness.report.terminal import closing_table\nfrom harness.tables import read\n"
    "print(closing_table(read(folder)))",
    "scripts of the shipped studies": "from pathlib import Path\nfrom harness.scripts.studies import load_script\n"
    "for path in sorted(Path('studies').glob('*.toml')):\n    print(path, load_script(path.stem, Path('studies')))",
    "plot": "call('plot', folder)",
    "keep": "call('keep', folder)\nprint(open(folder + '/../reference/run.json').read())",
    "compare and history": "call('compare', folder, folder, '--results', results)\n"
    "call('history', '--results', results)",
    "report": "call('report', folder, '--output', page := folder + '/page.html')\nprint(open(page).read()[:1000])",
    "export to pytest-benchmark": "call('export', folder, '--to', 'pytest-benchmark')",
    "export to junit": "call('export', folder, '--to', 'junit')",
    "export to markdown": "call('export', folder, '--to', 'markdown')",
}


def test_what_only_reads_imports_no_torch(tmp_path: Path) -> None:
    run = record(tmp_path / "recorded" / "run", machine=this_machine().facts)  # whose history is then read
    done = run_python(READING, str(run), json.dumps(READS))
    assert (done.returncode, done.stderr) == (0, "")
    printed = dict(each.split("\n", 1) for each in done.stdout.split("\f")[1:])
    assert list(printed) == list(READS)
    assert {name: text for name, text in printed.items() if len(text) <= 100} == {}
