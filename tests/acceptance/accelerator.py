"""An accelerator in six minutes: are its clocks, answers, memory and limits what the harness takes them for?

For whoever has one: the table says by how much each bound was kept, and a folder below results/ holds the runs and this
table, to be sent in. Without an accelerator the same steps are rehearsed, the clocks on a device in simulated time and
the runs on the CPU at small sizes; then nothing is a measurement, and the first line says so.
"""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

import harness
from harness.device.definition import Device
from harness.device.devices import present
from harness.device.gate import DeviceClock
from harness.machine import this_machine, utc_now
from harness.session.process import Worker
from harness.session.request import opening
from harness.tables import Run
from harness.verdicts.ratios import paired_log_ratios
from harness.vocabulary import CLOCKS, DEVICE_CLOCK, HOST, RESULTS
from tests.acceptance.line import Line
from tests.fake_device import FakeDevice, Kernels

GRAPH_SHARE, BETWEEN_KERNELS = 0.05, 1.6e-6
"""How far the device clock may lie above a graph's replay: a share, and the seconds that a stream leaves between two
kernels, where a graph leaves hardly any (1.4 µs on an H200)."""

AA_BOUND = 0.015
GROWS = (3.0, 5.0)
"""Between what four times the work may take, in times; less would be a clock that does not wait."""

CHECK_SECONDS = 0.5
BLOCK_SECONDS = 0.001
BLOCKS = 5
LAUNCH, PER_ELEMENT = 100, 2
"""Nanoseconds of a kernel of the rehearsal, and of each element it reads."""

OPERATIONS: dict[str, Callable[[torch.Tensor], Any]] = {
    "topk": lambda y: y.topk(min(64, y.shape[-1])),
    "exp": torch.exp,
    "amax": lambda y: y.amax(-1),
}

STUDY = """
title = "{title}"
methods = {methods}
phases = ["forward"]

[axes]
device = "{device}"
{axes}
{tables}
"""


@dataclass(frozen=True)
class Bench:
    """What is measured on: an accelerator, or what stands in for one.

    device: in this process. runs_on: the device of whole runs. sizes: of the clock. small: rehearsed at small sizes.
    kernels: how many kernels a call queues. working: inside it, operations of torch are this device's.
    """

    device: Device
    runs_on: str
    sizes: tuple[int, ...]
    small: bool
    kernels: Callable[[Callable[[], Any]], int]
    working: Callable[[], Any]


def measure() -> Iterator[Line]:
    """Every step, and the folder of its runs."""
    bench = _accelerator() or rehearsal()
    kept = []
    for line in _steps(bench):
        kept.append(str(line))
        yield line
    folder = _folder(bench)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "accelerator.txt").write_text("\n".join([*_facts(bench), *kept, ""]), encoding="utf-8")
    yield Line(f"lines kept in {folder}, beside the runs: send the folder in", len(kept), None)


def _steps(bench: Bench) -> Iterator[Line]:
    yield Line("accelerators here" + (": nothing below is a measurement" if bench.small else ""), not bench.small, None)
    yield from against_graph(bench)
    yield from grows_with_work(bench)
    yield from alike(bench)
    yield from right(bench)
    yield from checks(bench)
    yield from out_of_memory(bench)
    yield from repeats(bench)
    yield from throttled(bench)


def against_graph(bench: Bench) -> Iterator[Line]:
    """The device clock beside a graph's replay of the same call, which has no launches inside: worst of all sizes."""
    if bench.device.graph is None:
        return
    for name, operation in OPERATIONS.items():
        over = []
        for n in bench.sizes:
            with bench.working():
                y = torch.randn(n, device=_tensors_on(bench))
                call = functools.partial(operation, y)
                graph = bench.device.graph(functools.partial(_itself, call))
                own, replayed = _device_seconds(bench, call), _device_seconds(bench, graph)
                gaps = max(0, bench.kernels(call) - 1) * BETWEEN_KERNELS
            over.append((own - replayed - gaps) / replayed)
        what = f"{name}: device clock over a graph's replay, less {BETWEEN_KERNELS * 1e6:g} µs between kernels"
        yield Line(f"{what}, the most of {len(over)} sizes to n = {bench.sizes[-1]}", _worst(over), GRAPH_SHARE)


def grows_with_work(bench: Bench) -> Iterator[Line]:
    """Four times the elements by the device clock and by the wall clock."""
    n = bench.sizes[-1]
    with bench.working():
        small, large = (torch.randn(each, device=_tensors_on(bench)) for each in (n // 4, n))
        times = [_device_seconds(bench, functools.partial(torch.exp, y)) for y in (small, large)]
    ratio = times[1] / times[0]
    yield Line(f"exp of n = {n} over n = {n // 4}, device clock", ratio, GROWS[0], at_least=True)
    yield Line("the same", ratio, GROWS[1])


def alike(bench: Bench) -> Iterator[Line]:
    """A/A: the same kernel under two names, by each clock: 95th percentile of |median log ratio| over the cases."""
    axes = 'n = [1024, 65536]\nk = [1, 8, 64]\ndtype = ["float32", "float64"]' if bench.small else (
        'n = [1024, 16384, 65536, 1048576, 16777216]\nk = [1, 8, 64]\ndtype = ["float32", "bfloat16"]'
    )  # fmt: skip
    timing = f"[timing]\nblock_seconds = {BLOCK_SECONDS}\nrounds = {5 if bench.small else 40}\nlaunches = 1"
    methods = '["native", "tests.acceptance.twin:twin"]'
    run = _run(bench, "aa", STUDY.format(title="A/A", methods=methods, device=bench.runs_on, axes=axes, tables=timing))
    for clock in (each for each in CLOCKS if each in set(run.timings["clock"])):
        pairs = paired_log_ratios(run.timings[run.timings["clock"] == clock])
        twins = pairs[pairs["method"].str.contains("twin")].groupby("case")["log_ratio"].median().abs()
        bound = AA_BOUND if clock == DEVICE_CLOCK else None
        yield Line(
            f"A/A by the clock {clock}, 95th percentile of {len(twins)} cases", float(twins.quantile(0.95)), bound
        )
    if not bench.small:
        without = 1 - run.timings.query("clock == @DEVICE_CLOCK")["case"].nunique() / run.cells["case"].nunique()
        yield Line("share of its cases without a device time", without, 0.0)


def right(bench: Bench) -> Iterator[Line]:
    """Every method of the study smoke in every dtype: what crashed or is incorrect."""
    only = [f"device={bench.runs_on}", *(["n=64", "dtype=float32,bfloat16"] if bench.small else [])]
    run = harness.run(harness.load_study("studies/smoke.toml", only), _folder(bench), say=lambda _: None)
    wrong = int(run.cells["status"].isin(("crashed", "incorrect", "timeout")).sum())
    yield Line(f"smoke: of {len(run.cells)} cells crashed, incorrect or timed out", wrong, 0)
    unexplained = run.discrepancies.query("metric == 'cause_unexplained'")["value"].sum(skipna=False, min_count=1)
    yield Line("smoke: entries that differ without a cause", unexplained, 0)
    yield Line("smoke: seconds of all its cells", float(run.cells["wall_seconds"].sum()), None)


def checks(bench: Bench) -> Iterator[Line]:
    """Seconds of holding a method to what is right before it is timed, at a size for an accelerator."""
    rows, n, k, d = (4, 1024, 8, 8) if bench.small else (256, 65536, 64, 256)
    case = harness.Case(dtype="bfloat16", device=bench.runs_on, rows=rows, n=n, k=k, d=d)
    with Worker.start() as worker:
        begin = time.monotonic()
        opened = worker.ask(opening(case, loss="square"), 300)
        yield Line(f"opening bfloat16 {case.rows} x {case.n}, d = {case.d} (s)", time.monotonic() - begin, None)
        for name in ("native", "gather"):
            begin = time.monotonic()
            reply = worker.ask({"op": "check", "method": name, "measure": []}, 300) if opened["status"] == "ok" else {}
            seconds = time.monotonic() - begin if reply.get("status") == "ok" else math.nan
            yield Line(f"checking {name} there (s)", seconds, CHECK_SECONDS)


def out_of_memory(bench: Bench) -> Iterator[Line]:
    """A method that asks for more memory than there is: a row of its own, and the others are measured all the same."""
    methods = '["native", "tests.planted.methods:allocates_too_much"]'
    text = STUDY.format(title="Memory", methods=methods, device=bench.runs_on, axes="n = 4096\nk = 8", tables="")
    run = _run(bench, "memory", text)
    status = run.cells.set_index("method")["status"]
    yield Line("out of memory: rows that say so", int((status == "out_of_memory").sum()), 1, at_least=True)
    yield Line("out of memory: native is ok beside it", int(status["native"] == "ok"), 1, at_least=True)


def repeats(bench: Bench) -> Iterator[Line]:
    """The share of the entries that have the same bits when a call is repeated: the least of any tensor and case.

    Of the deterministic mode the bound is all of them; otherwise a device may add in any order, so that it is told.
    """
    only = [f"device={bench.runs_on}", *(["n=64", "dtype=float32"] if bench.small else ["dtype=bfloat16,float32"])]
    run = harness.run(harness.load_study("studies/repeats.toml", only), _folder(bench), say=lambda _: None)
    rows = run.discrepancies[run.discrepancies["metric"] == "repeat_equal_share"]
    for mode, bound in (("ieee", None), ("deterministic", 1.0)):
        least = rows[rows["mode"] == mode].groupby("method")["value"].agg(lambda values: values.min(skipna=False))
        told = f"{mode}: least share of native's entries that have the same bits again"
        yield Line(told, float(least.get("native", math.nan)), bound, at_least=True)
        yield Line(f"{mode}: the same of all {len(least)} methods", float(least.min()), None)


def throttled(bench: Bench) -> Iterator[Line]:
    """Reasons for which the clock of the device is held down at the end of all this."""
    reasons = bench.device.throttling()
    told = "cannot be known here" if reasons is None else ", ".join(reasons) or "none"
    yield Line(f"reasons of throttling: {told}", math.nan if reasons is None else len(reasons), None)


def _accelerator() -> Bench | None:
    device = present()[-1]
    if device.type == HOST:
        return None
    sizes = tuple(2**each for each in range(10, 27, 2))
    return Bench(device, device.type, sizes, False, functools.partial(_profiled, device), _as_it_is)


def rehearsal() -> Bench:
    fake = FakeDevice()

    def kernels(call: Callable[[], Any]) -> int:
        before = fake.launched
        call()
        return fake.launched - before

    return Bench(fake.device(), HOST, (1 << 10, 1 << 12), True, kernels, lambda: Kernels(fake, LAUNCH, PER_ELEMENT))


def _itself(call: Callable[[], Any]) -> Callable[[], Any]:
    return call


@contextmanager
def _as_it_is() -> Iterator[None]:
    yield


def _device_seconds(bench: Bench, call: Callable[[], Any]) -> float:
    """The median of a few blocks by the device clock; NaN where there is none."""
    device = bench.device
    if device.sleep is None or device.event is None:
        return math.nan
    clock = DeviceClock(device.synchronize, device.sleep, device.event, device.counter, device.pause)
    call()
    gated = clock.calibrate(call, BLOCK_SECONDS)
    if isinstance(gated, str):
        return math.nan
    return float(np.median([clock.block([call] * gated.calls, gated.gate)[0] for _ in range(BLOCKS)]))


def _profiled(device: Device, call: Callable[[], Any]) -> int:
    """Kernels that a call queues, by torch's profiler: which may miss the first of a session."""
    activity = getattr(torch.profiler.ProfilerActivity, device.type.upper())
    call()
    with torch.profiler.profile(activities=[activity]) as profile:
        for _ in range(3):
            call()
        device.synchronize()
    # Kernels are told apart from what the host did by where they ran, and copies and fills by their names.
    events = [each for each in profile.events() if each.device_type.name != "CPU" and "Mem" not in each.name]
    return math.ceil(len(events) / 3)


def _run(bench: Bench, name: str, text: str) -> Run:
    folder = _folder(bench)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.toml"
    path.write_text(text, encoding="utf-8")
    return harness.run(harness.load_study(path), folder, say=lambda _: None)


@functools.cache
def _begun() -> str:
    return utc_now().strftime("%Y%m%dT%H%M%SZ")


def _folder(bench: Bench) -> Path:
    """Where what can be sent in lies: below results/, which git ignores there."""
    return Path(RESULTS) / this_machine(bench.device.name()).slug / "acceptance" / _begun()


def _facts(bench: Bench) -> list[str]:
    return [f"{bench.device.name()}, torch {torch.__version__}, {bench.device.type}", "rehearsed" * bench.small]


def _tensors_on(bench: Bench) -> str:
    return HOST if bench.small else bench.device.type


def _worst(values: list[float]) -> float:
    return max(values, key=lambda each: (math.isnan(each), each))
