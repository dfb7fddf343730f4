"""The study `relaxations`: its facts against gradients written out by hand, and its law against the integrals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import integrate, special, stats
from scipy.optimize import brentq

from harness.errors import UserError
from harness.methods import method
from harness.scripts.studies import load_script
from harness.study.cells import Case
from harness.topk.problems import draw

SCRIPT: Any = load_script("relaxations", Path("studies"))
MODULE: dict[str, Any] = SCRIPT.measure.__globals__  # a study lies in no package


def logistic(y: np.ndarray, k: int, temperature: float) -> tuple[np.ndarray, np.ndarray]:
    """The mask and its Jacobian, by a root finder of another kind than bisection in torch."""

    threshold = brentq(lambda t: special.expit((y - t) / temperature).sum() - k, y.min() - 50, y.max() + 50, xtol=1e-14)
    mask = special.expit((y - threshold) / temperature)
    slopes = mask * (1 - mask) / temperature
    return mask, np.diag(slopes) - np.outer(slopes, slopes) / slopes.sum()


@pytest.mark.parametrize("temperature", [0.03, 0.3, 2.0])
def test_the_facts_are_those_of_the_mask_written_out(temperature: float) -> None:
    case = Case(n=40, k=6, dtype="float64", parameters=(("temperature", temperature),))
    problem = draw(case)
    y, weights = problem.y.numpy(), problem.weights.numpy()
    best = np.argsort(-y)[:6]
    mask, jacobian = logistic(y, 6, temperature)
    exact = np.zeros(40)
    exact[best] = weights[best]
    dy = exact * mask + (weights[best] * y[best]) @ jacobian[best]
    outside = np.delete(dy, best)
    found = MODULE["biases"](method("sigmoid_shift").at(case), problem, "linear")
    assert found == pytest.approx(
        {
            "values": np.linalg.norm((1 - mask[best]) * y[best]) / np.linalg.norm(y[best]),
            "dy": np.linalg.norm(dy - exact) / np.linalg.norm(exact),
            "elsewhere": np.linalg.norm(outside) / np.linalg.norm(dy),
        },
        rel=1e-6,
    )
    through = MODULE["biases"](method("straight_through").at(case), problem, "linear")
    assert through == found | {"values": 0.0}


def test_values_are_compared_index_by_index_in_whatever_order_they_come() -> None:
    problem = draw(Case(n=500, k=40, rows=3))
    assert MODULE["biases"](method("native_unsorted"), problem, "linear") == {
        "values": 0.0,
        "dy": 0.0,
        "elsewhere": 0.0,
    }


@pytest.mark.parametrize(
    ("name", "step"), [("entmax_budget", lambda u: np.clip(u + 0.5, 0, 1)), ("sigmoid_shift", special.expit)]
)
def test_the_integrals_of_the_law(name: str, step: Any) -> None:
    end, h = 40.0, 1e-6

    def slope(u: float) -> float:
        return float((step(u + h) - step(u - h)) / (2 * h))

    products = (lambda u: slope(u) ** 2, lambda u: slope(u) * (1 - step(u)), lambda u: (1 - step(u)) ** 2)
    found = [integrate.quad(each, 0, end, points=[0.5, 2.0, 8.0], limit=200)[0] for each in products]
    assert found == pytest.approx(MODULE["STEPS"][name], rel=1e-4)


@pytest.mark.parametrize("name", ["sigmoid_shift", "entmax_budget"])
def test_the_law_says_what_the_gradients_do(name: str) -> None:
    """Root mean square over draws, at a temperature of many gaps and of a small part of a standard deviation."""
    n, k, temperature = 4096, 256, 0.1
    assert temperature * n * stats.norm.pdf(stats.norm.isf(k / n)) > 20
    squares = []
    for seed in range(20):
        case = Case(n=n, k=k, dtype="float64", seed=seed, parameters=(("temperature", temperature),))
        try:
            squares.append(MODULE["biases"](method(name).at(case), draw(case), "linear")["dy"] ** 2)
        except UserError as error:
            pytest.skip(str(error))
    assert np.sqrt(np.mean(squares)) == pytest.approx(MODULE["predicted"](name, n, k, temperature), rel=0.15)
