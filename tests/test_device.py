"""What a device is asked: a cold cache, throttling, memory, float64; and that no other room names one.

Fakes stand in for an accelerator; the names that torch and NVML have are held to what is installed here where they can
be.
"""

from __future__ import annotations

import ast
import json
import math
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast, get_args

import pytest
import torch

import harness
from harness.device import accelerator, cpu, cuda
from harness.device.cache import TIMES_THE_CACHE, UNKNOWN_CACHE_BYTES, flusher
from harness.device.cuda import REASONS, asker, throttling
from harness.device.devices import DEVICES, device_of, present
from harness.device.gate import DeviceTimeout
from harness.device.heap import Heap
from harness.planning.loading import plan_of
from harness.session.case import CaseRunner
from harness.session.place import Measure
from harness.session.process import Worker
from harness.session.side import Side
from harness.session.sweep import Sweep
from harness.session.turn import rows_of
from harness.study.cells import Case, Cell
from harness.study.definition import Study
from harness.vocabulary import Device
from harness.worker import serve as worker
from harness.worker.open_case import OpenCase
from tests import fake_worker
from tests.asking import opening

WriteStudy = Callable[[str], Study]

MIB = 2**20
ROOT = Path(__file__).parent.parent


# A cold cache


@pytest.mark.parametrize(
    ("told", "size"),
    [
        (
            [("Data", "1", "32K"), ("Instruction", "1", "32K"), ("Unified", "2", "1024K"), ("Unified", "3", "32768K")],
            32,
        ),
        ([("Unified", "2", "2M")], 2),
        ([("Unified", "3", "1G"), ("Unified", "2", "1M")], 1024),
        ([("Unified", "10", "3M"), ("Unified", "9", "4M")], 3),
        ([("Data", "1", "1M"), ("Instruction", "2", "8M")], 1),
        ([("Unified", "3", "a lot"), ("Unified", "2", "1M")], 1),
        ([("Unified", "3", "")], UNKNOWN_CACHE_BYTES // MIB),
        ([], UNKNOWN_CACHE_BYTES // MIB),
    ],
)
def test_the_last_level_cache_is_read(tmp_path: Path, told: list[tuple[str, str, str]], size: int) -> None:
    for number, words in enumerate(told):
        folder = tmp_path / f"index{number}"
        folder.mkdir()
        for name, word in zip(("type", "level", "size"), words, strict=True):
            (folder / name).write_text(word + "\n")
    assert cpu.cache_bytes(tmp_path) == size * MIB


@pytest.mark.parametrize(("l2", "size"), [(50 * MIB, 50 * MIB), (0, UNKNOWN_CACHE_BYTES)])
def test_the_l2_of_an_accelerator_is_asked_for(monkeypatch: pytest.MonkeyPatch, l2: int, size: int) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda: SimpleNamespace(L2_cache_size=l2))
    assert device_of("cuda").cache_bytes() == size
    assert accelerator.accelerator("another").cache_bytes() == UNKNOWN_CACHE_BYTES


def test_a_flush_writes_twice_what_the_cache_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[torch.Tensor] = []
    zeros = torch.zeros

    def remembered(*arguments: Any, **options: Any) -> torch.Tensor:
        made.append(zeros(*arguments, **options))
        return made[-1]

    monkeypatch.setattr(torch, "zeros", remembered)
    flush = flusher("cpu", 1000)
    assert made[0].nbytes == TIMES_THE_CACHE * 1000 == 2000
    flush()
    assert bool((made[0] == 1).all())
    assert len(made) == 1


class Log:
    """What a fake clock and fake methods did, in order."""

    def __init__(self) -> None:
        self.words: list[str] = []

    def block(self, call: Callable[[], Any], calls: int, kept: list[Any]) -> float:
        self.words.append(f"clock {calls}")
        return 1.0


@pytest.fixture
def small_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(DEVICES, "cpu", replace(cpu.CPU, cache_bytes=lambda: 4096))


@pytest.mark.usefixtures("small_cache")
@pytest.mark.parametrize("state", ["cold", "warm", None])
def test_a_cold_block_is_one_call_after_a_flush_and_a_warm_one_has_none(
    state: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = OpenCase(opening(Case(n=64, k=4, parameters=(("cache", state),) if state else ())))
    calls = {phase: own["wall"] for phase, own in case.check("native", measure=())["calls"].items()}
    log = Log()
    while not case.blocks.checked["native", "forward"].has_followed:
        case.time("native", "forward", 1)
    prepared = case.blocks.prepared["native", "forward"]
    monkeypatch.setattr(case.blocks.checked["native", "forward"], "wrong", lambda result: "")
    case.blocks.prepared["native", "forward"] = type(prepared)(
        prepared.reads, lambda *_: lambda: log.words.append("call")
    )
    object.__setattr__(case.blocks, "clock", log)
    if case.blocks.flush is not None:
        case.blocks.flush = lambda: log.words.append("flush")
    assert case.time("native", "forward", calls["forward"]) == 1.0
    if state == "cold":
        assert set(calls.values()) == {1}
        assert log.words == ["call", "flush", "clock 1"]
    else:
        assert calls["forward"] > 1
        assert log.words == ["call", f"clock {calls['forward']}"]


COLD = """
title = "Cold"
methods = ["native", "gather"]
phases = ["forward"]
[axes]
n = 256
k = 4
[parameters]
cache = ["warm", "cold"]
[timing]
block_seconds = 0.002
rounds = 2
launches = 1
"""


def test_a_study_tells_cold_from_warm(write_study: WriteStudy, tmp_path: Path) -> None:
    run = harness.run(write_study(COLD), tmp_path, say=lambda _: None)
    assert set(run.cells["status"]) == {"ok"}
    assert set(run.cells["cache"]) == {"warm", "cold"}
    cold = run.timings["cache"] == "cold"
    assert set(run.timings.loc[cold, "calls"]) == {1}
    assert set(run.timings.loc[cold, "method"]) == {"native", "gather", "copy", "read"}
    assert run.timings.loc[~cold, "calls"].min() > 1
    assert run.info["torch"]["cache_bytes"]["cpu"] == cpu.cache_bytes()


# The clock held down


@pytest.mark.parametrize(
    ("mask", "words"),
    [
        (None, None),
        (0x0, []),
        (0x1 | 0x2 | 0x100, []),  # idle, or at the clock that its owner chose
        (0x4, ["power cap"]),
        (0x8 | 0x40 | 0x1, ["hardware slowdown", "heat (hardware)"]),
    ],
)
def test_reasons_of_throttling_are_told_in_words(mask: int | None, words: list[str] | None) -> None:
    assert throttling(mask) == words


class FakeNvml:
    """pynvml, as far as it is asked."""

    def __init__(self, mask: int | Exception) -> None:
        self.mask, self.asked = mask, ""

    def nvmlInit(self) -> None:  # noqa: N802
        pass

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> str:  # noqa: N802
        self.asked = uuid
        return "handle"

    def nvmlDeviceGetCurrentClocksEventReasons(self, handle: str) -> int:  # noqa: N802
        assert handle == "handle"
        if isinstance(self.mask, Exception):
            raise self.mask
        return self.mask


@pytest.fixture
def asked_anew(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda: SimpleNamespace(uuid="1-2-3"))
    asker.cache_clear()
    yield
    asker.cache_clear()


@pytest.mark.usefixtures("asked_anew")
@pytest.mark.parametrize(
    ("mask", "words"), [(0x20, ["heat (software)"]), (0, []), (RuntimeError("Not Supported"), None)]
)
def test_nvml_is_asked_for_this_very_device(
    monkeypatch: pytest.MonkeyPatch, mask: int | Exception, words: list[str] | None
) -> None:
    nvml = FakeNvml(mask)
    monkeypatch.setitem(sys.modules, "pynvml", cast(Any, nvml))
    assert cuda.CUDA.throttling() == words
    assert nvml.asked == "GPU-1-2-3"


@pytest.mark.usefixtures("asked_anew")
@pytest.mark.parametrize("found", [None, SimpleNamespace()], ids=["no package", "an old package"])
def test_without_nvml_it_is_not_known(monkeypatch: pytest.MonkeyPatch, found: Any) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", found)
    assert cuda.CUDA.throttling() is None
    assert cpu.CPU.throttling() is None


NVML_H = {
    "GpuIdle": 0x1,
    "ApplicationsClocksSetting": 0x2,
    "SwPowerCap": 0x4,
    "HwSlowdown": 0x8,
    "SyncBoost": 0x10,
    "SwThermalSlowdown": 0x20,
    "HwThermalSlowdown": 0x40,
    "HwPowerBrakeSlowdown": 0x80,
    "DisplayClockSetting": 0x100,
    "BoardLimit": 0x200,
    "Reliability": 0x400,
}
IDLE_OR_CHOSEN = {"GpuIdle", "ApplicationsClocksSetting", "UserDefinedClocks", "DisplayClockSetting", "None", "All"}
PREFIX = re.compile("^nvmlClocks(Event|Throttle)Reason(?=[A-Z])")


@pytest.mark.parametrize("of", ["nvml.h", "nvidia-ml-py"])
def test_the_bits_are_those_of_nvml(of: str) -> None:
    header = {f"nvmlClocksEventReason{name}": bit for name, bit in NVML_H.items()}
    nvml = header if of == "nvml.h" else vars(pytest.importorskip("pynvml"))
    told = {PREFIX.sub("", name): REASONS.get(bit) for name, bit in nvml.items() if PREFIX.match(name)}
    assert {name for name, word in told.items() if word is None} <= IDLE_OR_CHOSEN
    words = [told[name] for name in ("SwPowerCap", "HwSlowdown", "SwThermalSlowdown", "HwThermalSlowdown")]
    assert words == ["power cap", "hardware slowdown", "heat (software)", "heat (hardware)"]


# Memory


class FakeAllocator:
    """torch.accelerator's statistics; a call allocates for a moment."""

    def __init__(self, held: int) -> None:
        self.now = self.peak = held
        self.waited = 0

    def synchronize(self) -> None:
        self.waited += 1

    def memory_allocated(self) -> int:
        return self.now

    def max_memory_allocated(self) -> int:
        return self.peak

    def reset_peak_memory_stats(self) -> None:
        self.peak = self.now

    def needs(self, scratch: int, output: int) -> Callable[[], None]:
        def call() -> None:
            self.now += output
            self.peak = max(self.peak, self.now + scratch)

        return call


def test_the_peak_of_an_accelerator_is_its_allocators(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeAllocator(held=1000)
    fake.needs(9000, 0)()  # a peak from before is not its own
    for name in ("synchronize", "memory_allocated", "max_memory_allocated", "reset_peak_memory_stats"):
        assert callable(getattr(torch.accelerator, name))
        monkeypatch.setattr(torch.accelerator, name, getattr(fake, name))
    assert device_of("cuda").peak_bytes(fake.needs(300, 50)) == 350
    assert fake.waited == 2


@pytest.mark.parametrize("without", ["reset_peak_memory_stats", "memory_allocated", "max_memory_allocated"])
def test_memory_without_statistics_is_unknown_and_the_call_is_made(
    monkeypatch: pytest.MonkeyPatch, without: str
) -> None:
    fake = FakeAllocator(held=1000)

    def refuses() -> int:
        raise RuntimeError("Allocator for mps is not a DeviceAllocator.")

    for name in ("synchronize", "memory_allocated", "max_memory_allocated", "reset_peak_memory_stats"):
        monkeypatch.setattr(torch.accelerator, name, refuses if name == without else getattr(fake, name))
    assert math.isnan(device_of("cuda").peak_bytes(fake.needs(300, 50)))
    assert fake.now == 1050
    monkeypatch.delattr(torch.accelerator, "get_memory_info")  # torch before 2.10
    assert math.isnan(accelerator.free_bytes())


def test_what_a_call_raises_is_not_taken_for_a_lack_of_statistics(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeAllocator(held=1000)
    for name in ("synchronize", "memory_allocated", "max_memory_allocated", "reset_peak_memory_stats"):
        monkeypatch.setattr(torch.accelerator, name, getattr(fake, name))

    def exhausts() -> None:
        raise torch.OutOfMemoryError("CUDA out of memory.")

    with pytest.raises(torch.OutOfMemoryError):
        device_of("cuda").peak_bytes(exhausts)


def test_free_memory_counts_what_the_allocator_keeps_for_later(monkeypatch: pytest.MonkeyPatch) -> None:
    said = {"memory_reserved": 700, "memory_allocated": 300, "get_memory_info": (5000, 9000)}
    for name, value in said.items():
        assert callable(getattr(torch.accelerator, name))
        monkeypatch.setattr(torch.accelerator, name, lambda value=value: value)
    assert accelerator.free_bytes() == 5400


# float64


@pytest.mark.parametrize("error", [TypeError("MPS does not support float64"), NotImplementedError("not implemented")])
def test_a_device_without_float64_is_found(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def zeros(*_: Any, dtype: torch.dtype, device: str) -> torch.Tensor:
        assert (dtype, device) == (torch.float64, "mps")
        raise error

    monkeypatch.setattr(torch, "zeros", zeros)
    assert not accelerator.accelerator("mps").has_float64()
    assert device_of("cpu").has_float64()
    assert device_of("cuda").has_float64()


def test_a_device_with_float64_is_found() -> None:
    assert accelerator.accelerator("cpu").has_float64()


def test_lack_of_memory_is_no_lack_of_float64(monkeypatch: pytest.MonkeyPatch) -> None:
    def zeros(*_: Any, **__: Any) -> torch.Tensor:
        raise torch.OutOfMemoryError("out of memory")

    monkeypatch.setattr(torch, "zeros", zeros)
    with pytest.raises(torch.OutOfMemoryError):
        accelerator.accelerator("mps").has_float64()


# Which devices there are


@pytest.mark.parametrize(
    ("found", "types"),
    [(None, ["cpu"]), (torch.device("cuda"), ["cpu", "cuda"]), (torch.device("xpu"), ["cpu", "xpu"])],
)
def test_the_devices_of_a_machine_are_its_cpu_and_what_torch_finds(
    monkeypatch: pytest.MonkeyPatch, found: torch.device | None, types: list[str]
) -> None:
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda check_available: found)
    assert [each.type for each in present()] == types


def test_a_device_without_a_file_does_what_torch_accelerator_does() -> None:
    mtia = device_of("mtia")
    assert mtia is device_of("mtia")
    assert mtia.name() == "mtia"
    assert mtia.synchronize is torch.accelerator.synchronize
    assert mtia.throttling() is None
    mtia.set_arithmetic("ieee")
    with pytest.raises(NotImplementedError, match="mtia has no tf32 arithmetic"):
        mtia.set_arithmetic("tf32")


# No other room names a device

DEVICE_WORDS = {*get_args(Device), "xpu", "mps", "hip", "hpu", "mtia", "meta"}
OF_A_DEVICE = ("torch.cuda", "torch.xpu", "torch.mps", "torch.accelerator", "torch.backends")

NAMED = {
    *(f"harness/vocabulary.py: {word!r}" for word in get_args(Device)),  # the words that a study may use
    "harness/export/benchmark.py: 'cpu'",  # the fact of a machine that has this name
    "harness/page/provenance.py: 'cpu'",
    "harness/doctor/system.py: 'cpu'",  # part of the name of a file of Linux
    "harness/methods/sparse.py: 'cpu'",  # an operation that torch has there in fewer dtypes
    "harness/methods/blockmax.py: 'cpu'",  # whose tables are its own, since the file is taken away alone
    "harness/methods/blockmax.py: 'cuda'",
    "harness/methods/kernels/blockmax.py: 'cpu'",  # which stands alone: where it is interpreted, and where y is
    "harness/methods/kernels/blockmax.py: torch.accelerator.current_accelerator",
    "harness/methods/kernels/blockmax.py: torch.accelerator.device_index",
    "harness/worker/serve.py: torch.backends.cpu.get_cpu_capability",  # a fact of the build, told beside it
    "studies/exceptions.py: 'cpu'",  # a demonstration on a CPU
}
"""Every place outside harness/device that names a device, or asks torch about one; the docstrings apart."""


def names_of_devices(place: str, source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and node.value in DEVICE_WORDS:
            yield f"{place}: {node.value!r}"
        elif isinstance(node, ast.Attribute):
            whole = ast.unparse(node)
            if whole.startswith(OF_A_DEVICE) or node.attr in ("is_cuda", "is_mps", "is_xpu"):
                yield f"{place}: {whole}"


def test_no_other_room_names_a_device() -> None:
    rooms = [path for room in ("harness", "studies") for path in (ROOT / room).rglob("*.py")]
    outside = [path for path in rooms if path.parent != ROOT / "harness" / "device"]
    found = {
        each for path in outside for each in names_of_devices(str(path.relative_to(ROOT)), path.read_text("utf-8"))
    }
    longest = {each for each in found if not any(other != each and other.startswith(each) for other in found)}
    assert longest == NAMED


@pytest.mark.parametrize(
    "source",
    [
        "if case.device != 'cpu': pass",
        "x.to('cuda')",
        "torch.accelerator.synchronize()",
        "torch.cuda._sleep(1)",
        "torch.backends.mkldnn.enabled",
        "y.is_cuda",
        "DEVICES = ('mps',)",
    ],
)
def test_a_name_of_a_device_is_found(source: str) -> None:
    assert list(names_of_devices("here", source))
    assert not list(names_of_devices("here", "x.cpu(); case.device; f('device'); run.query('cpu or cuda')"))


# The heap


def test_the_heap_of_a_device_is_churned_there() -> None:
    heap = Heap(0, "meta")
    (copied,) = heap.fresh((torch.empty(8, device="meta"),))
    small = [each for each in heap._small if each is not None]
    assert small
    assert {each.device.type for each in (copied, *small)} == {"meta"}


# Out of memory


class FakeWorker:
    """A worker whose method `large` runs out of memory, when it is checked, timed, or as the case is opened."""

    cores = ()

    def __init__(self, out_at: str, throttled: list[str] | None = None) -> None:
        self.out_at, self.throttled = out_at, throttled
        self.asked: list[tuple[str, str]] = []
        self.stopped = False
        self.greeting = {"devices": ["cpu"]}

    def greet(self) -> FakeWorker:
        return self

    def stop(self) -> None:
        self.stopped = True

    def ask(self, request: dict[str, Any], seconds: float) -> dict[str, Any]:
        assert not self.stopped
        name = request.get("method", "")
        self.asked.append((request["op"], name))
        if request["op"] == self.out_at and name in ("large", ""):
            return {"status": "out_of_memory", "reason": "CUDA out of memory."}
        if request["op"] == "time":
            return {"seconds": 1e-3, "throttling": self.throttled}
        return {
            "status": "ok",
            "reason": "",
            "calls": {"forward": {"wall": 1}},
            "memory": [["forward", 8, 0.0]],
            "figures": [],
        }


STUDY = """
title = "Out"
methods = ["native"]
phases = ["forward"]
[axes]
n = 64
k = 4
[timing]
rounds = 2
launches = 1
"""


def measured(study: Study, out_at: str, **options: Any) -> tuple[list[FakeWorker], Any]:
    """The workers that were used, and the result of a case of native, large and gather."""
    used: list[FakeWorker] = []

    def spawn() -> Worker:
        used.append(FakeWorker(out_at, **options))
        return cast(Worker, used[-1])

    case = Case(n=64, k=4)
    cells = [Cell(case, name, 8) for name in ("native", "large", "gather")]
    with CaseRunner(study, [Side(spawn)]) as runner:
        (result,) = runner.run(case, [cells], 0, 1e9, measure=["errors"])
    return used, result


@pytest.mark.parametrize(("out_at", "reason"), [("check", ""), ("time", "forward: ")])
def test_out_of_memory_is_a_row_after_which_the_worker_is_fresh(
    write_study: WriteStudy, out_at: str, reason: str
) -> None:
    used, result = measured(write_study(STUDY), out_at)
    became = {each.cell.method: (each.status, each.full_reason()) for each in result.cells}
    assert became["large"] == ("out_of_memory", f"{reason}CUDA out of memory.")
    assert became["native"] == became["gather"] == ("ok", "")
    first, second = used
    assert first.stopped
    assert ("check", "large") in first.asked
    assert second.asked[:3] == [("open", ""), ("check", "native"), ("check", "gather")]
    assert {block.arm.method for block in result.blocks} == {"native", "gather"}
    assert len(result.blocks) == 2 * 2
    assert [each.memory for each in result.cells] == [[["forward", 8, 0.0]], [], [["forward", 8, 0.0]]]


def test_a_case_that_cannot_be_opened_for_lack_of_memory_is_out_of_memory(write_study: WriteStudy) -> None:
    used, result = measured(write_study(STUDY), "open")
    assert {(each.status, each.reason) for each in result.cells} == {("out_of_memory", "CUDA out of memory.")}
    assert [each.stopped for each in used] == [True]
    assert result.blocks == []


EXHAUSTING = """
title = "Exhausting"
methods = ["native", "tests.acceptance.faults:exhausts"]
phases = ["forward"]
[axes]
n = [16, 32, 64]
k = 4
[timing]
block_seconds = 0.00001
rounds = 2
launches = 2
"""


def test_after_out_of_memory_larger_cells_of_the_method_are_skipped(write_study: WriteStudy, tmp_path: Path) -> None:
    """exhausts raises torch.OutOfMemoryError from n = 32 on."""
    study = write_study(EXHAUSTING)
    run = harness.run(study, tmp_path, say=lambda _: None)
    cells = run.cells
    assert set(cells.query("method == 'native'")["status"]) == {"ok"}
    found = cells[cells["method"].str.contains("exhausts")].set_index(["launch", "n"])["status"].to_dict()
    assert [found[1, n] for n in (16, 32, 64)] == ["ok", "out_of_memory", "skipped"]
    assert [found[2, n] for n in (16, 32, 64)] == ["ok", "skipped", "skipped"]
    assert cells.query("status == 'skipped'")["reason"].str.contains("bytes were out of memory").all()
    (short,) = cells.query("status == 'out_of_memory'").to_dict("records")
    resumed = Sweep(plan_of(study), cast(Measure, None), set(), run)
    assert resumed.exhausted == {("cpu", short["method"]): short["predicted_bytes"]}


# What a device that fails to tell a time costs


def answering(of_device: dict[str, Any]) -> Callable[[dict[str, Any]], dict[str, Any] | None]:
    """Two clocks, and this answer to every block of gather by that of the device."""

    def answer(request: dict[str, Any]) -> dict[str, Any] | None:
        if request["op"] == "check":
            found = {"calls": {"forward": {"wall": 1, "device": 3}}, "memory": [], "figures": []}
            return {"status": "ok", "reason": ""} | found
        if request["op"] == "time" and request["clock"] == "device" and request["method"] == "gather":
            return of_device
        return None

    return answer


def run_with(study: Study, of_device: dict[str, Any]) -> tuple[list[fake_worker.FakeWorker], Any]:
    used: list[fake_worker.FakeWorker] = []

    def spawn() -> Worker:
        used.append(fake_worker.FakeWorker(answering(of_device)))
        return cast(Worker, used[-1])

    case = Case(n=64, k=4)
    with CaseRunner(study, [Side(spawn)]) as runner:
        (result,) = runner.run(case, [[Cell(case, name, 8) for name in ("native", "gather")]], 0, 1e9, measure=[])
    return used, result


def test_a_void_block_is_no_row_and_is_told_beside_an_ok(write_study: WriteStudy) -> None:
    void = {"seconds": math.nan, "void": "the queue ran dry", "throttling": None}
    _, result = run_with(write_study(STUDY), void)
    native, gather = result.cells
    assert (native.status, native.full_reason()) == ("ok", "")
    assert (gather.status, gather.full_reason()) == ("ok", "forward: 2 blocks without device time: the queue ran dry")
    assert Counter((block.arm.method, block.arm.clock, block.arm.calls) for block in result.blocks) == {
        ("native", "wall", 1): 2,
        ("native", "device", 3): 2,
        ("gather", "wall", 1): 2,
    }
    rows = rows_of(Case(n=64, k=4), Case(n=64, k=4).id, 1, "here", result)["timings"]
    assert {(row["method"], row["clock"]) for row in rows} == {
        (block.arm.method, block.arm.clock) for block in result.blocks
    }


def test_both_sides_have_as_many_calls_in_a_block(write_study: WriteStudy) -> None:
    """The more of both by the wall clock, and by the device clock the fewer, which surely fit into the queue."""

    def spawn(**calls: int) -> Callable[[], Worker]:
        found = {"calls": {"forward": calls}, "memory": [], "figures": []}

        def answer(request: dict[str, Any]) -> dict[str, Any] | None:
            return {"status": "ok", "reason": ""} | found if request["op"] == "check" else None

        return lambda: cast(Worker, fake_worker.FakeWorker(answer))

    case, cells = Case(n=64, k=4), [Cell(Case(n=64, k=4), "native", 8)]
    with CaseRunner(write_study(STUDY), [Side(spawn(wall=1, device=5)), Side(spawn(wall=4, device=3))]) as runner:
        results = runner.run(case, [cells, cells], 0, 1e9, measure=[])
    for result in results:
        assert {(block.arm.clock, block.arm.calls) for block in result.blocks} == {("wall", 4), ("device", 3)}


def test_an_event_that_never_fires_is_a_timeout_of_its_method_alone(write_study: WriteStudy) -> None:
    reason = "the device has not passed an event 30 s after it was queued"
    used, result = run_with(write_study(STUDY), {"status": "timeout", "reason": reason})
    native, gather = result.cells
    assert (native.status, gather.status, gather.reason) == ("ok", "timeout", f"forward: {reason}")
    assert used[0].stopped
    assert {block.arm.method for block in result.blocks} == {"native"}


def test_a_worker_says_so_without_asking_the_device_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: Any) -> None:
        raise DeviceTimeout("the device has not passed an event")

    def hangs() -> bool:
        raise AssertionError("a synchronise would hang")

    monkeypatch.setattr(worker, "OpenCase", never)
    monkeypatch.setitem(DEVICES, "cpu", replace(cpu.CPU, is_unusable=hangs))
    for name in ("set_mode", "forget", "_set_threads"):
        monkeypatch.setattr(worker, name, lambda *_: None)
    replies = StringIO()
    worker.serve(StringIO(json.dumps(opening(Case(n=4, k=1))) + "\n"), replies)
    assert json.loads(replies.getvalue().splitlines()[1]) == {
        "status": "timeout",
        "reason": "the device has not passed an event",
    }


# What comes of it in the tables


def test_a_throttled_clock_is_told_beside_an_ok(write_study: WriteStudy) -> None:
    _, result = measured(write_study(STUDY), "never", throttled=["power cap", "heat (software)"])
    assert {(each.status, each.full_reason()) for each in result.cells} == {
        ("ok", "the device's clock was throttled: heat (software), power cap")
    }
    rows = rows_of(Case(n=64, k=4), Case(n=64, k=4).id, 1, "here", result)
    assert {row["reason"] for row in rows["cells"]} == {result.cells[0].full_reason()}
    unsaid: tuple[list[str] | None, ...] = (None, [])
    for said in unsaid:
        _, result = measured(write_study(STUDY), "never", throttled=said)
        assert {each.full_reason() for each in result.cells} == {""}
