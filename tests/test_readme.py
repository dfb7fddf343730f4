"""What the READMEs show is run, and what they link to and name is there.

A block that names a file after its language is written to it (a file that is there is added to); `sh` and `python`
blocks without one are run, in the order of the READMEs. Commands that run these tests, or time, are only dry-run.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import harness.cli
from harness.vocabulary import EXIT_INTERNAL
from tests import readmes
from tests.fork_commands import CLIENT
from tests.forked import Server, shared
from tests.payload import payload_of
from tests.readmes import CONTRIBUTING, READMES, ROOT
from tests.test_layers import FLOORS

DRY = ("make test", "make acceptance", "make microbench", "make lint")
SECONDS = 240
MOST_LINES = 250
"""Of the first README: what is reference stands beside what it is about."""

each_readme = pytest.mark.parametrize(
    "readme", [*READMES, CONTRIBUTING], ids=lambda path: str(path.relative_to(ROOT).parent)
)


FORKS = """

if "tests.forked" not in sys.modules:  # else it is what imports this
    from tests.forked import fork_all

    fork_all()
"""
"""Added to what starts a worker: the blocks start some twenty, and each would import torch for two seconds."""

SMALLER = {
    '["native", "native_unsorted", "sort", "dense", "coo", "csr", "csr_at", "gather", "fused"]': '["native", "csr_at"]',
    '["float16", "bfloat16", "float32", "float64"]': '["float16", "float32"]',
    '[1, "n/16"]': "1",
}
"""What is narrowed in the study `smoke`, which the blocks run: they do the same with two methods and dtypes. One of the
cells is still refused."""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of what is in the repository, with the environment of these tests as its .venv; its workers are forked,
    and `smoke` is smaller."""
    if not list(Path(sys.prefix).glob("installed-*")):
        pytest.skip("make would install: these tests do not run in a .venv that it made")
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in listed.stdout.splitlines():
        if (ROOT / name).is_file():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, tmp_path / name)
    starts = tmp_path / "harness" / "session" / "process.py"
    starts.write_text(starts.read_text(encoding="utf-8") + FORKS, encoding="utf-8")
    smoke = tmp_path / "studies" / "smoke.toml"
    for whole, part in SMALLER.items():
        text = smoke.read_text(encoding="utf-8")
        assert whole in text
        smoke.write_text(text.replace(whole, part), encoding="utf-8")
    (tmp_path / ".venv").symlink_to(sys.prefix)
    # Older than any .venv: to install again would point this environment at the copy.
    os.utime(tmp_path / "pyproject.toml", (0, 0))
    return tmp_path


@pytest.fixture
def forked() -> Iterator[str]:
    """What a shell is told first, so that `harness` in a block starts at once; what make calls is not forked."""
    if sys.platform != "linux":
        yield ""
        return
    server = Server("tests.fork_commands")
    try:
        command = shlex.join([sys.executable, "-I", "-S", "-c", CLIENT, server.address()])
        yield f'harness() {{ {command} "$@"; }}'
    finally:
        server.close()


def shell(commands: str, folder: Path, first: str = "") -> None:
    lines = [line.replace("make", "make -n", 1) if line.startswith(DRY) else line for line in commands.splitlines()]
    environment = os.environ | {"STUDIES": "smoke", "PYTHONPATH": str(folder)} | shared()
    environment["PATH"] = f"{Path(sys.prefix) / 'bin'}{os.pathsep}{environment['PATH']}"
    environment.pop("MAKEFLAGS", None)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", "\n".join([first, *lines])],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    assert done.returncode == 0, f"{commands}\n{done.stdout}\n{done.stderr}"


def test_every_block_of_every_readme_works(checkout: Path, forked: str) -> None:
    ran = 0
    for readme in READMES:
        for language, file, body in readmes.blocks(readme.read_text(encoding="utf-8")):
            if file:
                target = checkout / file
                before = target.read_text(encoding="utf-8") + "\n\n" if target.exists() else ""
                target.write_text(before + body, encoding="utf-8")
            elif language == "sh":
                shell(body, checkout, forked)
                ran += 1
            elif language == "python":
                (checkout / "from_the_readme.py").write_text(body, encoding="utf-8")
                shell("python from_the_readme.py", checkout)
                ran += 1
    assert ran >= 10
    newest = {path.parent.parent.name for path in checkout.glob("results/*/*/2*/run.json")}
    assert {"smoke", "ours", "mine"} <= newest
    assert list(checkout.glob("results/*/mine/*/figures/*.png"))
    report = (checkout / "results" / "report.html").read_text(encoding="utf-8")
    (mine,) = payload_of(report)["runs"]
    assert mine["label"].startswith("mine, ")
    assert "top_of_halves" in mine["cells"]["method"]["words"]
    assert {1000, 4096} == set(mine["cells"]["n"])
    assert "ulp_median" in mine["tables"]["error"]["metric"]["words"]
    assert "<b>speed</b>: Speed-up over native by distribution." in report


def test_the_first_readme_is_short() -> None:
    assert len(readmes.FIRST.read_text(encoding="utf-8").splitlines()) <= MOST_LINES


def test_every_readme_is_found_from_the_first() -> None:
    reached, todo = set(), [readmes.FIRST]
    while todo:
        here = todo.pop()
        if here not in reached:
            reached.add(here)
            targets = [here.parent / each.partition("#")[0] for each in readmes.links(here.read_text("utf-8"))]
            todo += [each.resolve() for each in targets if each.name == "README.md"]
    assert reached == set(READMES)


@each_readme
def test_every_link_leads_to_a_file_and_a_heading(readme: Path) -> None:
    text = readme.read_text(encoding="utf-8")
    assert readmes.links(text)
    assert list(readmes.broken(readme, text)) == []


@each_readme
def test_every_file_that_is_named_is_there(readme: Path) -> None:
    written = {file for each in READMES for _, file, _ in readmes.blocks(each.read_text(encoding="utf-8"))}
    named = readmes.paths(readme.read_text(encoding="utf-8")) - written - {"studies/study.schema.json"}
    assert [path for path in sorted(named) if not (ROOT / path).is_file()] == []


@each_readme
def test_every_command_that_is_named_is_there(readme: Path) -> None:
    pieces, verbs = list(readmes.code(readme.read_text(encoding="utf-8"))), harness.cli.cli.commands
    options = {verb: {name for each in command.params for name in each.opts} for verb, command in verbs.items()}
    called = list(readmes.calls(pieces))
    assert {verb for verb, _ in called} <= set(verbs)
    assert [(verb, each) for verb, named in called for each in named if each not in options[verb]] == []
    targets = re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.M)
    assert readmes.words_after("make", pieces) <= set(targets)
    demonstrations = {path.stem for path in (ROOT / "tests" / "acceptance").glob("*.py")}
    assert readmes.words_after(r"python -m tests\.acceptance", pieces) <= demonstrations


def test_each_figure_of_the_first_readme_is_in_a_committed_summary() -> None:
    text = readmes.FIRST.read_text(encoding="utf-8")
    summaries = (ROOT / "results").glob("*/*/reference/figures/summary.md")
    told = "".join(path.read_text(encoding="utf-8") for path in summaries)
    figures = [" ".join(each.split()) for each in re.findall(r"\*\*(.+?)\*\*", readmes.prose(text), flags=re.S)]
    figures = [each for each in figures if re.search(r"\d", each)]
    assert len(figures) > 40
    assert [figure for figure in figures if figure not in told] == []


def test_every_study_verb_exit_code_and_room_is_told_where_somebody_would_look() -> None:
    studies, commands, rooms = (
        (ROOT / room / "README.md").read_text(encoding="utf-8") for room in ("studies", "harness/cli", "harness")
    )
    assert set(re.findall(r"^\| \[(\w+)\]\(\w+\.toml\)", studies, flags=re.M)) == {
        path.stem for path in (ROOT / "studies").glob("*.toml")
    }, "a study in studies/ needs a line in the table of studies/README.md"
    table = re.search(r"^\| verb .*?\n\n", commands, flags=re.M | re.S)
    assert table
    assert set(re.findall(r"`(\w+)`", table[0])) >= set(harness.cli.cli.commands)
    assert re.findall(r"^\| (\d+) \| ", commands, flags=re.M)[0] == str(EXIT_INTERNAL)
    told = {name for line in rooms.splitlines() if re.match(r"\| \d+ ", line) for name in re.findall(r"`(\w+)`", line)}
    assert {room for each in FLOORS.values() for room in each} <= told


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("[here](#a-heading)\n\n## A heading!\n", []),
        ("[here](#the-heading)\n\n## A heading\n", ["#the-heading: no such heading"]),
        ("[there](nowhere.md)", ["nowhere.md: no such file"]),
        ('<img src="nowhere.png">', ["nowhere.png: no such file"]),
        ("## Twice\n## Twice\n[second](#twice-1) [third](#twice-2)", ["#twice-2: no such heading"]),
        ("```text\n# no heading\n[no](link)\n```\n[here](#no-heading)", ["#no-heading: no such heading"]),
        ("[elsewhere](https://example.org/#top)", []),
    ],
)
def test_a_broken_link_is_found(tmp_path: Path, text: str, wrong: list[str]) -> None:
    readme = tmp_path / "README.md"
    readme.write_text(text, encoding="utf-8")
    assert list(readmes.broken(readme, text)) == wrong


def test_what_code_names_is_found_in_blocks_and_in_texts() -> None:
    text = "Say `harness run smoke --plot` or `make regress`.\n```sh\nharness duel x --base-rev main  # y\n```\n"
    pieces = list(readmes.code(text))
    assert list(readmes.calls(pieces)) == [("duel", ["--base-rev"]), ("run", ["--plot"])]
    assert readmes.words_after("make", pieces) == {"regress"}
    assert readmes.paths("`studies/a.toml` `../studies/b.toml` `results/<machine>/c.csv`") == {"studies/a.toml"}
