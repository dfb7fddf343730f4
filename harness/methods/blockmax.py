"""topk: a drop-in for torch.topk that reads its input once. The file needs torch alone, so it can be copied.

It composes two selections, S = S2 S1: S1 keeps the k blocks with the largest maxima, S2 the k largest of what these
blocks hold. The earliest source found for this, and for the filter below, is Dr. Top-k (SC'21, arXiv 2109.08219).

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
        (1 << 12, 1 << 16, 256),
        (1 << 10, 1 << 17, 128),
        (1 << 9, 1 << 18, 64),
        (1 << 8, 1 << 19, 64),
        (1 << 7, 1 << 22, 64),
        (1 << 6, 1 << 22, 16),
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
        (1 << 6, 1 << 22, 16),
    ),
    8: (
        (1 << 15, 1 << 15, 512),
        (1 << 13, 1 << 15, 256),
        (1 << 12, 1 << 15, 128),
        (1 << 10, 1 << 15, 64),
        (1 << 9, 1 << 15, 32),
        (1 << 8, 1 << 16, 32),
        (1 << 7, 1 << 19, 32),
        (1 << 6, 1 << 22, 16),
    ),
}
SEVERAL_ROWS: Rules = {
    2: ((1 << 15, 1 << 17, 512), (1 << 12, 1 << 17, 256)),
    4: _SINGLE_OR_DOUBLE,
    8: _SINGLE_OR_DOUBLE,
}
"""bytes of an element -> rules (least n/k, least elements of y, block length). The first rule that holds gives the
length; where none does, torch.topk is called.

Lengths are powers of two and at most half of n/k. Those for halves are longer, since torch reduces short blocks of
halves slowly. They were fitted on one thread of a CPU so that topk is not slower than torch.topk for any arrangement
tried: normal, constant, descending, NaN in every second place, few distinct values, the k largest side by side.
"""

FILTERED_FROM = 1 << 14
"""Least survivors of one row for which the filter saves more time than it takes."""

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

INTEGERS_UP_TO = 1 << 22
"""Most elements of halves whose bits are reduced as integers: with more, the temporaries would leave the cache."""


def topk(input: Tensor, k: int, dim: int = -1, largest: bool = True, sorted: bool = True) -> Any:  # noqa: A002  (torch's names)
    """The k largest (or smallest) along a dimension: values, and int64 indices, as torch.topk gives them.

    input: of any shape and real dtype; the values are differentiable in it to any order. Which of equal values is
    selected may differ from torch.topk. Raises what torch.topk raises.
    """
    if input.numel() < LEAST_ELEMENTS or not input.dim():
        return input.topk(k, dim, largest, sorted)
    rows = input if dim == -1 else input.movedim(dim, -1)
    if not block_length(rows, k, largest):
        return input.topk(k, dim, largest, sorted)
    import torch

    indices = positions(rows.detach(), k, largest)
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

    length: of a block, a power of two with k <= n // length; 0: no blocks; default: `block_length`. sorted: by value.
    """
    import torch

    length = block_length(y, k, largest) if length is None else length
    if not length:
        return y.topk(k, -1, largest, sorted).indices
    if y.dim() > 1 and y.numel() == y.shape[-1]:
        return positions(y.reshape(-1), k, largest, length, sorted=sorted).view(*y.shape[:-1], k)
    whole, rest = y.shape[-1] // length, y.shape[-1] % length
    blocks = (y[..., : whole * length] if rest else y).view(*y.shape[:-1], whole, length)
    maxima = extremes(blocks, largest)
    winners = positions(maxima, k, largest, sorted=False)
    if y.dim() == 1 and y.device.type == "cpu":
        survivors = blocks.index_select(0, winners).view(-1)
    else:
        survivors = blocks.gather(-2, winners.unsqueeze(-1).expand(*winners.shape, length)).flatten(-2)
    if rest:
        survivors = torch.cat((survivors, y[..., whole * length :]), -1)
    if survivors.element_size() == HALF_BYTES:
        survivors = survivors.float()  # exact, and torch reduces float32 in less time than halves
    if _can_be_counted(survivors):
        chosen = _chosen(survivors, maxima.index_select(0, winners), k, largest, sorted)
    else:
        chosen = positions(survivors, k, largest, sorted=sorted)
    if rest:  # the tail stands behind the chosen blocks, as a block with the number `whole`
        winners = torch.cat((winners, torch.full_like(winners[..., :1], whole)), -1)
    return (chosen & length - 1).add(winners.gather(-1, chosen >> length.bit_length() - 1), alpha=length)


def _can_be_counted(survivors: Tensor) -> bool:
    """Whether the filter pays, and may branch on a count of values: in one row, on a CPU (a device would have to be
    waited for), where torch neither compiles nor traces nor transforms the function."""
    import torch
    from torch.utils._python_dispatch import is_in_torch_dispatch_mode

    if survivors.dim() > 1 or survivors.shape[0] < FILTERED_FROM or survivors.device.type != "cpu":
        return False
    recorded = torch.jit.is_tracing() or is_in_torch_dispatch_mode()  # type: ignore[attr-defined, no-untyped-call]
    if recorded or torch.compiler.is_compiling():
        return False
    return torch._C._functorch.peek_interpreter_stack() is None


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


def extremes(blocks: Tensor, largest: bool) -> Tensor:
    """The largest (or smallest) entry of each block in the order of torch.topk: (..., blocks, L) to (..., blocks)."""
    if not largest:
        least = blocks.nan_to_num(math.inf, math.inf, -math.inf).amin(-1)
        most = blocks.nan_to_num(-math.inf, math.inf, -math.inf).amax(-1)
        return least.masked_fill(least > most, math.nan)
    halves = blocks.element_size() == HALF_BYTES and blocks.numel() <= INTEGERS_UP_TO
    return _largest_half(blocks) if halves else blocks.amax(-1)


def _largest_half(blocks: Tensor) -> Tensor:
    """amax of halves by three reductions of their bits as integers, which torch does faster than reductions of halves.

    As signed integers, bit patterns without a sign ascend with their numbers. Where every entry is negative, the least
    integer is the number nearest to zero. NaN of either sign is above infinity once the sign bit is cleared.
    """
    import torch

    bits = blocks.view(torch.int16)
    highest, lowest = bits.amax(-1), bits.amin(-1)
    unsigned = bits.bitwise_and(0x7FFF).amax(-1)
    infinity = torch.full((), math.inf, dtype=blocks.dtype).view(torch.int16)
    number = torch.where(highest < 0, lowest, highest)
    return torch.where(unsigned > infinity, unsigned, number).view(blocks.dtype)
