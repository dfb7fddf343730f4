"""The devices that there are, by torch's word for each.

A device is one file. What torch.accelerator does for all of them is the default (accelerator.py), so another one (xpu,
mps) is an entry of DEVICES, or none at all: `device_of` makes one that does what torch.accelerator does in general.
"""

from __future__ import annotations

from harness.device.accelerator import accelerator, current_type
from harness.device.cpu import CPU
from harness.device.cuda import CUDA
from harness.device.definition import Device

DEVICES: dict[str, Device] = {each.type: each for each in (CPU, CUDA)}
"""torch's word for a type of device -> what is known of it beyond torch.accelerator."""


def device_of(word: str) -> Device:
    """The device of that type; one that has no file of its own does what torch.accelerator does in general."""
    return DEVICES.get(word) or DEVICES.setdefault(word, accelerator(word))


def present() -> list[Device]:
    """The devices of this machine: its CPU first, then its accelerator, if torch has one that works."""
    word = current_type()
    return [CPU] if word is None else [CPU, device_of(word)]
