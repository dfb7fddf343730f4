"""python -m tests.compiled: what the kernels of blockmax_triton take of an sm_90, for which no GPU is needed.

One line each: the name, and registers, stack, local (bytes, where registers spill to), shared (bytes).
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from harness.methods.kernels import blockmax
from harness.methods.kernels.blockmax import CANDIDATES, MAXIMA_TILE, SURVIVORS, TILE, VALUES, WIDTHS, warps

HOPPER = GPUTarget("cuda", 90, 32)
USAGE = re.compile(r"REG:(?P<registers>\d+) STACK:(?P<stack>\d+) SHARED:\d+ LOCAL:(?P<local>\d+)")


@dataclass(frozen=True)
class Variant:
    """A kernel as a call would have it compiled: types of its arguments, values of its constants."""

    name: str
    kernel: Any
    types: dict[str, str]
    constants: dict[str, Any]
    num_warps: int = 4

    def usage(self) -> dict[str, str]:
        """Registers, stack, local and shared memory, as cuobjdump tells them of the compiled code."""
        names = self.kernel.arg_names
        signature = {each: "constexpr" if each in self.constants else self.types.get(each, "i32") for each in names}
        constants = {(names.index(each),): value for each, value in self.constants.items()}
        source = ASTSource(self.kernel, signature, constexprs=constants)
        compiled = triton.compile(source, target=HOPPER, options={"num_warps": self.num_warps})
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "kernel.cubin"
            file.write_bytes(compiled.asm["cubin"])
            tool = triton.knobs.nvidia.cuobjdump.path
            told = subprocess.run([tool, "-res-usage", str(file)], capture_output=True, text=True, check=True).stdout
        found = USAGE.search(told)
        assert found, f"cuobjdump says nothing of registers: {told}"
        return found.groupdict() | {"shared": str(compiled.metadata.shared)}


def variants() -> Iterator[Variant]:
    """The largest tiles of each kernel for each width of values, and _select as routers and one short row have it."""
    for width, infinity in dict(WIDTHS.values()).items():
        bits, keys = f"*i{width}", "*i64" if width == 64 else "*i32"
        order = {"WIDTH": width, "INFINITY": infinity, "LARGEST": True}
        types = {"entries": bits, "places": "*i32", "keys_out": keys, "places_out": "*i32", "stride": "i64"}
        for source in (VALUES, SURVIVORS, CANDIDATES) if width > 16 else (VALUES,):
            length = MAXIMA_TILE // 2 if source == SURVIVORS else 1
            own = order | {"TOGETHER": 1, "WIDE": TILE, "LENGTH": length, "SOURCE": source, "PLACED": source != VALUES}
            read = types | ({"entries": keys} if source == CANDIDATES else {})
            yield Variant(f"_select/{width}/{source}", blockmax._select, read, own, warps(TILE, width))
        router = order | {"TOGETHER": 16, "WIDE": 128, "LENGTH": 1, "SOURCE": VALUES, "PLACED": False, "LARGEST": False}
        yield Variant(f"_select/{width}/rows", blockmax._select, types | {"places": bits}, router)
        ones = dict.fromkeys(("rows", "count", "n", "stride", "k", "tiles"), 1)
        one = router | ones | {"TOGETHER": 32, "WIDE": 16}
        yield Variant(f"_select/{width}/ones", blockmax._select, types | {"places": bits}, one)
        half = MAXIMA_TILE // 2
        maxima = {"bits": bits, "maxima": keys, "stride": "i64"}
        for together, length in ((2, half), (MAXIMA_TILE // 16, 16)):
            own = order | {"TOGETHER": together, "LENGTH": length}
            yield Variant(f"_maxima/{width}/{length}", blockmax._maxima, maxima, own)
        if width > 16:  # keys of halves are those of float32
            ordered = {"keys_in": keys, "places": "*i32", "indices": "*i64"}
            for side in (64, 2):
                own = {"TOGETHER": blockmax.ordered_together(side), "SIDE": side, "DOUBLE": width == 64}
                yield Variant(f"_order/{width}/{side}", blockmax._order, ordered, own)


if __name__ == "__main__":
    for each in variants():
        print(each.name, *(f"{fact}={value}" for fact, value in each.usage().items()), flush=True)  # noqa: T201
