"""Two sides are told apart by commit, torch and Python: in a folder's name, and in every report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from harness.cli.publish import publish
from harness.export import export
from harness.report.sides import side_facts, side_labels, sides_text
from harness.tables import BASE, HEAD, read, write_sides, write_verdicts
from harness.verdicts.comparison import duel_verdicts, gate_of
from tests.command_line import call
from tests.recorded import record

ONE = {"torch": "2.13.0+cpu", "python": "3.11.2", "build": "gcc 12"}


def info(commit: str = "0123456789", *, dirty: bool = False, **torch: str) -> dict[str, Any]:
    return {"commit": commit, "dirty": dirty, "torch": ONE | torch}


@pytest.mark.parametrize(
    ("base", "head", "labels"),
    [
        (info(), info(), ("01234567", "01234567")),
        (info(), info("abcdef012345", dirty=True), ("01234567", "abcdef01-dirty")),
        (info(), info(torch="2.14.1"), ("01234567_torch-2.13.0+cpu", "01234567_torch-2.14.1")),
        (info(), info(torch="2.13.0+cu126", build="x"), ("01234567_torch-2.13.0+cpu", "01234567_torch-2.13.0+cu126")),
        (info(), info(python="3.13.1"), ("01234567_python-3.11.2", "01234567_python-3.13.1")),
        (
            info("fedcba9876", torch="2.14.1"),
            info(python="3.13.1"),
            ("fedcba98_torch-2.14.1_python-3.11.2", "01234567_torch-2.13.0+cpu_python-3.13.1"),
        ),
        (info(), {"commit": "none"}, ("01234567_torch-2.13.0+cpu_python-3.11.2", "none_torch-unknown_python-unknown")),
    ],
)
def test_a_label_has_the_commit_and_what_differs(base: Any, head: Any, labels: tuple[str, str]) -> None:
    assert side_labels(base, head) == labels
    assert side_labels(head, base) == labels[::-1]


def test_two_builds_of_one_version_have_two_labels() -> None:
    one, two = side_labels(info(build="gcc 12"), info(build="gcc 13"))
    assert one != two
    assert one.startswith("01234567_build-")


def test_packages_tell_two_sides_of_one_commit_apart() -> None:
    def of(commit: str, version: str) -> dict[str, Any]:
        return {"commit": commit, "torch": ONE | {"packages": {"mine": version}}}

    one, two = side_labels(of("0123456789", "1.0"), of("0123456789", "1.1"))
    assert one != two
    assert side_labels(of("0123456789", "1.0"), of("fedcba9876", "1.1")) == ("01234567", "fedcba98")


@pytest.mark.parametrize("told", ["../../x", "/etc/passwd", "2.13\n0", "x" * 1000, "\x1b[31m"])
def test_what_a_worker_says_of_itself_stays_a_part_of_a_name(told: str) -> None:
    for label in side_labels(info(torch=told), info()):
        assert Path(label).name == label
        assert label.isprintable()
        assert len(label) < 100


def test_every_report_of_a_duel_says_what_the_sides_are(tmp_path: Path) -> None:
    """The same commit under two builds of torch."""
    folder = tmp_path / "here" / "recorded" / "20260101T000000Z_a_vs_a"
    torch = {BASE: "2.13.0+cpu", HEAD: "2.14.1+cpu"}
    for seed, (name, version) in enumerate(torch.items()):
        build = {"torch": version, "python": "3.11.2", "build": "gcc"}
        record(folder / name, seed=seed, torch=build, commit="0123456789", machine={"slug": "here"})
    base, head = read(folder / BASE), read(folder / HEAD)
    write_verdicts(folder, duel_verdicts(base, head, range(1, 13), [], gate_of(head)), {})
    write_sides(folder, {BASE: side_facts(base.info), HEAD: side_facts(head.info)})
    line = "base 01234567, torch 2.13.0+cpu, Python 3.11.2; head 01234567, torch 2.14.1+cpu, Python 3.11.2"
    assert sides_text(base.info, head.info) == line
    assert {name: json.loads((folder / "verdicts.json").read_text())[name]["torch"] for name in torch} == torch
    (tmp_path / "recorded.py").write_text("FIGURES = ()\n")  # drawing is no matter of this test
    page = publish([str(folder)], tmp_path, tmp_path, tmp_path / "page.html").read_text(encoding="utf-8")
    assert line in page
    assert "recorded: 01234567, torch-2.14.1+cpu against 01234567, torch-2.13.0+cpu" in page
    assert line in export(folder, "markdown").splitlines()
    suite = ElementTree.fromstring(export(folder, "junit").encode())
    properties = {each.attrib["name"]: each.attrib["value"] for each in suite.iter("property")}
    assert (properties["base.torch"], properties["head.torch"]) == tuple(torch.values())
    assert properties["head.commit"] == "0123456789"
    compared = call("compare", folder / BASE, folder / HEAD, "--results", tmp_path)
    assert line in compared.stdout.splitlines()
