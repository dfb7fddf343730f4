"""topk: a drop-in for torch.topk that reads its input once or twice.

It needs torch alone, and all of it stands in this one file, longer than others, so that it can be copied.

It composes two selections, S = S2 S1: S1 keeps the k blocks with the largest maxima, S2 the k largest of what these
blocks hold. The earliest source found for this, and for the filter below, is Dr. Top-k (SC'21, arXiv 2109.08219).
Where k is too large for blocks, S1 keeps what is not below a threshold that a sample gives, as SELECT of Floyd and
Rivest does (CACM 18, 1975, p. 165).

Why S2 S1 selects what S does
    Cut y into blocks of L entries; S1 keeps the entries that are left over (the tail) as they are. Order values as
    torch.topk does, with NaN above all. Let T be any k blocks with the largest maxima, chosen freely among equal ones.
    An entry e outside T and the tail lies in a block B whose maximum is at least e, and every block of T has a maximum
    at least that of B. So T holds k entries, one in each block, that are at least e, and dropping e leaves the k
    largest values, as a multiset, unchanged. So S1 may drop all that it drops, one entry after another.
    - Ties: the argument needs "at least", never "greater"; among equal values any choice is right, as in torch.topk.
    - NaN, infinities: amax of a block with a NaN is NaN, the largest in this order; infinities are values like any
      other. Where the smallest are sought, NaN must lose: the minimum of a block is taken without its NaN, and is NaN
      only for a block of nothing else, which is known by a minimum without NaN above the maximum without NaN.
    - Tail: it takes part in S2 as a whole, like a block numbered after the last one; nothing is padded.
    - Recursion: S1 (on the maxima) and S2 (on the survivors) are again selections, and are solved the same way.
    - Filter: each of the k chosen blocks holds an entry that is at least the least of their maxima, so everything below
      that can be left out before S2. Of normal values hardly more than k remain, of equal values all.
    - Threshold: whatever t is, if k entries or more are not below t, then those below it can be left out. If fewer are,
      or a sample shows that too many would remain, nothing is left out that way.

S2 S1 is a 0/1 matrix with a single 1 in each row, so the values are a gather, and their gradient is the scatter by S.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

Rules = dict[int, tuple[tuple[int, int, int], ...]]

_SINGLE_OR_DOUBLE = (
    (1 << 15, 1 << 16, 512),
    (1 << 14, 1 << 16, 256),
    (1 << 12, 1 << 16, 128),
    (1 << 10, 1 << 16, 64),
)

ONE_ROW: Rules = {
    2: (
        (1 << 15, 1 << 16, 512),
        (1 << 13, 1 << 16, 256),
        (1 << 12, 1 << 16, 128),
        (1 << 11, 1 << 18, 128),
        (1 << 10, 1 << 16, 64),
        (1 << 9, 1 << 18, 64),
        (1 << 9, 1 << 16, 32),
        (3 << 7, 1 << 18, 64),
        (1 << 8, 1 << 17, 32),
        (1 << 7, 1 << 19, 32),
    ),
    4: (
        (1 << 15, 1 << 15, 512),
        (1 << 13, 1 << 15, 256),
        (1 << 12, 1 << 15, 128),
        (1 << 10, 1 << 15, 64),
        (1 << 9, 1 << 15, 32),
        (1 << 8, 1 << 16, 32),
        (1 << 7, 1 << 17, 32),
        (3 << 5, 1 << 19, 32),
    ),
    8: (
        (1 << 15, 1 << 15, 512),
        (1 << 13, 1 << 15, 256),
        (1 << 12, 1 << 15, 128),
        (1 << 10, 1 << 15, 64),
        (1 << 9, 1 << 15, 32),
        (1 << 8, 1 << 16, 32),
        (1 << 7, 1 << 19, 32),
    ),
}
SEVERAL_ROWS: Rules = {
    2: ((1 << 14, 1 << 17, 256), (1 << 12, 1 << 17, 128), (1 << 11, 1 << 18, 128)),
    4: _SINGLE_OR_DOUBLE,
    8: _SINGLE_OR_DOUBLE,
}
"""bytes of an element -> rules (least n/k, least elements of y, block length). The first rule that holds gives the
length; where none does, torch.topk is called.

Lengths are powers of two and at most half of n/k. They were fitted on one thread of a CPU so that topk is not slower
than torch.topk for any arrangement tried: normal, constant, ascending, descending, NaN in every second place, few
distinct values, the k largest side by side. Halves need more elements, since they are cast to float32 first, or
compared as integers.
"""

FILTERED_FROM = 1 << 14
"""Least survivors of one row for which the filter saves more time than it takes."""

SAMPLED: Rules = {
    2: ((1 << 3, 1 << 7, 1 << 21),),
    4: ((1 << 3, 3 << 5, 1 << 21),),
    8: ((1 << 3, 1 << 7, 1 << 21),),
}
"""bytes of an element -> rules (least n/k, n/k below which it holds, least n) for one row on a CPU: where one of them
holds, a threshold from a sample is tried, and no blocks are made. They were fitted like the block lengths. Shorter rows
would gain too, but not where all values are equal: nothing is left out then, and the sample alone takes 4 to 8 % of the
time of torch.topk, and 1 to 3 % from 2^21 entries on."""

RUN = 8
SAMPLE_STEP = 2049
"""The sample is every so many runs of RUN neighbours, since single entries would each wait for a cache line of their
own. The step is odd, so that a pattern that repeats after a power of two does not fill it with equal entries."""

SAFETY = 4.0
"""Standard deviations by which the threshold is set lower than the quantile k/n of the sample: of an input in random
order, fewer than k entries reach it less than once in 30,000 times."""

CUDA_ONE_ROW: Rules = {2: ((1 << 16, 1 << 26, 1024),), 4: ((1 << 15, 1 << 25, 1024),)}
"""The same rules on CUDA, for the largest of one row: measured on an H200 with torch 2.11, and used only where all
measurements agreed.

Blocks of 1024 beside torch.topk at k = 8, 64 and 1024, by the wall clock: float32 1.1 to 1.8 times as fast at n = 2^24,
3.1 to 4.2 at 2^26 and 9.7 to 13 at 2^28; halves 0.75 at 2^24, 2.2 to 2.8 at 2^26 and 7 to 9.5 at 2^28. By the clock of
the device the gains are larger and begin at 2^14: below the sizes of the table, the host takes most of the time. Not
measured, and so left to torch.topk: float64, the smallest, k above 1024 by the wall clock, and several rows, of which
one measurement by the wall clock (64 rows of 128256) was a loss. Whether other GPUs agree is not known.
"""

MOST_ON_CUDA = 1024
"""Largest k that was measured by both clocks."""

LEAST_ELEMENTS = 1 << 15
LEAST_IN_A_ROW = 1 << 12
"""Fewest elements of y, and of each row where there are several, for blocks to pay: with fewer, torch.topk has finished
before the blocks are made."""

SMALLEST_NEED = 8
"""How many times more elements of y the rules ask for where the smallest are sought, since finding their blocks copies
y twice to replace its NaN. They are sought this way in one row only."""

HALF_BYTES = 2

LEAST_IN_A_BLOCK = 64
LEAST_AS_INTEGERS = 1 << 18
"""Fewest halves in a block, and in all blocks, for their bits to be compared as integers. Shorter blocks are reduced in
less time as float32, and of fewer halves negative ones are."""

_ALL_BUT_THE_SIGN = (1 << 15) - 1
"""Bits of a half; to flip them turns the order of negative halves, as integers, into that of their values."""

PIECE = 1 << 18
"""Elements of halves that are cast to float32 at a time, so that the copy stays in the cache."""


def topk(input: Tensor, k: int, dim: int = -1, largest: bool = True, sorted: bool = True) -> Any:  # noqa: A002  (torch's names)
    """The k largest (or smallest) along a dimension: values, and int64 indices, as torch.topk gives them.

    input: of any shape and real dtype; the values are differentiable in it to any order. Which of equal values is
    selected may differ from torch.topk. Raises what torch.topk raises.
    """
    if input.numel() < LEAST_ELEMENTS or not input.dim():
        return input.topk(k, dim, largest, sorted)
    import torch

    if input.layout != torch.strided or input.is_nested:
        return input.topk(k, dim, largest, sorted)
    rows = input if dim == -1 else input.movedim(dim, -1)
    indices = _composed(rows, k, largest)
    if indices is None:
        return input.topk(k, dim, largest, sorted)
    values = rows.gather(-1, indices)
    if dim != -1:
        values, indices = values.movedim(-1, dim), indices.movedim(-1, dim)
    return torch.return_types.topk((values, indices))


def block_length(y: Tensor, k: int, largest: bool = True) -> int:
    """The length of the blocks that each row of y (..., n) is cut into; 0 where torch.topk should be called instead."""
    if not y.is_floating_point() or y.stride(-1) != 1 or y.numel() < LEAST_ELEMENTS:
        return 0
    return fitted_length(y.element_size(), y.numel(), y.shape[-1], k, largest, y.device.type)


def fitted_length(itemsize: int, elements: int, n: int, k: int, largest: bool = True, device: str = "cpu") -> int:
    """The block length that the tables give for `elements` in rows of n; 0 where torch.topk should be called."""
    one_row = elements == n
    if device == "cuda":
        rules = CUDA_ONE_ROW.get(itemsize, ()) if one_row and largest and 1 <= k <= MOST_ON_CUDA else ()
        return _first_that_holds(rules, elements, n, k)
    if device != "cpu":
        return 0
    if k < 1 or not (one_row or (largest and n >= LEAST_IN_A_ROW)):
        return 0
    rules = (ONE_ROW if one_row else SEVERAL_ROWS).get(itemsize, ())
    return _first_that_holds(rules, elements // (1 if largest else SMALLEST_NEED), n, k)


def sample_pays(y: Tensor, k: int) -> bool:
    """Whether a threshold from a sample is tried for y (..., n), instead of blocks."""
    n = y.shape[-1]
    if not fitted_sample(y.element_size(), n, k) or y.numel() != n or y.stride(-1) != 1:
        return False
    return y.is_floating_point() and y.device.type == "cpu" and _may_branch(y)


def fitted_sample(itemsize: int, n: int, k: int) -> bool:
    """What the table says of a threshold from a sample, for one row of n entries on a CPU."""
    for least_ratio, below, least in SAMPLED.get(itemsize, ()):
        if least_ratio * k <= n < below * k and n >= least:
            return True
    return False


def _first_that_holds(rules: tuple[tuple[int, int, int], ...], elements: int, n: int, k: int) -> int:
    return next((length for ratio, least, length in rules if n >= ratio * k and elements >= least), 0)


def positions(
    y: Tensor,
    k: int,
    largest: bool = True,
    length: int | None = None,
    *,
    sorted: bool = True,  # noqa: A002  (torch's)
) -> Tensor:
    """Indices (..., k), int64, of the k largest (or smallest) of each row of y (..., n).

    length: of a block, a power of two with k <= n // length; 0: torch.topk; default: what the tables say, which may be
    a threshold from a sample. sorted: by value.
    """
    found = _composed(y, k, largest, length, sorted)
    return y.topk(k, -1, largest, sorted).indices if found is None else found


def _composed(
    y: Tensor,
    k: int,
    largest: bool,
    length: int | None = None,
    sorted: bool = True,  # noqa: A002
) -> Tensor | None:
    """`positions` by a composition of selections; None where torch.topk should be called for the whole of y."""
    if length is None and sample_pays(y, k):
        row = y.detach().reshape(-1)
        left = _above_sample(row, k, largest)
        if left is None:
            return None
        chosen = positions(row.index_select(0, left), k, largest, 0, sorted=sorted)
        return left.index_select(0, chosen).view(*y.shape[:-1], k)
    length = block_length(y, k, largest) if length is None else length
    return _in_blocks(y.detach(), k, largest, length, sorted) if length else None


def _in_blocks(y: Tensor, k: int, largest: bool, length: int, sorted: bool) -> Tensor:  # noqa: A002
    """Indices (..., k) of the k largest (or smallest) of each row of y (..., n), by blocks of that length."""
    import torch

    if y.dim() > 1 and y.numel() == y.shape[-1]:
        return _in_blocks(y.reshape(-1), k, largest, length, sorted).view(*y.shape[:-1], k)
    whole, rest = y.shape[-1] // length, y.shape[-1] % length
    blocks = (y[..., : whole * length] if rest else y).view(*y.shape[:-1], whole, length)
    winners, won = _chosen_blocks(blocks, k, largest)
    if y.dim() == 1 and y.device.type == "cpu":
        survivors = blocks.index_select(0, winners).view(-1)
    else:
        survivors = blocks.gather(-2, winners.unsqueeze(-1).expand(*winners.shape, length)).flatten(-2)
    if rest:
        survivors = torch.cat((survivors, y[..., whole * length :]), -1)
    if survivors.element_size() == HALF_BYTES:
        survivors = survivors.float()  # exact, and torch reduces float32 in less time than halves
    if _can_be_counted(survivors):
        chosen = _chosen(survivors, won, k, largest, sorted)
    else:
        chosen = positions(survivors, k, largest, sorted=sorted)
    if rest:  # the tail stands behind the chosen blocks, as a block with the number `whole`
        winners = torch.cat((winners, torch.full_like(winners[..., :1], whole)), -1)
    return (chosen & length - 1).add(winners.gather(-1, chosen >> length.bit_length() - 1), alpha=length)


def _chosen_blocks(blocks: Tensor, k: int, largest: bool) -> tuple[Tensor, Tensor]:
    """The numbers (..., k) of the k blocks with the largest (or smallest) extremes, and these extremes."""
    if largest and _bits_pay(blocks) and _may_branch(blocks):
        found = _chosen_by_bits(blocks, k)
        if found is not None:
            return found
    maxima = extremes(blocks, largest)
    winners = positions(maxima, k, largest, sorted=False)
    return winners, maxima.gather(-1, winners)


def _bits_pay(blocks: Tensor) -> bool:
    """Whether to compare halves as integers takes less time than to cast them to float32."""
    if blocks.element_size() != HALF_BYTES or blocks.device.type != "cpu":
        return False
    return blocks.shape[-1] >= LEAST_IN_A_BLOCK and blocks.numel() >= LEAST_AS_INTEGERS


def _chosen_by_bits(blocks: Tensor, k: int) -> tuple[Tensor, Tensor] | None:
    """`_chosen_blocks` of halves, for the largest, by comparing their bits as integers; None where a half is NaN.

    The bits of non-negative halves are integers in the order of the values; those of negative halves are negative
    integers in the opposite order. So the largest half of a block has the largest integer or, if that is negative, the
    smallest, which is looked for only if fewer than k blocks hold a non-negative half.
    """
    import torch

    # A sum is NaN if a term is. Rows are added up one by one: torch is slow to add up all of a tensor with gaps.
    if blocks.sum((-2, -1)).isnan().any():
        return None
    halves = blocks.view(torch.int16)
    bits = halves.amax(-1)
    winners = positions(bits.float(), k, sorted=False)  # exact, and the tables are for floats
    if int(bits.gather(-1, winners).amin()) < 0:
        bits = torch.where(bits < 0, halves.amin(-1), bits)
        ordered = torch.where(bits < 0, bits ^ _ALL_BUT_THE_SIGN, bits)
        winners = positions(ordered.float(), k, sorted=False)
    return winners, bits.gather(-1, winners).view(blocks.dtype).float()


def _can_be_counted(survivors: Tensor) -> bool:
    """Whether the filter pays, and may branch on a count of values: in one row, on a CPU, since a device would have to
    be waited for."""
    if survivors.dim() > 1 or survivors.shape[0] < FILTERED_FROM or survivors.device.type != "cpu":
        return False
    return _may_branch(survivors)


def _may_branch(y: Tensor) -> bool:
    """Whether values may decide what is called next: torch neither compiles nor traces nor transforms the function, and
    y is no subclass, such as a FakeTensor, which has no values."""
    import torch

    if torch.jit.is_tracing() or torch.compiler.is_compiling():  # type: ignore[attr-defined, no-untyped-call]
        return False
    if type(y) not in (torch.Tensor, torch.nn.Parameter):
        return False
    recorded = torch.utils._python_dispatch.is_in_torch_dispatch_mode()
    return not recorded and torch._C._functorch.peek_interpreter_stack() is None


def _chosen(survivors: Tensor, won: Tensor, k: int, largest: bool, sorted: bool) -> Tensor:  # noqa: A002
    """Positions of the k largest among the survivors (m,), after the filter; won: (k,) the maxima of the chosen blocks.

    Survivors below the least of these maxima are left out, if that is at least half of them. NaN is never below
    anything, nor is anything below NaN.
    """
    out = survivors.lt(won.amin()) if largest else survivors.gt(won.amax())
    if 2 * int(out.count_nonzero()) < survivors.shape[0]:
        return positions(survivors, k, largest, sorted=sorted)
    left = out.logical_not_().nonzero().squeeze(1)
    return left.index_select(0, positions(survivors.index_select(0, left), k, largest, sorted=sorted))


def _above_sample(y: Tensor, k: int, largest: bool) -> Tensor | None:
    """Positions, ascending, of the entries of y (n,) that are not below a threshold from a sample; or not above it, if
    the smallest are sought. None where they are fewer than k, or where many values equal the threshold."""
    sample = y[: y.shape[0] // RUN * RUN].view(-1, RUN)[::SAMPLE_STEP].flatten()
    expected = k * sample.shape[0] / y.shape[0]
    rank = int(expected + SAFETY * math.sqrt(expected) + SAFETY)
    if 2 * rank > sample.shape[0]:
        return None
    values = sample.topk(2 * rank, -1, largest).values
    threshold = values[rank - 1]
    number = threshold.item()
    if number != number or number == values[-1].item():
        return None
    kept = y.lt(threshold).logical_not_() if largest else y.le(threshold)  # neither puts NaN on the wrong side
    left = kept.nonzero().squeeze(1)
    return left if left.shape[0] >= k else None


def extremes(blocks: Tensor, largest: bool) -> Tensor:
    """The largest (or smallest) entry of each block in the order of torch.topk: (..., blocks, L) to (..., blocks).

    It is in float32 where halves were cast to it.
    """
    if blocks.element_size() == HALF_BYTES and blocks.device.type == "cpu":
        import torch

        # On a CPU torch reduces halves so slowly that a copy in float32, which is exact, takes less time.
        at_once = max(1, PIECE * blocks.shape[-2] // max(1, blocks.numel()))
        return torch.cat([extremes(piece.float(), largest) for piece in torch.split(blocks, at_once, -2)], -1)
    if largest:
        return blocks.amax(-1)
    least = blocks.nan_to_num(math.inf, math.inf, -math.inf).amin(-1)
    most = blocks.nan_to_num(-math.inf, math.inf, -math.inf).amax(-1)
    return least.masked_fill(least > most, math.nan)
