"""What runs code in the sources of the harness and of the studies: nothing that is read from a file is."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCES = sorted(path for room in ("harness", "studies") for path in (ROOT / room).rglob("*.py"))

UNPICKLING = {
    "pickle",
    "cPickle",
    "_pickle",
    "marshal",
    "shelve",
    "dill",
    "cloudpickle",
    "joblib",
    "jsonpickle",
    "yaml",
}
"""Modules that make objects of any kind, or run code, from what they read."""

RUNNING = {
    "eval",
    "exec",
    "compile",
    "__import__",
    "import_module",
    "exec_module",
    "run_path",
    "run_module",
    "literal_eval",
}
LOADING = {"read_pickle", "to_pickle", "load", "loads", "read_hdf"}
HARMLESS = {"json", "tomllib"}
"""Whose `load` and `loads` give plain values only."""

ALLOWED = {
    "harness/__init__.py: importlib.import_module",  # of the package's own modules, by a table in the source
    "harness/import_paths.py: importlib.import_module",  # a method's import path, which a study names
    "harness/scripts/studies.py: spec.loader.exec_module",  # the script of a study, in the folder that the caller names
    "harness/device/compiler.py: torch.compile",
    "harness/methods/kernels/blockmax.py: tl.load",  # of memory, in a kernel
    "studies/instrument_tools.py: pyperf.BenchmarkSuite.load",  # JSON that pyperf has written a moment before
}
"""Every place that runs code by a name, or has the name of something that would."""


def runs_code(place: str, source: str) -> Iterator[str]:
    """Whatever in a source unpickles or evaluates, or has the name of it."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            modules = [each.name for each in node.names] if isinstance(node, ast.Import) else [node.module or ""]
            names = [each.name for each in node.names] if isinstance(node, ast.ImportFrom) else []
            found = [each for each in modules if each.partition(".")[0] in {*UNPICKLING, "runpy"}]
            yield from (f"{place}: {each}" for each in found or (RUNNING | LOADING).intersection(names))
        elif isinstance(node, ast.Call):
            whole = ast.unparse(node.func)
            owner, _, name = whole.rpartition(".")
            keywords = {each.arg for each in node.keywords}
            runs = (name in RUNNING and whole != "re.compile") or whole in ("os.system", "os.popen")
            loads = name in LOADING and owner not in HARMLESS
            if runs or loads or keywords & {"allow_pickle", "shell"}:
                yield f"{place}: {whole}"


def test_nothing_is_unpickled_or_evaluated_from_a_file() -> None:
    found = {each for path in SOURCES for each in runs_code(str(path.relative_to(ROOT)), path.read_text("utf-8"))}
    assert found == ALLOWED


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "def f():\n    from marshal import loads",
        "import yaml",
        "eval('1')",
        "exec(text)",
        "import runpy",
        "compile(text, '', 'exec')",
        "torch.load(path)",
        "numpy.load(p, allow_pickle=True)",
        "pd.read_pickle(path)",
        "from torch import load",
        "frame.to_pickle(path)",
        "__import__(name)",
        "subprocess.run(x, shell=True)",
        "from importlib import import_module",
        "os.system(text)",
        "read_array(f, allow_pickle=True)",
    ],
)
def test_what_would_run_a_file_is_found(source: str) -> None:
    assert len(list(runs_code("here", source))) == 1


def test_what_is_harmless_is_not_found() -> None:
    assert list(runs_code("here", "re.compile('x'); json.loads(text); tomllib.loads(text); read(folder)")) == []
