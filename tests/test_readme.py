"""What the README shows is run: files that it has one write are written, commands and programs are run, in order.

A block that names a file after its language is written to it (a file that is there is added to); `sh` and `python`
blocks without one are run. Long commands take STUDIES=smoke; those that run these tests, or time, are only dry-run.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.payload import payload_of

ROOT = Path(__file__).parent.parent
DRY = ("make test", "make acceptance", "make microbench")
SECONDS = 240


def blocks(text: str) -> Iterator[tuple[str, str, str]]:
    """(language, file or '', body) of every fenced block."""
    yield from re.findall(r"^```(\w+)(?: (\S+))?\n(.*?)^```$", text, flags=re.M | re.S)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of what is in the repository, with the environment of these tests as its .venv."""
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
    (tmp_path / ".venv").symlink_to(sys.prefix)
    # Older than any .venv: to install again would point this environment at the copy.
    os.utime(tmp_path / "pyproject.toml", (0, 0))
    return tmp_path


def shell(commands: str, folder: Path) -> None:
    lines = [line.replace("make", "make -n", 1) if line.startswith(DRY) else line for line in commands.splitlines()]
    environment = os.environ | {"STUDIES": "smoke", "PYTHONPATH": str(folder)}
    environment["PATH"] = f"{Path(sys.prefix) / 'bin'}{os.pathsep}{environment['PATH']}"
    environment.pop("MAKEFLAGS", None)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", "\n".join(lines)],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    assert done.returncode == 0, f"{commands}\n{done.stdout}\n{done.stderr}"


def test_every_block_of_the_readme_works(checkout: Path) -> None:
    ran = 0
    for language, file, body in blocks((checkout / "README.md").read_text(encoding="utf-8")):
        if file:
            target = checkout / file
            before = target.read_text(encoding="utf-8") + "\n\n" if target.exists() else ""
            target.write_text(before + body, encoding="utf-8")
        elif language == "sh":
            shell(body, checkout)
            ran += 1
        elif language == "python":
            (checkout / "from_the_readme.py").write_text(body, encoding="utf-8")
            shell("python from_the_readme.py", checkout)
            ran += 1
    assert ran >= 3
    newest = {path.parent.parent.name for path in checkout.glob("results/*/*/*/run.json")}
    assert {"smoke", "mine"} <= newest
    assert list(checkout.glob("results/*/mine/*/figures/*.png"))
    report = (checkout / "results" / "report.html").read_text(encoding="utf-8")
    (mine,) = payload_of(report)["runs"]
    assert mine["label"].startswith("mine, ")
    assert "top_of_halves" in mine["cells"]["method"]["words"]
    assert {1000, 4096} == set(mine["cells"]["n"])
    assert "ulp_median" in mine["tables"]["error"]["metric"]["words"]
    assert "<b>speed</b>: Speed-up over native by distribution." in report


def test_files_that_the_readme_links_to_exist() -> None:
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", (ROOT / "README.md").read_text(encoding="utf-8"))
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []
