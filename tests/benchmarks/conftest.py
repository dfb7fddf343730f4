"""What pytest-benchmark keeps of the machine beside its times: never a host name."""

from __future__ import annotations

from typing import Any

from harness.machine import this_machine


def pytest_benchmark_update_machine_info(machine_info: dict[str, Any]) -> None:
    machine_info["node"] = this_machine().slug
