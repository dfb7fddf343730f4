"""What is damaged: runs, duels, histories and a study that nobody measured, and the commands that read each file."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from harness.study.tables import Gate
from harness.tables import (
    BASE,
    COMPRESSED,
    HEAD,
    RunWriter,
    append_history,
    compressed,
    read,
    read_suite,
    read_suite_verdicts,
    write_verdicts,
)
from harness.verdicts.comparison import compare_verdicts
from harness.verdicts.history import history_rows, record_suite
from harness.vocabulary import EXPORTS
from tests.acceptance.damage import damaged_compressed, damaged_json, damaged_study, damaged_table
from tests.recorded import TEXT, record
from tests.suite_sides import duelled_suite

SCRIPT = "FIGURES = ()\n\ndef summary(run):\n    return [f'{len(run.cells)} rows']\n"

STUDY = f"""{TEXT.strip()}
width = 0.1
[shapes.wide]
n = [512, 1024]
k = ["n/4", "all"]
[parameters]
cache = ["warm", "cold"]
[precision]
tensors = ["values", "dy"]
metrics = ["rel_l2", "flips"]
loss = "square"
[limits]
memory = "1 GiB"
seconds = 60
[gate]
time = 0.05
[[exclude]]
method = "gather"
n = 512
"""

BIG = ("cells", "timings", "memory", "discrepancies")


@dataclass(frozen=True)
class Target:
    """A file that is damaged, how, and the commands that read it, the cheap ones named more often."""

    path: Path
    damage: Callable[[random.Random, bytes], bytes]
    commands: tuple[tuple[str, ...], ...]


def prepared(folder: Path) -> list[Target]:
    """A study with its script, two runs of it and one with compressed tables, a duel of a study and one of a suite, and
    the histories; and what of them is damaged."""
    studies, results = folder / "studies", folder / "results"
    studies.mkdir()
    (studies / "recorded.py").write_text(SCRIPT)
    (studies / "wide.toml").write_text(STUDY)
    base, run = (
        record(results / "here" / "recorded" / f"2026010{day}T000000Z_a", launches=3, seed=day, begin=f"2026-01-0{day}")
        for day in (1, 2)
    )
    duel, history = results / "here" / "recorded" / "20260103T000000Z_a_vs_b", results / "here" / "history.csv"
    _write_what_is_judged(base, run, duel, history)
    tables = [
        Target(run / f"{table}.csv", damaged_table, (*readers(base, run), _call("recover", run))) for table in BIG
    ]
    export, report = (_call(verb, duel, results=results) for verb in ("export", "report"))
    page = ("--output", str(folder / "page.html"), "--studies", str(studies))
    exports = tuple((*export, "--to", to) for to in ("junit", "markdown")) * 3
    told = _call("history", "--machine", "here", studies=studies, results=results)
    study = Target(studies / "wide.toml", damaged_study, (_call("plan", studies / "wide.toml", studies=studies),))
    resume = _call("run", "--resume", run, studies=studies, results=results)
    return [
        *tables,
        Target(run / "facts.csv", damaged_table, (_call("plot", run, studies=studies, results=results),)),
        Target(duel / "verdicts.csv", damaged_table, (*exports, (*report, *page))),
        Target(history, damaged_table, (told,)),
        Target(run / "run.json", damaged_json, (*readers(base, run), *[resume] * 4)),
        *_compressed(base, results / "here" / "recorded" / "20260104T000000Z_a"),
        *_of_a_suite(results / "here" / "pytest-a" / "20260105T000000Z_a_vs_b", page),
        *[study] * 4,
    ]


def _compressed(base: Path, run: Path) -> list[Target]:
    """A run with compressed tables, as a reference has them."""
    record(run, launches=3, begin="2026-01-04")
    targets = []
    for table in BIG:
        whole = run / f"{table}.csv"
        target = whole.with_name(whole.name + COMPRESSED)
        target.write_bytes(compressed(whole.read_bytes()))
        whole.unlink()
        targets.append(Target(target, damaged_compressed, readers(base, run)))
    return targets


def _of_a_suite(duel: Path, page: tuple[str, ...]) -> list[Target]:
    """A duel of a pytest suite, and its row in the history of suites."""
    results, head = duel.parent.parent.parent, duelled_suite(duel) / HEAD
    record_suite(results, read_suite_verdicts(duel), read_suite(duel / BASE), read_suite(head))
    exports = tuple((*_call("export", duel, results=results), "--to", to) for to in EXPORTS) * 2
    commands = (*exports, (*_call("report", duel, results=results), *page))
    files = ((duel / "verdicts.csv", damaged_table), (head / "timings.csv", damaged_table))
    history = _call("history", "--machine", "here", studies=results.parent / "studies", results=results)
    return [
        *(Target(path, damage, commands) for path, damage in (*files, (head / "suite.json", damaged_json))),
        Target(results / "here" / "history_of_suites.csv", damaged_table, (history,)),
    ]


def readers(base: Path, run: Path) -> tuple[tuple[str, ...], ...]:
    """The commands that read a run, as it lies in the results beside the studies."""
    results = run.parent.parent.parent
    folders = {"studies": results.parent / "studies", "results": results}
    exports = [(*_call("export", run, results=results), "--to", to) for to in EXPORTS]
    report = (*_call("report", run, **folders), "--output", str(results.parent / "page.html"))
    return (*[_call("plot", run, **folders)] * 4, _call("compare", base, run, results=results), *exports, report)


def _call(verb: str, *arguments: object, **folders: Path) -> tuple[str, ...]:
    """The words of a command; folders: name of an option -> its path."""
    options = [word for name, path in folders.items() for word in (f"--{name}", str(path))]
    return (verb, *map(str, arguments), *options)


def _write_what_is_judged(base: Path, head: Path, duel: Path, history: Path) -> None:
    """Facts of the head, and a duel and a history of the two."""
    key = {str(name): value for name, value in read(head).cells.iloc[0, :13].items()}
    with RunWriter(head, {}) as writer:
        writer.write_whole("facts", [key | {"fact": "wins", "item": "ties", "value": 1.0, "detail": "-2 of them"}])
    for side, run in ((BASE, base), (HEAD, head)):
        shutil.copytree(run, duel / side)
    verdicts = compare_verdicts([read(base)], read(head), Gate())
    write_verdicts(duel, verdicts, {})
    for _ in range(3):
        append_history(history, history_rows(verdicts, read(base), read(head)))
