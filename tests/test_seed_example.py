"""The worked example that the project starts from: its printed numbers, by every method that has the pipeline."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import pytest
import torch

from harness.methods import method, registered
from harness.planning.loading import load_study
from harness.scripts.studies import load_script
from harness.study.cells import Case
from harness.topk.outcome import Outcome, run_once
from harness.topk.problems import Problem
from tests.present import named

HALF_DIGIT = 0.5e-4

X = [0.1511, 0.5990, 0.6338, 0.5137, 0.5203, 0.0560]
W = [
    [0.2541, 0.6699, 0.5311, 0.7801, 0.5042, 0.5475],
    [0.7523, 0.1331, 0.7670, 0.8132, 0.0524, 0.0269],
    [0.3974, 0.2880, 0.9142, 0.9906, 0.4401, 0.3984],
    [0.7956, 0.2071, 0.2209, 0.6192, 0.2054, 0.7693],
    [0.8587, 0.8415, 0.6033, 0.3812, 0.2498, 0.9813],
    [0.9033, 0.0417, 0.2272, 0.1576, 0.9087, 0.3284],
]
Y = [1.4700, 1.1260, 1.5721, 0.8523, 1.3969, 0.8776]
VALUES = {2: 1.5721, 0: 1.4700, 4: 1.3969}
DW = [
    [0.4442, 1.7611, 1.8634, 1.5103, 1.5297, 0.1646],
    [0.0000, 0.0000, 0.0000, 0.0000, 0.0000, 0.0000],
    [0.4751, 1.8834, 1.9929, 1.6152, 1.6360, 0.1761],
    [0.0000, 0.0000, 0.0000, 0.0000, 0.0000, 0.0000],
    [0.4222, 1.6735, 1.7707, 1.4352, 1.4536, 0.1565],
    [0.0000, 0.0000, 0.0000, 0.0000, 0.0000, 0.0000],
]
DX = [4.3957, 5.2261, 6.1215, 6.4733, 3.5641, 5.6040]

PIPELINES = named(each for each in registered().values() if "pipeline" in each.phases and each.exact)
MATRICES = [name for name, each in registered().items() if each.has_matrix]


def run(name: str, with_dS: bool = False) -> Outcome:
    x, weights = torch.tensor(X), torch.tensor(W)
    case = Case(n=6, k=3, d=6, distribution="seed")
    problem = Problem(case, weights @ x, torch.zeros(6), x, weights, dict)
    return run_once(method(name), problem, "square", with_dS=with_dS)


def assert_printed(got: torch.Tensor, printed: list[float] | list[list[float]]) -> None:
    difference = (got.double() - torch.tensor(printed, dtype=torch.float64)).abs()
    assert difference.max() <= HALF_DIGIT, difference


@pytest.mark.parametrize("name", PIPELINES)
def test_every_method_gives_the_printed_numbers(name: str) -> None:
    outcome = run(name)
    assert outcome.values.dtype == torch.float32
    assert_printed(outcome.y, Y)
    assert set(outcome.indices.tolist()) == set(VALUES)
    assert_printed(outcome.values, [VALUES[index] for index in outcome.indices.tolist()])
    assert outcome.dW is not None
    assert outcome.dx is not None
    assert_printed(outcome.dW, DW)
    assert_printed(outcome.dx, DX)
    assert torch.count_nonzero(outcome.dW[[1, 3, 5]]) == 0, "a row that was not selected has a gradient"


def test_the_first_is_the_largest_as_printed() -> None:
    assert run("native").indices.tolist() == [2, 0, 4]
    assert run("dense").indices.tolist() == [2, 0, 4]


@pytest.mark.parametrize("name", MATRICES)
def test_the_selection_matrix_has_a_gradient_of_its_shape(name: str) -> None:
    """As S has requires_grad in the example: its gradient is 2 v yᵀ."""
    outcome = run(name, with_dS=True)
    assert outcome.dS is not None
    assert outcome.dS.shape == (3, 6)
    dS = outcome.dS.to_dense()
    for place, index in enumerate([2, 0, 4]):
        expected = torch.tensor([2 * VALUES[index] * y for y in Y])
        seen = dS[place] != 0
        assert seen[index]
        assert seen.all() or outcome.dS.layout != torch.strided
        assert dS[place][seen] == pytest.approx(expected[seen], abs=8 * HALF_DIGIT)  # of two printed factors below 2


def test_the_study_measures_the_example() -> None:
    script = load_script("seed", Path("studies"))
    assert script.measure is not None
    found: dict[str, dict[tuple[str, str], tuple[float, str]]] = defaultdict(dict)
    for row in script.measure(load_study("studies/seed.toml")):
        assert (row["n"], row["k"], row["d"], row["dtype"]) == (6, 3, 6, "float32")
        found[str(row["method"])][str(row["fact"]), str(row["item"])] = float(row["value"]), str(row["detail"])
    printed = {("dx", str(column)): value for column, value in enumerate(DX)}
    printed |= {("dW", f"{row},{column}"): DW[row][column] for row in (0, 2, 4) for column in range(6)}
    assert set(found) == {"native", "dense"}
    for facts in found.values():
        assert set(facts) == set(printed)
        for entry, (value, detail) in facts.items():
            assert value == pytest.approx(printed[entry], rel=0, abs=HALF_DIGIT)
            assert detail == f"printed {printed[entry]:.4f}"
