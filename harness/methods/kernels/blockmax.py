"""An exact top-k for accelerators, in Triton: a few launches whatever the input holds, and the host never waits.

The file needs torch and Triton alone. It is one file, although a long one, so that it can be copied.

Like harness/methods/blockmax.py, which has the proof, it composes selections: the k largest of a row lie in the k
blocks with the largest maxima (`_maxima`), and also among the k largest of each tile (`_select`). Which passes are made
depends on the shape alone, never on the values:

    n <= TILE              one program selects k of a row; narrow rows share a program
    n <= MAXIMA_FROM       every tile keeps its own k largest; together they form a row again, TILE / k times shorter
    above                  one read for the maxima of blocks, k blocks by these maxima, k of what these blocks hold

So no input is slower than another: constant, sorted and clustered rows cost as much as random ones. The calls can be
captured in a CUDA graph, after a first call outside of it has compiled the kernels.

Order. The key of a value is an unsigned integer made from its bits, and keys are ordered as torch.topk orders values:
NaN of either sign above all, -0 equal to +0. The kernels compare keys, never values, so halves lose nothing and NaN
needs no case of its own. Of equal values, those with the lowest indices are selected, in the order of their indices, so
every call returns the same result.

TILE, MAXIMA_FROM, MAXIMA_TILE and the numbers of warps follow from the hardware of an H200; nobody has measured them.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

TILE = 8192
"""Entries that one program selects from: 32 for each thread, which stay in registers."""

MOST_SELECTED = TILE // 4
"""Largest k: a pass over tiles leaves at most a quarter of the entries."""

MAXIMA_FROM = 1 << 22
"""Longest row that is selected from tile by tile. In longer rows block maxima come first: a maximum compares every
entry once, a selection 16 times or more."""

MAXIMA_TILE = 4096
"""Entries that one program of `_maxima` reads."""

LONGEST_ROW = (1 << 31) - 1
"""Positions in a row are int32; offsets into y are int64, so rows times n has no such limit."""

WIDTHS = {
    torch.float16: (16, 0x7C00),
    torch.bfloat16: (16, 0x7F80),
    torch.float32: (32, 0x7F800000),
    torch.float64: (64, 0x7FF0000000000000),
}
"""dtype -> (width in bits, bits of infinity); larger magnitudes are NaN (IEEE 754-2019, section 3.4)."""

INTEGERS = {16: torch.int16, 32: torch.int32, 64: torch.int64}

VALUES, SURVIVORS, CANDIDATES = 0, 1, 2
"""What `_select` reads: a row of values; the chosen blocks of a row; keys that an earlier pass left, with positions."""


def _device_type() -> str:
    """torch's name for the devices that the kernels run on here: 'cpu' under Triton's interpreter; '' for none."""
    if triton.knobs.runtime.interpret:
        return "cpu"
    accelerator = torch.accelerator.current_accelerator(check_available=True)
    return accelerator.type if accelerator else ""


RUNS_ON = _device_type()


def topk(input: Tensor, k: int, dim: int = -1, largest: bool = True, sorted: bool = True) -> Any:  # noqa: A002  (torch's names)
    """The k largest (or smallest) along a dimension: values, and int64 indices, as torch.topk gives them.

    input: of any shape and strides; the values are differentiable in it to any order. Of equal values the lowest
    indices are selected, lowest first; with sorted=False the result is in the order of the indices. Inputs that
    `refusal` refuses go to torch.topk. Raises what torch.topk raises.
    """
    if refusal(input, k, dim):
        return input.topk(k, dim, largest, sorted)
    rows = input if dim in (-1, input.dim() - 1) else input.movedim(dim, -1)
    indices = positions(rows.detach(), k, largest, sorted)
    values = rows.gather(-1, indices)
    if rows is not input:
        values, indices = values.movedim(-1, dim), indices.movedim(-1, dim)
    return torch.return_types.topk((values, indices))


def refusal(input: Tensor, k: int, dim: int = -1) -> str:  # noqa: A002  (torch's name)
    """Why the kernels do not select here, in one line; '' where they do. torch.topk reports errors in k and dim."""
    if not RUNS_ON or input.device.type != RUNS_ON:
        return f"the kernels run on {RUNS_ON or 'an accelerator'}, and y is on {input.device.type}"
    if input.dtype not in WIDTHS:
        return f"the kernels select floating-point values, not {input.dtype}"
    if input.layout != torch.strided or input.is_nested:
        return "the kernels select from strided tensors"
    if not -input.dim() <= dim < input.dim() or not input.numel():
        return "there is nothing to select from"
    n = input.shape[dim]
    if not 1 <= k <= min(n, MOST_SELECTED) or n > LONGEST_ROW:
        return f"the kernels select 1 to {MOST_SELECTED} of at most {LONGEST_ROW} values, not {k} of {n}"
    return ""


@torch.library.custom_op("topk_harness::positions", mutates_args=())
def positions(y: Tensor, k: int, largest: bool, sorted: bool) -> Tensor:  # noqa: A002  (torch's name)
    """Indices (..., k), int64, of the k largest or smallest of each row of y (..., n); only where `refusal` is ''.

    sorted: from the largest (smallest) on, equal values by index; otherwise in the order of the indices.
    """
    # Triton launches on the current device, which need not be the one of y.
    with torch.accelerator.device_index(y.device.index):
        rows = y.reshape(-1, y.shape[-1]).resolve_neg()
        if rows.stride(-1) != 1:
            rows = rows.contiguous()
        width, infinity = WIDTHS[y.dtype]
        chosen = _Selection(rows.view(INTEGERS[width]), width, infinity, largest).of_values(k)
        return _ordered(*chosen, k, sorted).view(*y.shape[:-1], k)


@positions.register_fake
def _(y: Tensor, k: int, largest: bool, sorted: bool) -> Tensor:  # noqa: A002
    return y.new_empty((*y.shape[:-1], k), dtype=torch.int64)


@positions.register_vmap
def _(info: Any, in_dims: tuple[int | None, ...], y: Tensor, k: int, largest: bool, sorted: bool) -> Any:  # noqa: A002
    return positions(y.movedim(in_dims[0] or 0, 0), k, largest, sorted), 0


# Indices have no derivative; `topk` gathers the values by them, and autograd differentiates that.
positions.register_autograd(lambda context, gradient: (None, None, None, None))


class _Selection:
    """The passes over one input, as bits (rows, n). Grids have one dimension, since CUDA limits the others to 65535."""

    def __init__(self, bits: Tensor, width: int, infinity: int, largest: bool) -> None:
        self.bits, self.width, self.infinity, self.largest = bits, width, infinity, largest
        self.rows, self.n = bits.shape
        self.key_dtype = torch.int64 if width == 64 else torch.int32

    def of_values(self, k: int) -> tuple[Tensor, Tensor]:
        """Keys and positions (rows, k) of the k largest, in ascending order of position."""
        if self.n <= MAXIMA_FROM:
            return self._narrowed(VALUES, self.bits, None, self.n, 1, k)
        length = block_length(self.n, k)
        blocks = triton.cdiv(self.n, length)
        maxima = self.bits.new_empty((self.rows, blocks), dtype=self.key_dtype)
        together = MAXIMA_TILE // length
        parts = triton.cdiv(blocks, together)
        _maxima[(self.rows * parts,)](
            self.bits, maxima, self.n, blocks, self.bits.stride(0), parts,
            together, length, self.width, self.infinity, self.largest,
        )  # fmt: skip
        winners = self._narrowed(CANDIDATES, maxima, None, blocks, 1, k)[1]
        return self._narrowed(SURVIVORS, self.bits, winners, k * length, length, k)

    def _narrowed(
        self, source: int, entries: Tensor, places: Tensor | None, count: int, length: int, k: int
    ) -> tuple[Tensor, Tensor]:
        """Keys and positions (rows, k) of the k largest of `count` entries in each row.

        Passes over tiles narrow the entries down until one tile holds all that is left. places: the positions that
        belong to keys, or the chosen blocks, of `length` entries each.
        """
        while True:
            wide = max(16, min(TILE, triton.next_power_of_2(count)))
            tiles = triton.cdiv(count, wide)
            together = max(1, min(32, 2048 // wide)) if tiles == 1 else 1
            keys = self.bits.new_empty((self.rows, tiles * k), dtype=self.key_dtype)
            kept = self.bits.new_empty((self.rows, tiles * k), dtype=torch.int32)
            _select[(triton.cdiv(self.rows, together) * tiles,)](
                entries, entries if places is None else places, keys, kept,
                self.rows, count, self.n, entries.stride(0), k, tiles,
                together, wide, length, source, places is not None, self.width, self.infinity, self.largest,
                num_warps=warps(wide, self.width),
            )  # fmt: skip
            if tiles == 1:
                return keys, kept
            source, entries, places, count, length = CANDIDATES, keys, kept, tiles * k, 1


def warps(wide: int, width: int) -> int:
    """Warps of a program of `_select`: enough for a tile to fit into its registers."""
    if wide < TILE // 2:
        return 4
    return 16 if width == 64 and wide == TILE else 8


def block_length(n: int, k: int) -> int:
    """A power of two near sqrt(n / k): then there are about as many maxima as entries in the k chosen blocks."""
    return min(MAXIMA_TILE // 2, 1 << max(4, round(math.log2(n / k) / 2)))


def ordered_together(side: int) -> int:
    """Rows that one program of `_order` takes, if it compares the keys of a row in squares of this side."""
    return max(1, 1024 // (side * side))


def _ordered(keys: Tensor, positions: Tensor, k: int, sorted: bool) -> Tensor:  # noqa: A002
    """Positions (rows, k) as int64; sorted: from the largest key on, otherwise as they are, ascending."""
    if not sorted or k == 1:
        return positions.to(torch.int64)
    rows = positions.shape[0]
    side = max(2, min(64, triton.next_power_of_2(k)))
    together = ordered_together(side)
    indices = positions.new_empty((rows, k), dtype=torch.int64)
    parts = triton.cdiv(k, side)
    _order[(triton.cdiv(rows, together) * parts,)](
        keys, positions, indices, rows, k, parts, together, side, keys.dtype == torch.int64
    )
    return indices


@triton.jit
def _key(bits, WIDTH: tl.constexpr, INFINITY: tl.constexpr, LARGEST: tl.constexpr):
    """Keys: the bits of values as unsigned integers in the order of torch.topk, reversed for the smallest.

    A negative number has all bits inverted and any other its sign bit set, the usual map for a radix sort.
    """
    if WIDTH == 64:
        unsigned = bits.to(tl.uint64, bitcast=True)
    elif WIDTH == 32:
        unsigned = bits.to(tl.uint32, bitcast=True)
    else:
        unsigned = bits.to(tl.uint16, bitcast=True).to(tl.uint32)
    sign: tl.constexpr = 1 << (WIDTH - 1)
    every: tl.constexpr = (1 << WIDTH) - 1
    magnitude = unsigned & (sign - 1)
    keys = tl.where(unsigned >= sign, unsigned ^ every, unsigned | sign)
    keys = tl.where(magnitude == 0, sign, keys)
    keys = tl.where(magnitude > INFINITY, every, keys)
    return keys if LARGEST else keys ^ every


@triton.jit
def _maxima(
    bits, maxima, n, blocks, stride, parts,
    TOGETHER: tl.constexpr, LENGTH: tl.constexpr,
    WIDTH: tl.constexpr, INFINITY: tl.constexpr, LARGEST: tl.constexpr,
):  # fmt: skip
    """The largest key of each block of a row. Entries beyond the end of the row count as the least key, 0."""
    row = (tl.program_id(0) // parts).to(tl.int64)
    block = (tl.program_id(0) % parts) * TOGETHER + tl.arange(0, TOGETHER)
    place = block[:, None].to(tl.int64) * LENGTH + tl.arange(0, LENGTH)[None, :]
    inside = place < n
    keys = _key(tl.load(bits + row * stride + place, mask=inside, other=0), WIDTH, INFINITY, LARGEST)
    keys = tl.where(inside, keys, 0)
    largest = tl.max(keys, axis=1)
    tl.store(maxima + row * blocks + block, largest.to(maxima.dtype.element_ty, bitcast=True), mask=block < blocks)


@triton.jit
def _select(
    entries, places, keys_out, places_out, rows, count, n, stride, k, tiles,
    TOGETHER: tl.constexpr, WIDE: tl.constexpr, LENGTH: tl.constexpr, SOURCE: tl.constexpr, PLACED: tl.constexpr,
    WIDTH: tl.constexpr, INFINITY: tl.constexpr, LARGEST: tl.constexpr,
):  # fmt: skip
    """The k largest keys of each tile of each row, with their positions in the row, in ascending order of position.

    Entries beyond the end of the row have key 0, and so has NaN where the smallest are sought. Since the former stand
    behind all others, the first of equal keys are selected, and a row has at least k entries, the last pass selects
    none of the former.
    """
    tile = tl.program_id(0) % tiles
    row = ((tl.program_id(0) // tiles).to(tl.int64) * TOGETHER + tl.arange(0, TOGETHER))[:, None]
    slot = tile * WIDE + tl.arange(0, WIDE)[None, :]
    inside = (row < rows) & (slot < count)
    position = slot + tl.zeros_like(row).to(tl.int32)
    if SOURCE == 1:
        block = tl.load(places + row * k + slot // LENGTH, mask=inside, other=0)
        position = block * LENGTH + slot % LENGTH
        inside = inside & (position < n)
    elif PLACED and SOURCE == 2:
        position = tl.load(places + row * count + slot, mask=inside, other=0)
    if SOURCE == 2:
        held = tl.load(entries + row * count + slot, mask=inside, other=0)
        keys = held.to(tl.uint64 if WIDTH == 64 else tl.uint32, bitcast=True)
    else:
        keys = _key(tl.load(entries + row * stride + position, mask=inside, other=0), WIDTH, INFINITY, LARGEST)
    keys = tl.where(inside, keys, 0)

    # The k-th largest key, found two bits at a time: the largest t such that at least k keys are not below t.
    threshold = tl.zeros((TOGETHER, 1), dtype=keys.dtype)
    for step in range(WIDTH // 2):
        unit = tl.full((TOGETHER, 1), 1, dtype=keys.dtype) << (WIDTH - 2 - 2 * step)
        # Three counts in one sum: none exceeds TILE, which is far below 2^20.
        reached = (keys >= threshold + unit).to(tl.int64)
        reached += (keys >= threshold + 2 * unit).to(tl.int64) << 20
        reached += (keys >= threshold + 3 * unit).to(tl.int64) << 40
        counts = tl.sum(reached, axis=1, keep_dims=True)
        digit = ((counts & 0xFFFFF) >= k).to(tl.int32)
        digit += (((counts >> 20) & 0xFFFFF) >= k).to(tl.int32)
        digit += ((counts >> 40) >= k).to(tl.int32)
        threshold += unit * digit.to(threshold.dtype)

    above = keys > threshold
    equal = keys == threshold
    open_places = k - tl.sum(above.to(tl.int32), axis=1, keep_dims=True)
    kept = above | (equal & (tl.cumsum(equal.to(tl.int32), axis=1) <= open_places))
    target = tl.cumsum(kept.to(tl.int32), axis=1) - 1
    target = (row * tiles + tile) * k + target
    kept = kept & (row < rows)
    tl.store(keys_out + target, keys.to(keys_out.dtype.element_ty, bitcast=True), mask=kept)
    tl.store(places_out + target, position, mask=kept)


@triton.jit
def _order(keys_in, places, indices, rows, k, parts, TOGETHER: tl.constexpr, SIDE: tl.constexpr, DOUBLE: tl.constexpr):
    """Write every selected position to its rank: the number of keys that are larger, or equal and before it."""
    part, group = tl.program_id(0) % parts, (tl.program_id(0) // parts).to(tl.int64)
    row = (group * TOGETHER + tl.arange(0, TOGETHER))[:, None, None]
    own = part * SIDE + tl.arange(0, SIDE)[None, :, None]
    held = (row < rows) & (own < k)
    kind: tl.constexpr = tl.uint64 if DOUBLE else tl.uint32
    mine = tl.load(keys_in + row * k + own, mask=held, other=0).to(kind, bitcast=True)
    rank = tl.zeros((TOGETHER, SIDE), dtype=tl.int32)
    for begin in range(0, k, SIDE):
        other = begin + tl.arange(0, SIDE)[None, None, :]
        present = (row < rows) & (other < k)
        theirs = tl.load(keys_in + row * k + other, mask=present, other=0).to(kind, bitcast=True)
        before = (theirs > mine) | ((theirs == mine) & (other < own))
        rank += tl.sum((before & present).to(tl.int32), axis=2)
    flat = (group * TOGETHER + tl.arange(0, TOGETHER))[:, None]
    place = part * SIDE + tl.arange(0, SIDE)[None, :]
    inside = (flat < rows) & (place < k)
    position = tl.load(places + flat * k + place, mask=inside, other=0)
    tl.store(indices + flat * k + rank, position.to(tl.int64), mask=inside)
