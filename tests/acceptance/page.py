"""The page of a large run: how much it weighs, and how soon a browser has it ready."""

from __future__ import annotations

import json
import math
import shutil
import tempfile
import time
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from playwright.sync_api import sync_playwright

from harness.cli.publish import publish
from harness.study.cells import Case
from harness.vocabulary import DTYPES
from tests.acceptance.line import Line
from tests.recorded import TEXT, TIMING
from tests.sidecar import SIDECAR

CELLS = 5000
MEGABYTES, SECONDS, LOADS = 8.0, 2.0, 5

METHODS = ("native", "native_unsorted", "sort", "dense", "coo", "csr", "gather", "fused", "copy", "read")
PHASES = ("build", "apply", "forward", "backward", "pipeline")
LAUNCHES, ROUNDS = 3, 8
TENSORS, METRICS = ("values", "dy", "dx", "dW"), ("rel_l2", "ulp_max", "abs_max", "equal_share", "bound_ratio_max")
REFERENCES = ("native", "exact")


def measure() -> Iterator[Line]:
    """Weight of the page of CELLS cells, and the median over LOADS of the seconds from opening it to being ready."""
    with tempfile.TemporaryDirectory() as folder:
        run = large_run(Path(folder) / "run")
        page = publish([str(run)], Path(folder), Path(folder))
        yield Line(f"megabytes of the page of {CELLS} cells", page.stat().st_size / 1e6, MEGABYTES)
        yield Line("seconds until a browser has it ready", float(np.median(list(loads(page)))), SECONDS)


def loads(page: Path) -> Iterator[float]:
    """Seconds from the address to a page whose charts are drawn, each in a window of its own."""
    arguments = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=shutil.which("chromium"), args=arguments)
        for _ in range(LOADS):
            window = browser.new_page()
            begin = time.perf_counter()
            window.goto(page.as_uri())
            window.wait_for_selector("html[data-ready=yes]")
            yield time.perf_counter() - begin
            window.close()
        browser.close()


def large_run(folder: Path, study: str = "large", launches: int = LAUNCHES) -> Path:
    """Tables of a run that nobody measured: CELLS cells, all phases and as many figures as a precision study has."""
    folder.mkdir()
    text = TEXT.replace("Recorded", "A large run")
    info = SIDECAR | {"study": study, "text": text, "timing": TIMING, "commit": "0" * 40, "dirty": False}
    (folder / "run.json").write_text(json.dumps(info | {"torch": {"torch": "2.x"}, "end": "now"}))
    sizes = list(product([2**e for e in range(6, 19)], (1, 2, 4, 8, 16, 32, 50, 64), DTYPES))
    cases = [Case(n=n, k=k, dtype=dtype, d=seed) for seed in (8, 16) for n, k, dtype in sizes][: CELLS // len(METHODS)]
    keys = pd.DataFrame([{"case": case.id, "method": name, **case.axes} for case in cases for name in METHODS])
    rng = np.random.default_rng(0)
    launched = keys.merge(pd.Series(range(1, launches + 1), name="launch"), how="cross")
    status: dict[str, Any] = {
        "status": "ok",
        "reason": "",
        "machine": "here",
        "predicted_bytes": 1,
        "wall_seconds": 0.1,
    }
    launched.assign(**status, compile_seconds=math.nan).to_csv(folder / "cells.csv", index=False, na_rep="nan")
    phased = launched.merge(pd.Series(PHASES, name="phase"), how="cross")
    phased = phased[[*keys, "phase", "launch"]]
    blocks = phased.merge(pd.Series(range(ROUNDS), name="round"), how="cross").assign(position=0, calls=10)
    seconds = 1e-6 * blocks["n"] ** 0.5 * np.exp(rng.normal(0, 0.1, len(blocks)))
    blocks.assign(seconds=seconds, clock="wall").to_csv(folder / "timings.csv", index=False, na_rep="nan")
    phased.assign(min_bytes=phased["n"] * 4, peak_bytes=4096.0).to_csv(folder / "memory.csv", index=False)
    figures = pd.DataFrame(
        product(TENSORS, ("method",), REFERENCES, METRICS), columns=["tensor", "of", "reference", "metric"]
    )
    errors = keys.merge(figures, how="cross")
    errors.assign(value=np.exp(rng.normal(-12, 2, len(errors)))).to_csv(folder / "discrepancies.csv", index=False)
    return folder
