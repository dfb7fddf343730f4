"""The registry of devices, by torch's word for each.

A device that needs more than torch.accelerator offers (accelerator.py) has a file of its own and an entry in DEVICES;
for any other (xpu, mps) `device_of` makes the default.
"""

from __future__ import annotations

from harness.device.accelerator import accelerator, current_type
from harness.device.cpu import CPU
from harness.device.cuda import CUDA
from harness.device.definition import Device

DEVICES: dict[str, Device] = {device.type: device for device in (CPU, CUDA)}
"""torch's word for a type of device -> the device."""


def device_of(word: str) -> Device:
    """The device of that type; without a file of its own, the default accelerator."""
    return DEVICES.get(word) or DEVICES.setdefault(word, accelerator(word))


def present() -> list[Device]:
    """The devices of this machine: the CPU first, then the accelerator, if torch finds a working one."""
    word = current_type()
    return [CPU] if word is None else [CPU, device_of(word)]
