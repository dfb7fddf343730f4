"""The READMEs as the tests read them: their blocks, headings, links, and the files and commands that they name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
ROOMS = ("studies", "results", "harness", "tests")

FIRST = ROOT / "README.md"
READMES = [FIRST, *(path for room in ROOMS for path in sorted((ROOT / room).rglob("README.md")))]
"""In the order in which somebody would follow them: a block may use what a block before it wrote."""

CONTRIBUTING = ROOT / ".github" / "CONTRIBUTING.md"

SUFFIXES = ("py", "toml", "md", "yml", "jinja", "css", "js", "json")
"""Of the files whose names are taken for paths where they stand in a text."""


def blocks(text: str) -> Iterator[tuple[str, str, str]]:
    """(language, file or '', body) of every fenced block."""
    yield from re.findall(r"^```(\w+)(?: (\S+))?\n(.*?)^```$", text, flags=re.M | re.S)


def prose(text: str) -> str:
    """The text without its fenced blocks."""
    return re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S)


def code(text: str) -> Iterator[str]:
    """Every piece of code: the lines of the blocks of a shell, and what stands between backticks in a text."""
    for language, _, body in blocks(text):
        if language in ("sh", "text"):
            yield from body.splitlines()
    for span in re.findall(r"`([^`]+)`", prose(text)):
        yield " ".join(span.split())


def anchors(text: str) -> set[str]:
    """The anchors that GitHub gives to the headings: small letters, hyphens for spaces, nothing but words."""
    found: set[str] = set()
    for heading in re.findall(r"^#+ (.*)$", prose(text), flags=re.M):
        slug = re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")
        again = next(each for each in (slug, *(f"{slug}-{number}" for number in range(1, 100))) if each not in found)
        found.add(again)
    return found


def links(text: str) -> list[str]:
    """The targets inside the repository of links and pictures, with their anchors."""
    targets = re.findall(r"\]\(([^)\s]+)\)", prose(text)) + re.findall(r'(?:src|srcset|href)="([^"]+)"', prose(text))
    return [each for each in targets if not each.startswith(("https:", "http:"))]


def broken(readme: Path, text: str) -> Iterator[str]:
    """The links of a README that lead to no file, or to no heading of it."""
    for link in links(text):
        name, _, anchor = link.partition("#")
        target = readme.parent / name if name else readme
        if not target.exists():
            yield f"{link}: no such file"
        elif anchor and anchor not in anchors(text if target == readme else target.read_text(encoding="utf-8")):
            yield f"{link}: no such heading"


def paths(text: str) -> set[str]:
    """The files of the repository that code names by their whole path."""
    tops = "|".join((*ROOMS, r"\.github", r"\.ci"))
    pattern = rf"(?<![\w./])(?:{tops})/[\w./-]*\.(?:{'|'.join(SUFFIXES)})\b"
    return {path for piece in code(text) for path in re.findall(pattern, piece)}


def calls(pieces: Iterable[str]) -> Iterator[tuple[str, list[str]]]:
    """(verb, its options) of every call of the harness in pieces of code."""
    for piece in pieces:
        for verb, rest in re.findall(r"(?<![\w./-])harness ([a-z]+)\b([^|;&#]*)", piece):
            yield verb, re.findall(r"(?<=\s)--[a-z][a-z-]*", rest)


def words_after(command: str, pieces: Iterable[str]) -> set[str]:
    """The first word after a command, wherever code calls it: of `make` its targets."""
    return {word for piece in pieces for word in re.findall(rf"(?<![\w./-]){command} ([a-z][a-z-]*)\b", piece)}
