"""Each method at one size, forward and backward, for whoever follows them with pytest-benchmark.

These are medians of one process, one method after the other: for a comparison of methods run the study `speed`,
which takes them in turns.
"""

from __future__ import annotations

import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture

import harness
from harness.errors import UserError
from harness.methods import registered
from harness.topk.phases import prepare
from harness.vocabulary import USUAL_PHASES

CASE = harness.Case(n=16384, k=64, d=8)


@pytest.mark.parametrize(
    ("name", "phase"),
    [(name, each) for name, own in registered().items() for each in own.phases_for(CASE) if each in USUAL_PHASES],
)
def test_method(benchmark: BenchmarkFixture, name: str, phase: str) -> None:
    torch.set_num_threads(1)
    try:
        prepared = dict(prepare(harness.method(name), [phase], harness.draw(CASE), "square"))[phase]
    except UserError as error:  # a package that is not installed
        pytest.skip(str(error))
    call = prepared.bind(*(tensor.detach() for tensor in prepared.reads))
    assert benchmark(call) is not None
