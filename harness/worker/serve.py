"""The worker process: it opens a case, checks its methods, times one block when asked, and closes the case.

It speaks JSON lines: a request a line on standard input, a reply a line on standard output, first of all a greeting
with its protocol and what torch it has. It needs torch, numpy and the standard library only. When its input ends,
it ends.
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
from harness.worker.failures import Unusable, failure, told
from harness.worker.open_case import OpenCase
from harness.worker.packages import locate
from harness.worker.protocol import PROTOCOL, end_with_parent


def greeting() -> dict[str, Any]:
    """The protocol, and the facts of this interpreter and its torch."""
    devices = present()
    return {
        "protocol": PROTOCOL,
        "home": str(Path(__file__).parents[2]),
        "python": sys.version.split()[0],
        "torch": torch.__version__,
        "numpy": numpy.__version__,
        "devices": [each.type for each in devices],
        "methods": sorted(registered()),
        "accelerator": devices[-1].name(),
        "cache_bytes": {each.type: each.cache_bytes() for each in devices},
        "throttling": devices[-1].throttling(),
        "switches": PRODUCT_MODES,
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
        "subnormals": keeps_subnormals(),
        "build": re.sub(r"(?<==)/\S*/", "", torch.__config__.show()),  # which compiler, not where that lay
    }


def serve(requests: TextIO, replies: TextIO) -> None:
    """Answer requests until there are no more. Raises Unusable when the device has failed for good."""

    def reply(message: Mapping[str, Any]) -> None:
        replies.write(json.dumps(message) + "\n")
        replies.flush()

    with Watch(HOST).putting_back():  # whatever the modules of registered methods change as they are imported
        greeted = greeting()
    reply(greeted)
    case: OpenCase | None = None
    draws, device, autocast = Draws(), HOST, False
    for line in requests:
        request = json.loads(line)
        try:
            match request["op"]:
                case "open":
                    case, device = None, request["case"]["device"]
                    autocast = request["case"]["mode"].startswith(AUTOCAST)
                    forget()
                    _set_threads(int(request["case"]["threads"]), request["cores"])
                    set_mode(request["case"]["mode"], request["case"]["device"])
                    case = OpenCase(request, draws)
                    reply({"status": "ok"})
                case "check" if case is not None:
                    spare = request.get("spare_bytes", math.inf)
                    reply(case.check(request["method"], request["measure"], spare, request.get("calls", {})))
                case "time" if case is not None:
                    clock = request.get("clock", WALL)
                    seconds = case.time(request["method"], request["phase"], request["calls"], clock)
                    void = EARLY if clock != WALL and math.isnan(seconds) else ""
                    reply({"seconds": seconds, "void": void, "throttling": case.device.throttling()})
                case "locate":
                    with Watch(HOST).putting_back():
                        reply({"status": "ok", **locate(request["methods"])})
                case "close" if case is not None:
                    case.watch.settle()
                    reply({"status": "ok"})
                case other:
                    reply({"status": "crashed", "reason": f"the worker cannot '{other}' now"})
        except DeviceTimeout as error:  # to ask the device whether it is usable would be to wait for it
            reply({"status": "timeout", "reason": str(error)})
        except Exception as error:  # whatever a method raises is a row, not the end of the worker
            if device_of(device).is_unusable():
                raise Unusable(told(error)) from error
            reply(failure(error, autocast))


def _set_threads(threads: int, cores: list[int]) -> None:
    """Torch's threads, pinned to as many cores; an empty list pins nothing."""
    torch.set_num_threads(threads)
    if cores and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, cores[:threads])


def main() -> None:
    warnings.simplefilter("ignore")  # torch warns that CSR is in beta; the capability is what the rows say
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever else prints must not end up between the replies
    end_with_parent(sys.argv[1:])
    try:
        serve(sys.stdin, replies)
    except Unusable as error:
        os.write(2, f"{error}\n".encode())  # the last line of what it said is the reason of the cell
        os._exit(1)  # what torch would do at an end in order hangs or aborts on such a device
