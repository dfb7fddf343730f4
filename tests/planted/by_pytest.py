"""The planted methods under pytest-benchmark, one benchmark a method; the case comes from the environment."""

from __future__ import annotations

import json
import os
from typing import Any

import pytest

from harness.cells import Case
from harness.methods import method
from tests.planted.methods import call_of


@pytest.mark.parametrize("name", os.environ["PLANTED_METHODS"].split())
def test_planted(benchmark: Any, name: str) -> None:
    case = Case.from_axes(json.loads(os.environ["PLANTED_CASE"]))
    benchmark(call_of(case, method(name)))
