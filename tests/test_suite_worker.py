"""The worker of a suite: what becomes of each kind of test, and what a test sees of its fixture `benchmark`."""

from __future__ import annotations

import json
import os
import sys
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from harness.device.clock import Clock
from harness.session.process import Worker
from harness.suite import fixture
from harness.suite.lines import Lines
from harness.suite.names import LONGEST_VALUE, _value
from harness.suite.sides import SuiteSide
from harness.suite.worker import PLUGIN_OFF, PLUGIN_SEED, REPOSITORY, Serving, options
from harness.worker.installed import is_installed

SUITE = """import random

import pytest

STEPS = []


@pytest.fixture(scope="module")
def shared():
    STEPS.append("module set up")
    yield
    STEPS.append("module torn down")


@pytest.fixture
def own(shared):
    STEPS.append("test set up")
    yield 7
    STEPS.append("test torn down")


@pytest.mark.parametrize(("function", "n", "made"), [(sum, 10, object()), (len, 3, object())])
def test_parameters(benchmark, own, function, n, made):
    assert benchmark(function, [1] * n) == n
    STEPS.append("asserted")


def test_wrong(benchmark):
    assert benchmark(lambda: 3) == 4


def test_right_at_first(benchmark):
    calls = []

    def count():
        calls.append(0)
        return len(calls)

    assert benchmark(count) < 5


def test_raises(benchmark):
    benchmark(int, "x")


def test_raises_later(benchmark):
    calls = []

    def count():
        calls.append(0)
        if len(calls) > 5:
            raise KeyError("enough")

    benchmark(count)


def test_skipped(benchmark):
    pytest.skip("not today")


@pytest.mark.xfail(reason="known")
def test_known_to_fail(benchmark):
    raise RuntimeError


def test_never_calls(benchmark):
    pass


def test_calls_twice(benchmark):
    benchmark(int)
    benchmark(int)


def test_broken_fixture(benchmark, nowhere):
    pass


def test_prepared(benchmark):
    made, ended = [], []

    def setup():
        made.append([3, 1, 2])
        return (made[-1],), {"reverse": True}

    def target(numbers, reverse):
        assert numbers == [3, 1, 2]
        numbers.sort(reverse=reverse)
        return numbers

    found = benchmark.pedantic(target, setup=setup, teardown=lambda numbers, reverse: ended.append(numbers), rounds=2)
    assert found == [3, 2, 1]
    assert len(made) == len(ended) > 10


def test_prepared_in_place(benchmark):
    state = []
    assert benchmark.pedantic(lambda more: state + [more], args=(5,), setup=state.clear) == [5]


def test_too_many_iterations(benchmark):
    benchmark.pedantic(int, setup=list, iterations=3)


def test_arguments_twice(benchmark):
    benchmark.pedantic(int, args=(1,), setup=lambda: ((2,), {}))


@pytest.fixture
def benchmark_of_the_suite(benchmark):
    benchmark.group = "sums"
    benchmark.extra_info["n"] = 3
    return benchmark


def test_of_the_fixture(benchmark_of_the_suite):
    assert benchmark_of_the_suite.name == "test_of_the_fixture"

    @benchmark_of_the_suite
    def found():
        return 11

    assert found == 11


DRAWN = []


def test_drawn(benchmark):
    benchmark(DRAWN.append, random.random())


def test_steps(benchmark):
    benchmark(int)
    raise RuntimeError(f"{STEPS} {DRAWN[0]}")
"""
CONFIGURATION = "[pytest]\naddopts = --benchmark-skip --strict-markers -x -p no:xdist\nfilterwarnings = error\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("suite")
    (made / "test_kinds.py").write_text(SUITE, encoding="utf-8")
    (made / "test_broken.py").write_text("import no_such_module\n", encoding="utf-8")
    (made / "pytest.ini").write_text(CONFIGURATION, encoding="utf-8")
    return made


def started(folder: Path, temporary: Path) -> Worker:
    side = SuiteSide("head", folder, sys.executable, ".", temporary)
    return side.greeted(side.spawn())


@pytest.fixture(scope="module")
def worker(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    with started(folder, tmp_path_factory.mktemp("temporary")) as live:
        yield live


def ask(worker: Worker, **request: Any) -> dict[str, Any]:
    return worker.ask(request, 60.0)


def opened(worker: Worker, test: str, following: str = "", place: str = "test_kinds.py") -> dict[str, Any]:
    names = {"test": f"{place}::{test}", "following": following and f"{place}::{following}"}
    return ask(worker, op="open", case=names, block_seconds=0.0001)


def run(worker: Worker, test: str, following: str = "", place: str = "test_kinds.py") -> tuple[str, str, str]:
    """Run a test with two blocks, as far as it goes; the request that ended it, its status and its reason."""
    reply = opened(worker, test, following, place)
    if reply["status"] != "ok":
        return "open", reply["status"], reply["reason"]
    reply = ask(worker, op="check")
    if reply["status"] != "ok":
        return "check", reply["status"], reply["reason"]
    for _ in range(2):
        reply = ask(worker, op="time", calls=reply["calls"]["call"]["wall"] if "calls" in reply else 3)
        assert 0 < reply["seconds"] < 1
    reply = ask(worker, op="close")
    return "close", reply["status"], reply["reason"]


@pytest.mark.parametrize(
    ("test", "ended", "status", "words"),
    [
        ("test_parameters[sum-10-made0]", "close", "ok", ""),
        ("test_wrong", "close", "incorrect", "assert 3 == 4"),
        ("test_right_at_first", "close", "incorrect", "< 5"),
        ("test_raises", "open", "crashed", "ValueError: invalid literal"),
        ("test_raises_later", "check", "crashed", "KeyError: 'enough'"),
        ("test_skipped", "open", "skipped", "not today"),
        ("test_known_to_fail", "open", "skipped", "it is expected to fail: known"),
        ("test_never_calls", "open", "unsupported", "it passed without a call of `benchmark`"),
        ("test_calls_twice", "close", "crashed", "RuntimeError: the fixture can be used once in a test"),
        ("test_broken_fixture", "open", "crashed", "setup: fixture 'nowhere' not found"),
        ("test_prepared", "close", "ok", ""),
        ("test_prepared_in_place", "close", "ok", ""),
        ("test_too_many_iterations", "open", "crashed", "ValueError: pedantic: with a setup there is one iteration"),
        ("test_arguments_twice", "open", "crashed", "TypeError: pedantic: where setup returns the arguments"),
        ("test_of_the_fixture", "close", "ok", ""),
    ],
)
def test_what_becomes_of_a_test(worker: Worker, test: str, ended: str, status: str, words: str) -> None:
    found = run(worker, test)
    assert found[:2] == (ended, status), found
    assert words in found[2]
    assert bool(found[2]) == bool(words)


def test_the_greeting_names_tests_their_parameters_and_what_failed(worker: Worker) -> None:
    tests = {each["id"].removeprefix("test_kinds.py::"): each["parameters"] for each in worker.greeting["tests"]}
    assert tests["test_parameters[sum-10-made0]"] == {"function": "sum", "n": "10", "made": "made0"}
    assert tests["test_wrong"] == {}
    assert [place for place, _ in worker.greeting["failed"]] == ["test_broken.py"]
    assert "No module named 'no_such_module'" in worker.greeting["failed"][0][1]
    assert worker.greeting["python"] == ".".join(map(str, sys.version_info[:3]))


def test_fixtures_are_outside_the_blocks_and_last_as_long_as_pytest_has_them(folder: Path, tmp_path: Path) -> None:
    """What two tests of a module share is set up once, and torn down after the last of them that is asked for."""
    with started(folder, tmp_path) as live:
        assert run(live, "test_parameters[sum-10-made0]", "test_parameters[len-3-made1]")[1] == "ok"
        assert run(live, "test_parameters[len-3-made1]")[1] == "ok"
        assert run(live, "test_drawn")[1] == "ok"
        ended, status, reason = run(live, "test_steps")
    assert (ended, status) == ("close", "crashed")
    one = "'test set up', 'asserted', 'test torn down'"
    assert f"['module set up', {one}, {one}, 'module torn down']" in reason


def test_a_test_that_is_opened_anew_is_left_first(worker: Worker) -> None:
    """As when the other side has lost its worker in the middle of it."""
    assert opened(worker, "test_prepared")["status"] == "ok"
    assert opened(worker, "test_prepared")["status"] == "ok"
    assert ask(worker, op="check")["status"] == "ok"
    assert opened(worker, "test_wrong")["status"] == "ok"
    assert ask(worker, op="close")["status"] == "incorrect"
    assert ask(worker, op="close")["status"] == "ok"
    assert ask(worker, op="time")["status"] == "crashed"


def test_nothing_is_written_beside_the_tests(worker: Worker, folder: Path) -> None:
    assert run(worker, "test_of_the_fixture")[1] == "ok"
    assert sorted(each.name for each in folder.iterdir()) == ["pytest.ini", "test_broken.py", "test_kinds.py"]


def test_random_numbers_are_the_same_in_every_process(folder: Path, tmp_path: Path) -> None:
    found = []
    for number in range(2):
        (tmp_path / str(number)).mkdir()
        with started(folder, tmp_path / str(number)) as live:
            assert run(live, "test_drawn")[1] == "ok"
            found.append(json.dumps(run(live, "test_steps")))
    assert found[0] == found[1]
    assert "0." in found[0]


SHARED = """import random

import numpy
import pytest


@pytest.fixture(scope="module")
def shared():
    return random.random(), numpy.random.random()


def test_first(benchmark, shared):
    benchmark(int)


def test_second(benchmark, shared):
    benchmark(int)
    raise RuntimeError(f"{shared} {random.random()} {numpy.random.random()}")
"""


def test_random_numbers_do_not_depend_on_which_tests_a_side_has(tmp_path: Path) -> None:
    """One that only the head has may be the first to use what they share."""
    (tmp_path / "test_kinds.py").write_text(SHARED, encoding="utf-8")
    found = []
    for first in (["test_first"], []):
        with started(tmp_path, tmp_path / "temporary") as live:
            assert all(run(live, test, "test_second")[1] == "ok" for test in first)
            found.append(run(live, "test_second"))
    assert found[0] == found[1]
    assert found[0][2].count("0.") == 4


def test_a_long_value_of_a_parameter_is_told_by_its_place() -> None:
    """It stands in every row of the tables."""
    assert _value("text", "x" * LONGEST_VALUE, 3) == "x" * LONGEST_VALUE
    assert _value("text", "x" * (LONGEST_VALUE + 1), 3) == "text3"
    assert _value("number", 10**LONGEST_VALUE, 0) == "number0"


def test_only_options_of_loaded_plugins_are_given(monkeypatch: pytest.MonkeyPatch) -> None:
    """pytest refuses the others. `no:xdist` among the options of a suite keeps a plugin out that is installed."""
    monkeypatch.setenv(REPOSITORY, "nowhere")
    arguments = options("bench", "/tmp")
    config: Any = SimpleNamespace(known_args_namespace=Namespace(numprocesses="auto", timeout=None))
    Serving(cast(Lines, None), {}, "/tmp").pytest_load_initial_conftests(config, arguments)
    given = [each for each in arguments if each in (*PLUGIN_OFF.values(), *PLUGIN_SEED.values())]
    assert given == ["--numprocesses=0", "--timeout=0"]
    assert REPOSITORY not in os.environ


PLUGIN = """import pytest
from _pytest.runner import runtestprotocol


def pytest_configure(config):
    config.addinivalue_line("markers", "timeout: seconds after which pytest-timeout ends a test")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    assert item.get_closest_marker("timeout") is None, "it would be ended while it waits for its turn"


def pytest_runtest_protocol(item, nextitem):  # runs a test that fails once more, as pytest-rerunfailures does
    for attempt in range(2):
        item._initrequest()
        reports = runtestprotocol(item, nextitem=nextitem, log=False)
        failed = [each for each in reports if each.failed]
        for report in reports:
            if report.failed and attempt == 0:
                report.outcome = "rerun"
            item.ihook.pytest_runtest_logreport(report=report)
        if not failed:
            break
    return True
"""
AGAIN = """import pytest

EARLY, LATE = [], []


@pytest.mark.timeout(1)
class TestMarked:
    @pytest.mark.timeout(2)
    def test_limited(self, benchmark):
        benchmark(int)


def test_fails_before(benchmark):
    EARLY.append(0)
    assert len(EARLY) == 2
    benchmark(int)


def test_fails_afterwards(benchmark):
    LATE.append(0)
    benchmark(int)
    assert len(LATE) == 2, "the first attempt fails"
"""


@pytest.fixture(scope="module")
def again(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    """The worker of a suite whose plugins end tests or run them again, and whose configuration lies in a subfolder."""
    folder = tmp_path_factory.mktemp("again")
    (folder / "kinds").mkdir()
    files = {"conftest.py": PLUGIN, "test_kinds.py": AGAIN, "pytest.ini": "[pytest]\naddopts = --strict-markers\n"}
    for name, text in files.items():
        (folder / "kinds" / name).write_text(text, encoding="utf-8")
    side = SuiteSide("head", folder, sys.executable, "kinds", tmp_path_factory.mktemp("temporary"))
    with side.greeted(side.spawn()) as live:
        yield live


@pytest.mark.parametrize(
    ("test", "ended", "status", "words"),
    [
        ("TestMarked::test_limited", "close", "ok", ""),
        ("test_fails_before", "close", "ok", ""),
        ("test_fails_afterwards", "close", "incorrect", "the first attempt fails"),
    ],
)
def test_plugins_that_end_a_test_or_run_it_again_change_no_time(
    again: Worker, test: str, ended: str, status: str, words: str
) -> None:
    """A test that fails after it was timed has failed, whatever another attempt does."""
    found = run(again, test, place="kinds/test_kinds.py")
    assert found[:2] == (ended, status), found
    assert words in found[2]


def test_what_is_installed_is_told_from_a_project_beside_it() -> None:
    """Also of a project whose environment lies in its own folder, or that lies below that of the interpreter."""
    assert is_installed(Path(json.__file__))
    assert is_installed(Path(pytest.__file__))
    assert is_installed(Path("/elsewhere/lib/python3.12/site-packages/numpy/__init__.py"))
    assert not is_installed(Path(sys.prefix, "src", "mine", "__init__.py"))
    assert not is_installed(Path("/home/me/mine/__init__.py"))


def test_what_a_setup_takes_bounds_the_calls_of_a_block(monkeypatch: pytest.MonkeyPatch) -> None:
    """Five calls of no time, whose setups take 10 s: a block may take ten times the seconds that its calls should."""
    readings = iter((100.0, 110.0))
    monkeypatch.setattr(fixture, "time", SimpleNamespace(perf_counter=lambda: next(readings)))
    monkeypatch.setattr(fixture, "CLOCK", Clock(counter=lambda: 0))
    calls = fixture.PreparedCalls(lambda: None, lambda: None, None, ((), {}))
    assert calls.cost(5) == pytest.approx(10 / 5 / 10)
