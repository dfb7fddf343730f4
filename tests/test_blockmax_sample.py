"""Where blocks do not pay, blockmax leaves out what is below a threshold from a sample: right for any arrangement."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx.experimental.proxy_tensor import make_fx

from harness.methods import blockmax
from harness.methods.blockmax import SAMPLED, fitted_length, fitted_sample, positions, sample_pays, topk
from tests.topk_inputs import calls, fault

over = pytest.mark.parametrize
both_ends = over("largest", [True, False])
RUN, STEP = 2, 3
nan, inf = float("nan"), float("inf")


@pytest.fixture(autouse=True)
def sampled_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """A threshold in inputs of every size, and no blocks."""
    monkeypatch.setattr(blockmax, "LEAST_ELEMENTS", 1)
    monkeypatch.setattr(blockmax, "SAMPLE_STEP", STEP)
    monkeypatch.setattr(blockmax, "RUN", RUN)
    monkeypatch.setattr(blockmax, "SAMPLED", dict.fromkeys((2, 4, 8), ((1, 1 << 40, 1),)))
    for rules in ("ONE_ROW", "SEVERAL_ROWS"):
        monkeypatch.setattr(blockmax, rules, {})


@pytest.fixture
def selected_from(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The lengths of what was left of each input; 0 where nothing was left out."""
    lengths: list[int] = []
    right = blockmax._above_sample

    def noted(*arguments: Any) -> Any:
        left = right(*arguments)
        lengths.append(0 if left is None else len(left))
        return left

    monkeypatch.setattr(blockmax, "_above_sample", noted)
    return lengths


def assert_right(y: Any, k: int, largest: bool) -> None:
    values, indices = topk(y, k, largest=largest)
    assert values.tolist() == pytest.approx(y.topk(k, -1, largest).values.tolist(), abs=0, rel=0, nan_ok=True)
    assert torch.equal(y[indices].nan_to_num(7e8), values.nan_to_num(7e8))
    assert len(indices.unique()) == k


def test_a_tensor_without_values_has_no_sample(selected_from: list[int]) -> None:
    with FakeTensorMode():
        y = torch.empty(400)
    assert topk(y, 5).values.shape == (5,)
    assert not selected_from


@over("share", range(4))
def test_drawn_calls(share: int) -> None:
    faults = [f"{call}: {why}" for call in calls(share, 75, 600) if (why := fault(call, topk(*call.arguments), False))]
    assert not faults


@given(
    y=st.lists(st.sampled_from([nan, inf, -inf, 0.0, -0.0, 1.0, -1.0, 2.0, 3.0]), min_size=1, max_size=80),
    largest=st.booleans(),
    data=st.data(),
)
def test_ties_nan_and_infinities_in_any_arrangement(y: list[float], largest: bool, data: st.DataObject) -> None:
    assert_right(torch.tensor(y), data.draw(st.integers(1, len(y))), largest)


@over("dtype", ["float16", "bfloat16", "float32", "float64"])
@both_ends
def test_little_more_than_k_is_selected_from(dtype: str, largest: bool, selected_from: list[int]) -> None:
    y = torch.randn(4000, generator=torch.Generator().manual_seed(0)).to(getattr(torch, dtype))
    assert_right(y, 200, largest)
    (left,) = selected_from
    assert 200 <= left <= 400


@both_ends
def test_a_threshold_that_too_few_reach_is_not_used(largest: bool, selected_from: list[int]) -> None:
    y = torch.randn(900, generator=torch.Generator().manual_seed(0))
    y.view(-1, RUN)[::STEP] += 10 if largest else -10
    assert_right(y, 299, largest)
    assert selected_from == [0]


@both_ends
def test_a_threshold_that_many_reach_is_right_all_the_same(largest: bool, selected_from: list[int]) -> None:
    y = torch.randn(900, generator=torch.Generator().manual_seed(0))
    y.view(-1, RUN)[::STEP] -= 10 if largest else -10
    assert_right(y, 20, largest)
    assert selected_from[0] >= 600


@over("y", [torch.ones(900), torch.full((900,), nan), torch.arange(900.0).clamp(max=500)])
def test_nothing_is_left_out_where_the_threshold_would_be_one_of_many_equal_values(
    y: Any, selected_from: list[int]
) -> None:
    assert_right(y, 60, True)
    assert selected_from == [0]


@both_ends
def test_nan_stays_on_its_side(largest: bool, selected_from: list[int]) -> None:
    y = torch.randn(900, generator=torch.Generator().manual_seed(0))
    y[[5, 17, 400]] = nan
    y[17] = -y[17]
    assert_right(y, 30, largest)
    assert 0 < selected_from[0] < 200


def test_one_row_of_several_dimensions_is_sampled_too(selected_from: list[int]) -> None:
    y = torch.randn(1, 1, 900, generator=torch.Generator().manual_seed(0))
    assert torch.equal(topk(y, 30).indices, y.topk(30).indices)
    assert selected_from[0] > 0


def test_only_a_row_on_a_cpu_whose_values_may_decide_is_sampled() -> None:
    y = torch.randn(900)
    assert sample_pays(y, 30)
    for other in (y.long(), y.view(2, -1), torch.randn(1800)[::2], y.to("meta"), torch.tensor(1.0).expand(900)):
        assert not sample_pays(other, 30)
    assert not sample_pays(y, 0)


def test_a_transformed_or_recorded_call_does_not_depend_on_the_values(selected_from: list[int]) -> None:
    y = torch.randn(900, generator=torch.Generator().manual_seed(0))
    slope = torch.func.grad(lambda y: topk(y, 30).values.sum())(y)
    assert torch.equal(slope.nonzero().squeeze(1), y.topk(30).indices.sort().values)
    batch = torch.stack((y, -y))
    mapped = torch.func.vmap(lambda row: topk(row, 30).values)(batch)
    recorded = make_fx(lambda y: positions(y, 30))(y)
    compiled = torch.compile(lambda y: topk(y, 30).values, fullgraph=True, backend="aot_eager")
    assert torch.equal(mapped, batch.topk(30).values)
    assert torch.equal(recorded(-y), (-y).topk(30).indices)
    assert torch.equal(compiled(-y), (-y).topk(30).values)
    assert not selected_from


def test_derivatives() -> None:
    y = torch.randperm(60, generator=torch.Generator().manual_seed(0)).double().requires_grad_()
    assert sample_pays(y.detach(), 5)
    assert torch.autograd.gradcheck(lambda y: topk(y, 5).values ** 2, (y,))
    assert torch.autograd.gradgradcheck(lambda y: topk(y, 5).values ** 2, (y,))


@over("itemsize", SAMPLED)
def test_the_table_names_rows_without_blocks_alone(itemsize: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    tried = [(n, max(1, n // ratio)) for n in (1 << 20, 1 << 21, 10_000_000) for ratio in (2, 8, 32, 64, 95)]
    sampled = [(n, k) for n, k in tried if fitted_sample(itemsize, n, k)]
    assert (10_000_000, 10_000_000 // 64) in sampled
    assert (10_000_000, 10_000_000 // 2) not in sampled
    assert not any(fitted_length(itemsize, n, n, k) for n, k in sampled)
