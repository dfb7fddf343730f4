"""The worker process: it opens a case, checks its methods, times one block per request, and closes the case.

It speaks JSON lines: one request per line on standard input, one reply per line on standard output. Its first line is a
greeting with its protocol and its torch. It needs torch, numpy and the standard library only, and ends when its input
ends.
"""

from __future__ import annotations

import json
import math
import os
import re
import sys
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TextIO

import numpy
import torch

from harness.device.arithmetic import PRODUCT_MODES
from harness.device.compiler import forget
from harness.device.devices import device_of, present
from harness.device.gate import EARLY, DeviceTimeout
from harness.methods import registered
from harness.state.watch import Watch
from harness.topk.modes import AUTOCAST, keeps_subnormals, set_mode
from harness.topk.problems import Draws
from harness.vocabulary import HOST, WALL
from harness.worker.failures import Unusable, failure, one_line
from harness.worker.open_case import OpenCase
from harness.worker.packages import locate
from harness.worker.protocol import PROTOCOL, end_with_parent

PER_THREAD = 1 << 15
"""Elements that torch gives each thread at least (at::internal::GRAIN_SIZE in its source)."""


def greeting() -> dict[str, Any]:
    """The protocol, and facts about this interpreter, its torch and its devices."""
    devices = present()
    return {
        "protocol": PROTOCOL,
        "home": str(Path(__file__).parents[2]),
        "python": sys.version.split()[0],
        "torch": torch.__version__,
        "numpy": numpy.__version__,
        "devices": [device.type for device in devices],
        "methods": sorted(registered()),
        "accelerator": devices[-1].name(),
        "cache_bytes": {device.type: device.cache_bytes() for device in devices},
        "throttling": devices[-1].throttling(),
        "switches": PRODUCT_MODES,
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
        "subnormals": keeps_subnormals(),
        "build": re.sub(r"(?<==)/\S*/", "", torch.__config__.show()),  # without the folder of the compiler
    }


def serve(requests: TextIO, replies: TextIO) -> None:
    """Reply to requests until there are no more. Raises Unusable if the device has failed for good."""

    def reply(message: Mapping[str, Any]) -> None:
        replies.write(json.dumps(message) + "\n")
        replies.flush()

    with Watch(HOST).putting_back():  # the modules of registered methods may change global state when imported
        first = greeting()
    reply(first)
    case: OpenCase | None = None
    draws, device, autocast = Draws(), HOST, False
    for line in requests:
        request = json.loads(line)
        try:
            match request["op"]:
                case "open":
                    case, device = None, request["case"]["device"]  # frees the tensors of the case before
                    autocast = request["case"]["mode"].startswith(AUTOCAST)
                    case = _opened(request, draws)
                    reply({"status": "ok"})
                case "check" if case is not None:
                    spare = request.get("spare_bytes", math.inf)
                    reply(case.check(request["method"], request["measure"], spare, request.get("calls", {})))
                case "time" if case is not None:
                    reply(_timed(case, request))
                case "locate":
                    with Watch(HOST).putting_back():
                        reply({"status": "ok", **locate(request["methods"])})
                case "close" if case is not None:
                    case.watch.settle()
                    reply({"status": "ok"})
                case other:
                    reply({"status": "crashed", "reason": f"the worker cannot '{other}' now"})
        except DeviceTimeout as error:  # not asked whether it is usable: the question would wait for the device too
            reply({"status": "timeout", "reason": str(error)})
        except Exception as error:  # whatever a method raises becomes a row; the worker goes on
            if device_of(device).is_unusable():
                raise Unusable(one_line(error)) from error
            reply(failure(error, autocast))


def _opened(request: Mapping[str, Any], draws: Draws) -> OpenCase:
    """The case of a request, with the process set up for its threads and mode."""
    axes = request["case"]
    forget()
    _set_threads(int(axes["threads"]), request["cores"])
    set_mode(axes["mode"], axes["device"])
    return OpenCase(request, draws)


def _timed(case: OpenCase, request: Mapping[str, Any]) -> dict[str, Any]:
    """The reply to a request for one block."""
    clock = request.get("clock", WALL)
    seconds = case.time(request["method"], request["phase"], request["calls"], clock)
    void = EARLY if clock != WALL and math.isnan(seconds) else ""
    return {"seconds": seconds, "void": void, "throttling": case.device.throttling()}


def _set_threads(threads: int, cores: list[int]) -> None:
    """Set torch's number of threads and pin the process to as many cores; an empty list pins nothing.

    The pool of threads starts here. Started by the first method that needs it, it would count as that method's: with
    OMP_WAIT_POLICY=active its threads never rest.
    """
    torch.set_num_threads(threads)
    if cores and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, cores[:threads])
    torch.zeros(threads * PER_THREAD).neg_()


def main() -> None:
    """Serve requests from standard input, as the program of a worker process."""
    warnings.simplefilter("ignore")  # such as torch's that CSR is in beta: the rows say what works
    requests = os.fdopen(os.dup(0), encoding="utf-8")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)  # a method that reads standard input finds its end, and takes no request
    os.close(nothing)
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what methods print goes to standard error, not between the replies
    end_with_parent(sys.argv[1:])
    try:
        serve(requests, replies)
    except Unusable as error:
        os.write(2, f"{error}\n".encode())  # the parent takes the last line as the reason of the cell
        os._exit(1)  # an orderly exit would let torch clean up, which hangs or aborts on such a device
