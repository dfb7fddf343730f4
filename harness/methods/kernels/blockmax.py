"""An exact top-k for accelerators, in Triton: a few launches whatever the input holds, and never a wait for the host.

The file needs torch and Triton alone. Like harness/methods/blockmax.py, which has the proof, it composes selections:
the k largest of a row lie in the k blocks with the largest maxima (`_maxima`), and also among the k largest of each
tile (`_select`). Which passes are made follows from the shape alone, never from the values:

    n <= TILE              one program selects k of a row, and narrow rows share a program
    n <= MAXIMA_FROM       every tile keeps its own k largest; what they keep is a row again, TILE / k times shorter
    above                  one read for the maxima of blocks; k blocks of those maxima; k of what these blocks hold

So no input is slower than another: constant, sorted and clustered rows cost what random ones do.

Order. A value's key is its bits as an unsigned integer that is ordered as torch.topk orders values: NaN of either sign
above all, -0 equal to +0. Keys are compared, values never are, so halves lose nothing and NaN needs no case of its own.
Of equal values the ones with the lowest indices are selected, and in that order: the result is the same in every call.

Tuned for nothing yet: TILE, MAXIMA_FROM and the tile of `_order` are chosen by reasoning about an H200 and were not
measured on one.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

TILE = 8192
"""Entries that one program selects from: 32 a thread, which stay in registers."""

MOST_SELECTED = TILE // 4
"""Largest k: a pass over tiles then leaves at most a quarter of the entries."""

MAXIMA_FROM = 1 << 22
"""Entries of a row above which blocks are reduced first: a selection does 16 comparisons an entry, a maximum one."""

MAXIMA_TILE = 4096
"""Entries that one program of `_maxima` reads."""

LONGEST_ROW = 1 << 31
"""Positions in a row are kept as int32."""

WIDTHS = {
    torch.float16: (16, 0x7C00),
    torch.bfloat16: (16, 0x7F80),
    torch.float32: (32, 0x7F800000),
    torch.float64: (64, 0x7FF0000000000000),
}
"""dtype -> bits of an element, and the bits of infinity: a larger magnitude is NaN (IEEE 754-2019, section 3.4)."""

INTEGERS = {16: torch.int16, 32: torch.int32, 64: torch.int64}

VALUES, SURVIVORS, CANDIDATES = 0, 1, 2
"""Where `_select` reads: a row of values; the blocks of a row that were chosen; keys with their positions."""


def topk(input: Tensor, k: int, dim: int = -1, largest: bool = True, sorted: bool = True) -> Any:  # noqa: A002  (torch's names)
    """The k largest (or smallest) along a dimension: values, and int64 indices, as torch.topk gives them.

    input: of any shape and strides; differentiable in it to any order. Of equal values the lowest indices are selected,
    lowest first; with sorted=False the selected are in the order of their indices. What `supported` refuses goes to
    torch.topk. Raises what torch.topk raises.
    """
    if not supported(input, k, dim):
        return input.topk(k, dim, largest, sorted)
    rows = input if dim in (-1, input.dim() - 1) else input.movedim(dim, -1)
    indices = positions(rows.detach(), k, largest, sorted)
    values = rows.gather(-1, indices)
    if rows is not input:
        values, indices = values.movedim(-1, dim), indices.movedim(-1, dim)
    return torch.return_types.topk((values, indices))


def supported(input: Tensor, k: int, dim: int = -1) -> bool:  # noqa: A002  (torch's name)
    """Whether the kernels select here: a floating dtype of WIDTHS, a row that is not too long, 1 <= k <= MOST_SELECTED."""
    if input.dtype not in WIDTHS or not input.numel() or not -input.dim() <= dim < input.dim():
        return False
    n = input.shape[dim]
    return 1 <= k <= min(n, MOST_SELECTED) and n < LONGEST_ROW


@torch.library.custom_op("topk_harness::positions", mutates_args=())
def positions(y: Tensor, k: int, largest: bool, sorted: bool) -> Tensor:  # noqa: A002  (torch's name)
    """Indices (..., k), int64, of the k largest or smallest of each row of y (..., n); y meets `supported`.

    sorted: from the largest (smallest) on, and equal ones by index; otherwise by index.
    """
    rows = y.reshape(-1, y.shape[-1])
    if rows.stride(-1) != 1:
        rows = rows.contiguous()
    width, infinity = WIDTHS[y.dtype]
    chosen = _Selection(rows.view(INTEGERS[width]), width, infinity, largest).of_values(k)
    found = _ordered(*chosen, k, sorted)
    return found.view(*y.shape[:-1], k)


@positions.register_fake
def _(y: Tensor, k: int, largest: bool, sorted: bool) -> Tensor:  # noqa: A002
    return y.new_empty((*y.shape[:-1], k), dtype=torch.int64)


@positions.register_vmap
def _(info: Any, in_dims: tuple[int | None, ...], y: Tensor, k: int, largest: bool, sorted: bool) -> Any:  # noqa: A002
    return positions(y.movedim(in_dims[0] or 0, 0), k, largest, sorted), 0


class _Selection:
    """The passes over one input of bits (rows, n). Grids have one dimension: CUDA limits the others to 65535."""

    def __init__(self, bits: Tensor, width: int, infinity: int, largest: bool) -> None:
        self.bits, self.width, self.infinity, self.largest = bits, width, infinity, largest
        self.rows, self.n = bits.shape
        self.key_dtype = torch.int64 if width == 64 else torch.int32

    def of_values(self, k: int) -> tuple[Tensor, Tensor]:
        """Keys and positions (rows, k) of the k largest, by ascending position."""
        if self.n <= MAXIMA_FROM:
            return self._narrowed(VALUES, self.bits, self.bits, self.n, 1, k)
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
        """Pass after pass over tiles, until one tile holds what is left, and k of that."""
        while True:
            wide = max(16, min(TILE, triton.next_power_of_2(count)))
            tiles = triton.cdiv(count, wide)
            together = max(1, min(32, 2048 // wide)) if tiles == 1 else 1
            keys = self.bits.new_empty((self.rows, tiles * k), dtype=self.key_dtype)
            found = self.bits.new_empty((self.rows, tiles * k), dtype=torch.int32)
            _select[(triton.cdiv(self.rows, together) * tiles,)](
                entries, entries if places is None else places, keys, found,
                self.rows, count, self.n, entries.stride(0), k, tiles,
                together, wide, length, source, places is not None, self.width, self.infinity, self.largest,
                num_warps=8 if wide >= 4096 else 4,
            )  # fmt: skip
            if tiles == 1:
                return keys, found
            source, entries, places, count, length = CANDIDATES, keys, found, tiles * k, 1


def block_length(n: int, k: int) -> int:
    """A power of two near sqrt(n / k), where as many maxima are searched as entries of the k chosen blocks."""
    return min(MAXIMA_TILE // 2, 1 << max(4, round(math.log2(n / k) / 2)))


def _ordered(keys: Tensor, found: Tensor, k: int, sorted: bool) -> Tensor:  # noqa: A002
    if not sorted or k == 1:
        return found.to(torch.int64)
    rows = found.shape[0]
    side = max(2, min(64, triton.next_power_of_2(k)))
    together = max(1, 4096 // (side * side))
    indices = found.new_empty((rows, k), dtype=torch.int64)
    parts = triton.cdiv(k, side)
    _order[(triton.cdiv(rows, together) * parts,)](
        keys, found, indices, rows, k, parts, together, side, keys.dtype == torch.int64
    )
    return indices


@triton.jit
def _key(bits, WIDTH: tl.constexpr, INFINITY: tl.constexpr, LARGEST: tl.constexpr):
    """The bits of values as unsigned integers in the order of torch.topk; reversed where the smallest are sought."""
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
    """The largest key of each block of a row; what lies behind the row has the least key, 0."""
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
    """The k largest keys of each tile of each row, with their positions in the row, by ascending position.

    An entry behind the end of the row has key 0 and a position behind it: of equal keys those of the lowest positions
    are selected, and a row has k entries, so that none of these is left at the end.
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
        position = tl.load(places + row * count + slot, mask=inside, other=2147483647)
    if SOURCE == 2:
        held = tl.load(entries + row * count + slot, mask=inside, other=0)
        keys = held.to(tl.uint64 if WIDTH == 64 else tl.uint32, bitcast=True)
    else:
        keys = _key(tl.load(entries + row * stride + position, mask=inside, other=0), WIDTH, INFINITY, LARGEST)
    keys = tl.where(inside, keys, 0)

    # The k-th largest key, two bits a step: the largest t of which at least k keys are not below.
    threshold = tl.zeros_like(tl.max(keys, axis=1, keep_dims=True))
    for step in range(WIDTH // 2):
        unit = (threshold * 0 + 1) << (WIDTH - 2 - 2 * step)
        # Three counts in one sum: each is at most TILE, far below 2^20.
        reached = (keys >= threshold + unit).to(tl.int64)
        reached += (keys >= threshold + 2 * unit).to(tl.int64) << 20
        reached += (keys >= threshold + 3 * unit).to(tl.int64) << 40
        counts = tl.sum(reached, axis=1, keep_dims=True)
        digit = ((counts & 0xFFFFF) >= k).to(tl.int32)
        digit += (((counts >> 20) & 0xFFFFF) >= k).to(tl.int32)
        digit += ((counts >> 40) >= k).to(tl.int32)
        threshold += unit * digit.to(threshold.dtype)

    above = keys > threshold
    level = keys == threshold
    wanted = k - tl.sum(above.to(tl.int32), axis=1, keep_dims=True)
    kept = above | (level & (tl.cumsum(level.to(tl.int32), axis=1) <= wanted))
    target = tl.cumsum(kept.to(tl.int32), axis=1) - 1
    target = (row * tiles + tile) * k + target
    kept = kept & (row < rows)
    tl.store(keys_out + target, keys.to(keys_out.dtype.element_ty, bitcast=True), mask=kept)
    tl.store(places_out + target, position, mask=kept)


@triton.jit
def _order(keys_in, places, indices, rows, k, parts, TOGETHER: tl.constexpr, SIDE: tl.constexpr, DOUBLE: tl.constexpr):
    """Each selected position at its rank: the number of larger keys, and of equal ones before it."""
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
    found = tl.load(places + flat * k + place, mask=inside, other=0)
    tl.store(indices + flat * k + rank, found.to(tl.int64), mask=inside)
