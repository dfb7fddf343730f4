"""The worker of a suite: it runs pytest, which runs a test when the parent asks for it.

A test runs up to its call of `benchmark`. That call answers the parent's requests to time blocks; when the parent
closes the test, the call returns, and the test goes on to its assertions. So pytest sets up the fixtures as usual, and
they are outside the blocks. Requests and replies are JSON lines, like those of the worker of a study.

It needs only pytest and the standard library, because it runs under the interpreter of the suite.
"""

from __future__ import annotations

import os
import platform
import random
import sys
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from typing import Any

import pytest

from harness.suite.fixture import CLOCK, FixturePlugin, Timed
from harness.suite.lines import Lines
from harness.suite.names import failure_reason, imported, parameters_of
from harness.vocabulary import HOST
from harness.worker.protocol import end_with_parent

PROTOCOL = 1
"""Incremented when a request or a reply changes its meaning."""

PHASE = "call"
"""The one phase of a test."""

PLUGIN_OFF = {"no_cov": "--no-cov", "numprocesses": "--numprocesses=0", "timeout": "--timeout=0"}
"""Name of a plugin's setting -> the option that stops it from tracing the timed code (pytest-cov), from running tests
in other processes (pytest-xdist), or from ending a test that waits for its turn (pytest-timeout). pytest refuses an
option whose plugin is not loaded, so `pytest_load_initial_conftests` takes those away again."""

PLUGIN_SEED = {"randomly_seed": "--randomly-seed=1"}
"""The same for the option that fixes the seed of a plugin (pytest-randomly): both sides must have the same inputs."""

TIME_LIMIT = "timeout"
"""The mark by which a test sets a limit of its own for pytest-timeout, whatever the option says."""

OUTER_PYTEST = ("PYTEST_CURRENT_TEST", "PYTEST_XDIST_WORKER", "PYTEST_XDIST_WORKER_COUNT", "PYTEST_XDIST_TESTRUNUID")
"""Environment variables of a pytest that runs this process as part of one of its own tests."""

REPOSITORY = "GIT_DIR"
"""Set to a path without a repository while plugins are loaded: pytest-benchmark asks git for a description of the
repository, which would write the user's index and start the user's file-system monitor."""

BENCHMARK_OPTIONS = ("skip", "only", "disable", "autosave", "save", "json", "compare", "histogram", "cprofile")
"""Options of pytest-benchmark that a suite's configuration may set; they are reset, since they would skip tests or
write files."""


class Serving:
    """The plugin that serves the parent's requests, instead of pytest's own loop over the tests."""

    def __init__(self, lines: Lines, greeting: Mapping[str, Any], temporary: str) -> None:
        self._lines, self._greeting, self._temporary = lines, greeting, temporary
        self._failed: list[tuple[str, str]] = []
        self._pending: dict[str, Any] | None = None
        """The request that has no reply yet."""
        self._raised: dict[str, BaseException] = {}
        self._reports: list[pytest.TestReport] = []
        self._was_timed = False
        self._block_seconds = 0.0

    @pytest.hookimpl(tryfirst=True)
    def pytest_load_initial_conftests(self, early_config: pytest.Config, args: list[str]) -> None:
        os.environ.pop(REPOSITORY, None)  # the suite itself may ask git
        # By now all plugins are loaded, and the settings are those of their options.
        known = vars(early_config.known_args_namespace)
        unknown = [option for setting, option in (PLUGIN_OFF | PLUGIN_SEED).items() if setting not in known]
        args[:] = [each for each in args if each not in unknown]

    @pytest.hookimpl(tryfirst=True)
    def pytest_configure(self, config: pytest.Config) -> None:
        for name in BENCHMARK_OPTIONS:
            setattr(config.option, f"benchmark_{name}", None)
        config.option.benchmark_compare_fail = []
        config.option.maxfail = 0  # a file that cannot be collected, or a test that fails, does not end the others
        config.option.benchmark_storage = f"file://{self._temporary}"  # the plugin creates this folder in any case

    def pytest_sessionstart(self, session: pytest.Session) -> None:
        # Registered here, after all other plugins, because the last fixture of this name is the one that is used.
        session.config.pluginmanager.register(FixturePlugin(self._measured))
        _seed("")

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        for node in {node for item in session.items for node in item.listchain()}:
            node.own_markers[:] = [mark for mark in node.own_markers if mark.name != TIME_LIMIT]

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self._failed.append((report.nodeid, failure_reason(report)))

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Send the greeting, then serve requests until the input ends."""
        items = {item.nodeid: item for item in session.items if "benchmark" in getattr(item, "fixturenames", ())}
        tests = [{"id": name, "parameters": parameters_of(item)} for name, item in items.items()]
        self._lines.write({**self._greeting, "tests": tests, "failed": self._failed})
        while self._pending or self._next():
            request, self._pending = self._pending, None
            assert request is not None
            if request["op"] == "open":
                self._pending = request
                self._run(items[request["case"]["test"]], items.get(request["case"]["following"]), request)
            elif request["op"] == "imported":
                self._lines.write(imported())
            else:  # a request to a test that has already ended by itself
                status = "ok" if request["op"] == "close" else "crashed"
                self._lines.write({"status": status, "reason": "no test is open"})
        return True

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        _seed(item.nodeid)

    @pytest.hookimpl(hookwrapper=True)
    def pytest_fixture_setup(self, fixturedef: Any) -> Iterator[None]:
        # Which of the tests that share a fixture sets it up may differ between the sides, so it has numbers of its own,
        # and leaves the test with those that it has where the fixture is there already.
        with nullcontext() if fixturedef.scope == "function" else _seeded(f"{fixturedef.baseid}::{fixturedef.argname}"):
            yield

    def pytest_runtest_makereport(self, call: pytest.CallInfo[None]) -> None:
        if call.excinfo is not None and not isinstance(call.excinfo.value, pytest.skip.Exception):
            self._raised[call.when] = call.excinfo.value

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        # A plugin that runs a failed test again gives the first attempt an outcome of its own. An attempt that failed
        # before it was timed does not count; one that failed afterwards does, since its times are kept.
        if report.outcome in ("passed", "failed", "skipped") or self._was_timed:
            self._reports.append(report)

    def _next(self) -> dict[str, Any] | None:
        self._pending = self._lines.read()
        return self._pending

    def _run(self, item: pytest.Item, following: pytest.Item | None, request: Mapping[str, Any]) -> None:
        """Run one test, and reply to the request during which it ended; a request to open the next test is left pending
        for the loop."""
        self._block_seconds = request["block_seconds"]
        self._raised, self._reports, self._was_timed = {}, [], False
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        if self._pending and self._pending is not request and self._pending["op"] == "open":
            return
        self._pending = None
        status, reason = self._outcome()
        self._lines.write({"status": status, "reason": reason})

    def _outcome(self) -> tuple[str, str]:
        """Status and reason of the test that has just ended."""
        for report in self._reports:
            where = "" if report.when == "call" else f"{report.when}: "
            if report.outcome not in ("passed", "skipped"):
                wrong = isinstance(self._raised.get(report.when), AssertionError)
                return "incorrect" if wrong else "crashed", where + failure_reason(report)
            if report.skipped:
                return "skipped", where + failure_reason(report)
        return ("ok", "") if self._was_timed else ("unsupported", "it passed without a call of `benchmark`")

    def _measured(self, timed: Timed) -> Any:
        """Serve the requests to an open test, and return the result of its last call once the parent closes it. Skips
        the rest of the test if the parent gives it up before."""
        if self._was_timed:
            raise pytest.skip.Exception("it is run again, after it was timed and failed")
        timed.once()
        self._was_timed = True
        self._pending = None
        self._lines.write({"status": "ok"})
        while request := self._next():
            reply: dict[str, Any]
            if request["op"] == "check":
                known = request.get("calls", {}).get(PHASE)
                calls = known or CLOCK.calls_lasting(timed.cost, self._block_seconds)
                reply = {"status": "ok", "reason": "", "calls": {PHASE: {"wall": calls}}, "memory": [], "figures": []}
            elif request["op"] == "time":
                timed.once()
                reply = {"seconds": timed.block(request["calls"]), "throttling": None}
            else:
                break
            self._pending = None
            self._lines.write(reply)
        if request and request["op"] == "close":
            return timed.result
        raise pytest.skip.Exception("it was not measured to its end")


def _seed(name: str) -> None:
    """Give a test the same random numbers on both sides, if it draws them from the global generator of `random`, NumPy
    or torch."""
    seed = zlib.crc32(name.encode())  # not hash(), which depends on the hash seed of the process
    random.seed(seed)
    with suppress(Exception):  # NumPy may be missing, or replaced by a module of the suite
        sys.modules["numpy"].random.seed(seed)
    with suppress(Exception):
        sys.modules["torch"].manual_seed(seed)


@contextmanager
def _seeded(name: str) -> Iterator[None]:
    """The same numbers for what is inside; afterwards the generators go on from where they were before."""
    before: list[tuple[Any, Any]] = [(random.setstate, random.getstate())]
    with suppress(Exception):
        before.append((sys.modules["numpy"].random.set_state, sys.modules["numpy"].random.get_state()))
    with suppress(Exception):
        before.append((sys.modules["torch"].set_rng_state, sys.modules["torch"].get_rng_state()))
    _seed(name)
    try:
        yield
    finally:
        for put_back, state in before:
            put_back(state)


def options(path: str, temporary: str) -> list[str]:
    """pytest's command line. Its cache and temporary folders are not in the user's folder. The ids of tests begin at
    the current folder, so that both sides have the same ids wherever their configuration of pytest lies."""
    places = ["--rootdir=.", "-o", f"cache_dir={temporary}/cache", f"--basetemp={temporary}/tests"]
    return [path, *places, "--quiet", *PLUGIN_OFF.values(), *PLUGIN_SEED.values()]


def main() -> None:
    """Serve one suite. Arguments: the folder that contains the harness, the path of the suite, a temporary folder, and
    the cores to pin this process to."""
    lines = Lines()
    home, path, temporary, cores = sys.argv[1:5]
    end_with_parent(sys.argv[5:])
    if cores and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, [int(each) for each in cores.split(",")])
    for name in OUTER_PYTEST:
        os.environ.pop(name, None)
    greeting = {"protocol": PROTOCOL, "home": home, "devices": [HOST], "python": platform.python_version()}
    for name in [each for each in sys.modules if each.partition(".")[0] == "harness"]:
        del sys.modules[name]  # the suite may import another version of the harness, whose benchmarks it contains
    os.environ[REPOSITORY] = os.devnull
    code = pytest.main(options(path, temporary), plugins=[Serving(lines, greeting, temporary)])
    sys.exit(int(code))
