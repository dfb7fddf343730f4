"""The doctor: each check sees its planted fault, passes a healthy machine, and knows when it cannot know."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from itertools import count
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from click.testing import CliRunner

import harness.doctor
from harness.cli import cli
from harness.doctor import closing_line, examine
from harness.doctor.finding import Finding
from harness.doctor.running import AA_SPREAD, THREAD_VARIABLES, TIMER_SECONDS, aa, denormals, threads, throttling, timer
from harness.doctor.running import growth as growth_of
from harness.doctor.system import CHECKS
from harness.errors import UserError
from harness.session import selfcheck
from harness.session.process import Worker, WorkerLost
from harness.session.sampler import Arm
from harness.session.selfcheck import growth, resolution, spread, twins
from harness.study.cells import Case
from harness.vocabulary import EXIT_USAGE
from harness.worker.serve import greeting

ROOT = Path(__file__).parent.parent
NAN = float("nan")

CPU = "sys/devices/system/cpu"
NO_TURBO, BOOST, SMT = f"{CPU}/intel_pstate/no_turbo", f"{CPU}/cpufreq/boost", f"{CPU}/smt/active"
GOVERNOR, SLOWED = f"{CPU}/cpu3/cpufreq/scaling_governor", f"{CPU}/cpu3/thermal_throttle/core_throttle_count"
ZONE = "sys/class/thermal/thermal_zone0"
OUTER, INNER = "sys/fs/cgroup/user.slice", "sys/fs/cgroup/user.slice/run.scope"

FROM_A_WORKER = {"threads", "denormals", "throttling", "growth", "aa"}
"""The checks that ask one."""

Plant = Callable[[Mapping[str, str | None]], Path]

HEALTHY: Mapping[str, str] = {
    "proc/loadavg": "0.10 0.20 0.30 1/99 1234\n",
    "proc/cpuinfo": "processor\t: 0\nflags\t\t: fpu sse2 avx2\n",
    "proc/meminfo": "MemFree: 1 kB\nMemTotal:       16777216 kB\n",
    "proc/self/cgroup": "0::/user.slice/run.scope\n",
    "proc/self/status": "Name:\tpython\nCpus_allowed:\tf\nCpus_allowed_list:\t0-3\n",
    f"{CPU}/online": "0-3\n",
    NO_TURBO: "1\n",
    SMT: "0\n",
    **{f"{CPU}/cpu{core}/cpufreq/scaling_governor": "performance\n" for core in range(4)},
    **{f"{CPU}/cpu{core}/thermal_throttle/core_throttle_count": "0\n" for core in range(4)},
    f"{ZONE}/type": "x86_pkg_temp\n",
    f"{ZONE}/temp": "45000\n",
    f"{ZONE}/trip_point_0_type": "passive\n",
    f"{ZONE}/trip_point_0_temp": "90000\n",
    f"{ZONE}/trip_point_1_type": "active\n",  # turns a fan on
    f"{ZONE}/trip_point_1_temp": "40000\n",
    f"{ZONE}/trip_point_2_type": "critical\n",  # not set
    f"{ZONE}/trip_point_2_temp": "-274000\n",
    f"{OUTER}/cpu.max": "max 100000\n",
    f"{OUTER}/memory.max": "max\n",
    f"{INNER}/cpu.max": "max 100000\n",
    f"{INNER}/cpu.stat": "usage_usec 5\nnr_periods 0\nnr_throttled 0\n",
    f"{INNER}/memory.max": "max\n",
}
"""path -> text, of a machine of four cores on which nothing disturbs."""

FAULTS: list[tuple[str, dict[str, str | None], str, str]] = [
    ("load", {"proc/loadavg": "2.10 0.20 0.30 1/99 1234\n"}, "2.10 over the last minute on 4 cores", "top"),
    ("load", {"proc/loadavg": "inf 0 0 1/99 1234\n"}, "inf", "top"),
    ("load", {f"{CPU}/online": "0\n", "proc/loadavg": "0.60 0 0 1/99 1\n"}, "on 1 cores", "top"),
    ("governor", {GOVERNOR: "powersave\n"}, "powersave", "cpupower frequency-set -g performance"),
    ("governor", {GOVERNOR: "powersave\n", f"{CPU}/cpu0/cpufreq/scaling_governor": None}, "powersave", "cpupower"),
    ("turbo", {NO_TURBO: "0\n"}, "no_turbo is 0", "echo 1 | sudo tee /sys/devices/system/cpu/intel_pstate/no_turbo"),
    ("turbo", {NO_TURBO: None, BOOST: "1\n"}, "boost is 1", "echo 0 | sudo tee /sys/devices/system/cpu/cpufreq/boost"),
    ("smt", {SMT: "1\n"}, "two threads share each core", "echo off | sudo tee /sys/devices/system/cpu/smt/control"),
    ("thermal", {SLOWED: "7\n"}, "7 times", "cool"),
    ("thermal", {f"{ZONE}/temp": "86000\n"}, "86 °C, 4 °C below", "cool"),
    ("thermal", {f"{ZONE}/temp": "86000\n", SLOWED: None}, "slow-downs by heat are not counted", "cool"),
    ("limits", {f"{INNER}/cpu.max": "150000 100000\n"}, "CPU quota of 1.5 cores", "--cpus"),
    ("limits", {f"{OUTER}/cpu.max": "150000 100000\n"}, "CPU quota of 1.5 cores", "--cpus"),
    ("limits", {f"{OUTER}/cpu.max": "150000 100000\n", f"{INNER}/cpu.max": None}, "CPU quota of 1.5 cores", "--cpus"),
    ("limits", {f"{INNER}/cpu.stat": "nr_throttled 12\n"}, "throttled 12 times", "lift"),
    ("limits", {f"{OUTER}/cpu.stat": "nr_throttled 12\n"}, "throttled 12 times", "lift"),
    ("limits", {f"{INNER}/memory.max": "2147483648\n"}, "memory 2 of 16 GiB", "--memory"),
    ("limits", {"proc/self/status": "Cpus_allowed_list:\t1,3,64-127\n"}, "2 of 4 cores", "taskset"),
    ("limits", {"proc/self/status": "Cpus_allowed_list:\t2\n", f"{INNER}/memory.max": None}, "1 of 4 cores", "taskset"),
]
"""(check, what differs from HEALTHY, what is found, the advice)."""

HEALTHY_TOO: list[tuple[str, dict[str, str | None]]] = [
    ("load", {"proc/loadavg": "2.00 0 0 1/99 1\n"}),
    ("turbo", {NO_TURBO: None, BOOST: "0\n"}),
    ("thermal", {f"{ZONE}/temp": "85000\n"}),
    ("limits", {f"{INNER}/cpu.max": "400000 100000\n"}),
    ("limits", {f"{INNER}/cpu.max": None}),  # a group without the controller has no limit of its own
    ("limits", {"proc/self/status": "Cpus_allowed_list:\t0-127\n"}),
    ("limits", {"proc/self/cgroup": "1:cpu:/old\n0::/../user.slice\n", f"{OUTER}/cpu.stat": "nr_throttled 0\n"}),
]

UNREADABLE: list[tuple[str, dict[str, str | None]]] = [
    ("load", {"proc/loadavg": None}),
    ("load", {"proc/loadavg": "nan 0 0 1/99 1\n"}),
    ("load", {f"{CPU}/online": None}),
    ("load", {f"{CPU}/online": "all\n"}),
    ("governor", {GOVERNOR: None}),
    ("governor", {f"{CPU}/online": None}),
    ("turbo", {NO_TURBO: None}),
    ("turbo", {NO_TURBO: "perhaps\n"}),
    ("smt", {SMT: None}),
    ("smt", {SMT: "\n"}),
    ("smt", {"proc/cpuinfo": "flags\t\t: fpu hypervisor\n"}),
    ("thermal", {SLOWED: None}),
    ("thermal", {SLOWED: "nan\n"}),
    ("thermal", {f"{CPU}/online": None}),
    ("thermal", {f"{ZONE}/temp": None}),
    ("thermal", {f"{ZONE}/temp": "nan\n"}),
    ("thermal", {f"{ZONE}/trip_point_0_temp": None}),
    ("thermal", {f"{ZONE}/trip_point_0_type": None}),
    ("thermal", {f"{ZONE}/trip_point_2_temp": None}),
    ("thermal", {"sys/class/thermal/thermal_zone1/trip_point_0_type": "hot", f"{ZONE[:-1]}1/trip_point_0_temp": "9e4"}),
    ("limits", {f"{OUTER}/cpu.max": None, f"{INNER}/cpu.max": None}),
    ("limits", {f"{INNER}/cpu.max": "nan 100000\n"}),
    ("limits", {f"{INNER}/cpu.max": "100000 0\n"}),
    ("limits", {f"{INNER}/cpu.max": "\n"}),
    ("limits", {f"{INNER}/cpu.stat": "usage_usec 5\n"}),
    ("limits", {f"{OUTER}/memory.max": None, f"{INNER}/memory.max": None}),
    ("limits", {"proc/meminfo": None}),
    ("limits", {"proc/self/status": "Name:\tpython\n"}),
    ("limits", {"proc/self/cgroup": "0::/another\n"}),
]


@pytest.fixture
def plant(tmp_path: Path) -> Plant:
    """plant(changes) -> the root of a healthy machine but for these texts; None takes a file away."""

    def grow(changes: Mapping[str, str | None]) -> Path:
        for name, told in {**HEALTHY, **changes}.items():
            if told is not None:
                (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
                (tmp_path / name).write_text(told)
        return tmp_path

    return grow


def finding_of(name: str, root: Path) -> Finding:
    (check,) = (each for each in CHECKS if each.__name__ == name)
    return check(root)


def test_a_healthy_machine_is_ok(plant: Plant) -> None:
    found = [check(plant({})) for check in CHECKS]
    assert [(each.name, each.word, each.advice) for each in found] == [(each.__name__, "ok", "") for each in CHECKS]


@pytest.mark.parametrize(("name", "changes", "told", "advice"), FAULTS)
def test_a_fault_is_found_and_advised_on(
    plant: Plant, name: str, changes: dict[str, str | None], told: str, advice: str
) -> None:
    finding = finding_of(name, plant(changes))
    assert (finding.name, finding.word) == (name, "warn"), finding
    assert told in finding.found
    assert advice in finding.advice
    assert str(finding).splitlines() == [f"warn     {name:10} {finding.found} -> {finding.advice}"]


@pytest.mark.parametrize(("name", "changes"), HEALTHY_TOO)
def test_what_disturbs_nothing_is_ok(plant: Plant, name: str, changes: dict[str, str | None]) -> None:
    assert finding_of(name, plant(changes)).word == "ok"


@pytest.mark.parametrize(("name", "changes"), UNREADABLE)
def test_what_cannot_be_read_is_unknown(plant: Plant, name: str, changes: dict[str, str | None]) -> None:
    finding = finding_of(name, plant(changes))
    assert (finding.word, finding.advice) == ("unknown", ""), finding
    assert "nan" not in finding.found


def test_of_a_machine_that_tells_nothing_nothing_is_ok(tmp_path: Path) -> None:
    assert {check(tmp_path).word for check in CHECKS} == {"unknown"}


@pytest.mark.parametrize("table", [FAULTS, UNREADABLE], ids=["fault", "unknown"])
def test_every_check_of_the_system_has_a_plant(table: list[tuple[str, ...]]) -> None:
    assert {row[0] for row in table} == {each.__name__ for each in CHECKS}


def ticking(step: int, every: int) -> Callable[[], int]:
    """A counter of nanoseconds that moves by `step`, once in so many readings."""
    readings = count()
    return lambda: next(readings) // every * step


@pytest.mark.parametrize(
    ("step", "every", "word"),
    [(40, 1, "ok"), (1000, 20, "ok"), (1001, 1, "warn"), (15_625_000, 3000, "warn"), (0, 1, "unknown")],
)
def test_a_coarse_timer_is_found(monkeypatch: pytest.MonkeyPatch, step: int, every: int, word: str) -> None:
    monkeypatch.setattr(selfcheck, "READINGS", 10_000)
    finding = timer(resolution(ticking(step, every)))
    assert finding.word == word
    assert (f"moves by {step} ns" in finding.found) == (word != "unknown")
    assert ("clocksource" in finding.advice) == (word == "warn")
    assert TIMER_SECONDS == 1e-6


@pytest.mark.parametrize(
    ("environment", "allowed", "of_torch", "word", "told"),
    [
        ({}, 2, 2, "ok", "torch 2 on 2 cores"),
        ({"OMP_NUM_THREADS": "1"}, 2, 1, "ok", "OMP_NUM_THREADS 1"),
        ({"OMP_NUM_THREADS": "2,8"}, 2, 2, "ok", "OMP_NUM_THREADS 2"),
        ({"OMP_NUM_THREADS": "3"}, 2, 2, "warn", "OMP_NUM_THREADS 3 on 2 cores"),
        ({"OMP_NUM_THREADS": "3"}, 2, 3, "warn", "torch 3 on 2 cores"),
        ({"MKL_NUM_THREADS": "3"}, 2, NAN, "warn", "MKL_NUM_THREADS 3 on 2 cores"),
        ({}, 2, 8, "warn", "torch 8 on 2 cores"),
        ({}, 2, NAN, "unknown", "cannot be read"),
        ({}, 0, 2, "unknown", "cannot be read"),
        ({"OMP_NUM_THREADS": "many"}, 2, 2, "unknown", "cannot be read"),
    ],
)
def test_more_threads_than_cores_are_found(
    environment: dict[str, str], allowed: int, of_torch: float, word: str, told: str
) -> None:
    finding = threads(environment, allowed, of_torch)
    assert finding.word == word
    assert told in finding.found
    named = next((each for each in THREAD_VARIABLES if each in environment), "OMP_NUM_THREADS")
    assert finding.advice == (f"export {named}={allowed}" if word == "warn" else "")


@pytest.mark.parametrize(("kept", "word"), [(True, "ok"), (False, "warn"), (None, "unknown")])
def test_flushed_subnormals_are_found(kept: bool | None, word: str) -> None:
    finding = denormals(kept)
    assert finding.word == word
    assert ("set_flush_denormal" in finding.advice) == (word == "warn")


@pytest.fixture
def flushing() -> Iterator[None]:
    """Torch flushes subnormal numbers to zero, where this CPU can."""
    if not torch.set_flush_denormal(True):
        pytest.skip("this CPU cannot flush subnormal numbers")
    yield
    torch.set_flush_denormal(False)


@pytest.mark.usefixtures("flushing")
def test_a_worker_that_flushes_says_so() -> None:
    assert greeting()["subnormals"] is False


def test_a_worker_that_keeps_subnormals_says_so() -> None:
    assert greeting()["subnormals"] is True
    assert greeting()["threads"] == torch.get_num_threads()


def pair(base: float, head: float) -> tuple[Arm, Arm]:
    """Two arms whose blocks last so long."""
    return Arm("native", "forward", 1, lambda: base), Arm("native", "forward", 1, lambda: head, side=1)


@pytest.mark.parametrize(
    ("pairs", "word"),
    [
        ([pair(1.0, 1.0)], "ok"),
        ([pair(1e-3, 1.01e-3), pair(1e-5, 0.99e-5)], "ok"),
        ([pair(1.0, 1.02)], "warn"),
        ([pair(1.02, 1.0)], "warn"),
        ([pair(1.0, 1.0)] * 9 + [pair(1.0, 1.1)], "warn"),
        ([pair(0.0, 1.0)], "unknown"),
        ([pair(1.0, NAN)], "unknown"),
        ([pair(1.0, 1.0)] * 99 + [pair(NAN, 1.0)], "unknown"),
        ([pair(0.0, 0.0)], "unknown"),
        ([], "unknown"),
    ],
)
def test_a_slower_second_side_is_found(pairs: list[tuple[Arm, Arm]], word: str) -> None:
    finding = aa(spread(pairs, rounds=4))
    assert finding.word == word
    assert bool(finding.advice) == (word == "warn")
    assert AA_SPREAD == 0.015


def test_drift_is_no_spread() -> None:
    """Blocks that last longer and longer: within a round both sides drift alike."""
    clock = count(1000)
    both = [Arm("native", "forward", 1, lambda: next(clock), side) for side in (0, 1)]
    assert spread([both], rounds=100) < 0.002


class Told:
    """What stands in for a worker: a greeting, and the same reply to everything."""

    cores = ()

    def __init__(self, reply: dict[str, Any] | None = None, **facts: Any) -> None:
        self.greeting, self.reply = facts, reply

    def __enter__(self) -> Told:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def ask(self, *_: object) -> dict[str, Any]:
        if self.reply is None:
            raise WorkerLost("crashed", "the worker ended by SIGKILL")
        return self.reply


def test_a_kernel_that_cannot_be_timed_has_no_spread() -> None:
    assert aa(spread(twins(cast(Worker, Told({"status": "crashed", "reason": "no"}))))).word == "unknown"


def test_twins_are_timed_by_a_worker() -> None:
    with Worker.start() as worker:
        ((base, head),) = pairs = list(twins(worker, [Case(n=64, k=4)]))
        assert (base.side, head.side, base.calls) == (0, 1, head.calls)
        assert 0 <= spread(pairs, rounds=2) < float("inf")
        assert denormals(worker.greeting["subnormals"]).word == "ok"


class Reading:
    """A worker whose read takes `each` seconds a call and `every` a byte; a clock that does not wait tells neither."""

    cores = ()

    def __init__(self, each: float, every: float, waits: bool = True) -> None:
        self.each, self.every, self.waits = each, every, waits
        self.n = 0
        self.devices: set[str] = set()

    def ask(self, request: dict[str, Any], _: float) -> dict[str, Any]:
        match request["op"]:
            case "open":
                self.n = request["case"]["n"]
                self.devices.add(request["case"]["device"])
                return {"status": "ok"}
            case "check":
                return {"calls": {"apply": {"wall": 10}}}
            case _:
                seconds = self.each + 4 * self.n * self.every if self.waits else 1e-6 / request["calls"]
                return {"seconds": seconds, "throttling": None}


@pytest.mark.parametrize(
    ("device", "worker", "word"),
    [
        ("cpu", Reading(1e-6, 1e-10), "ok"),
        ("cuda", Reading(5e-6, 3e-13), "ok"),  # 5 us a launch, 3 TB/s
        ("cpu", Reading(1e-6, 0.0), "warn"),
        ("cuda", Reading(5e-6, 1e-14), "warn"),
        ("cuda", Reading(5e-6, 3e-13, waits=False), "warn"),
        ("cuda", Reading(NAN, 3e-13), "unknown"),
        ("cpu", Reading(0.0, 0.0), "unknown"),
    ],
)
def test_time_that_does_not_grow_with_the_work_is_found(device: str, worker: Reading, word: str) -> None:
    finding = growth_of({device: growth(cast(Worker, worker), device)})
    assert worker.devices == {device}
    assert (finding.word, bool(finding.advice)) == (word, word == "warn"), finding
    assert device in finding.found


def test_one_device_whose_time_does_not_grow_is_enough() -> None:
    assert growth_of({"cpu": (2.0, 16.0), "cuda": (1.0, 1.0)}).word == "warn"
    assert growth_of({"cpu": (2.0, 16.0), "cuda": (NAN, 1.0)}).word == "unknown"
    assert growth_of({"cpu": (2.0, 16.0), "cuda": (5.0, 16.0)}).word == "warn"
    assert growth_of({}).word == "unknown"


def test_growth_is_timed_by_a_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selfcheck, "GROWING_N", {"cpu": (64, 1024)})
    with Worker.start() as worker:
        assert all(0 < each < float("inf") for each in growth(worker, "cpu"))


@pytest.mark.parametrize(
    ("facts", "word", "told"),
    [
        ({"accelerator": "A GPU", "throttling": []}, "ok", "A GPU: its clock is not held down"),
        ({"accelerator": "A GPU", "throttling": ["power cap", "heat"]}, "warn", "held down: power cap, heat"),
        ({"accelerator": "A GPU", "throttling": None}, "unknown", "nvidia-ml-py"),
        ({"accelerator": "A GPU"}, "unknown", "nvidia-ml-py"),
        ({"accelerator": "", "throttling": None}, "ok", "no accelerator"),
        ({}, "unknown", "no worker reported it"),
    ],
)
def test_a_clock_that_is_held_down_is_found(facts: dict[str, Any], word: str, told: str) -> None:
    finding = throttling(facts)
    assert finding.word == word
    assert told in finding.found
    assert ("nvidia-smi" in finding.advice) == (word == "warn")


def findings(root: Path, start: Callable[[], Any], **environment: str) -> dict[str, Finding]:
    found = list(examine(root, environment, start))
    assert len({each.name for each in found}) == len(found) == 12
    return {each.name: each for each in found}


def test_the_faults_of_a_worker_reach_its_lines(plant: Plant) -> None:
    facts = {"devices": ["cpu"], "accelerator": "A GPU", "throttling": ["power cap"]}
    worker = Told({"calls": {"forward": {"wall": 1}}, "seconds": 1.0}, threads=10_000, subnormals=False, **facts)
    found = findings(plant({}), lambda: worker, OMP_NUM_THREADS="10000")
    # Every call of this worker takes a second, whatever it reads.
    assert {name for name, each in found.items() if each.word == "warn"} == FROM_A_WORKER - {"aa"}
    assert found["aa"].word == "ok"


def test_without_a_worker_its_checks_are_unknown(plant: Plant) -> None:
    def fail() -> Worker:
        raise UserError("worker: python cannot start one: no torch")

    found = findings(plant({}), fail)
    assert {name for name, each in found.items() if each.word == "unknown"} == FROM_A_WORKER
    assert "cannot start one: no torch" in found["aa"].found


def test_a_worker_that_is_lost_leaves_what_it_had_told(plant: Plant) -> None:
    found = findings(plant({}), lambda: Told(threads=1, subnormals=True, devices=["cpu"], accelerator=""))
    words = {name: found[name].word for name in FROM_A_WORKER}
    assert words == {"threads": "ok", "denormals": "ok", "throttling": "ok", "growth": "unknown", "aa": "unknown"}
    assert "SIGKILL" in found["aa"].found


def test_the_verb_prints_a_line_a_check_and_is_no_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [timer(1e-7), timer(1e-3), timer(NAN), aa(0.3)]
    monkeypatch.setattr(harness.doctor, "examine", lambda: iter(found))
    result = CliRunner().invoke(cli, ["doctor"])
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.splitlines() == [*map(str, found), "4 checks: 1 ok, 2 warn, 1 unknown"]
    assert closing_line([]) == "0 checks: 0 ok, 0 warn, 0 unknown"
    assert CliRunner().invoke(cli, ["doctor", "me"]).exit_code == EXIT_USAGE


def test_the_doctor_leaves_torch_to_the_worker() -> None:
    code = "import sys, harness.doctor; sys.exit(70 if 'torch' in sys.modules else 0)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
