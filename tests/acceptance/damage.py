"""What can have happened to a file: seeded damage to bytes, tables, run.json and study files."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Callable, Sequence
from typing import Any

from harness.tables import compressed

LONG = 200_000
"""Characters: more than a field of the csv module may have."""

HOSTILE = (
    "", " ", "'", '"', '""', ",", ";", "\0", "\x1b[31m", "\ufeff", "\u2028", "é", "𝕎", "-", "-1", "0", "1.5", "1e999",
    "nan", "inf", "-inf", "null", "None", "true", "9" * 25, "9" * 5000, "0x10", "=1+1", "@x", "<script>", "../../x",
    "/etc/passwd", "a\nb", "a\r\nb", "1979-05-27", "x" * LONG, "2" * LONG, "[" * 5000, "{", "\\", "\\u0000", "%s",
    "n/4", "all", "native", "float32",
)  # fmt: skip

VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 2**63, 10**400, 1.5, float("nan"), float("inf"), "", "x", "x" * LONG, "../../x", "/tmp/x",
    "a/b", "..", "\0", "\ud800", "=1+1", "\x1b[31m", "</script>", [], {}, [[]], {"": None}, ["x", 1], {"torch": []},
    "title = 3", "[precision", "precision = 3", "[precision]\nloss = 3", {"slug": "../x"}, {"slug": "here"},
    {"launch": "int"}, {"n": "str"}, {"own": "int"}, "2026-01-01", 2, 3, 4, 99, "int",
)  # fmt: skip

TOML_VALUES = (
    "0", "1", "-1", "64", "9223372036854775807", "9223372036854775808", "9" * 5000, "1e400", "nan", "-inf", "1.5",
    "true", '""', '"x"', '"all"', '"n/4"', '"n/0"', '"=1"', '"-1"', '"a\\u001b[31m"', '"a\\u0000"', "1979-05-27",
    "07:32:00", "1979-05-27T07:32:00Z", "[]", "[[]]", "{}", "{n = 1}", '["native", "gather"]', '"no.such:method"',
    '":"', '"a:"', '"json:loads"', '"..a:b"', "[1, 2, 3]", '[1, "x", 2.5, true]', "'''a\nb'''", f'"{"x" * LONG}"',
    f"[{'[' * 3000}",
    str(list(range(1, 20_000))), str(list(range(1, 400))), '"4 GiB"', '"1e30 GiB"', '"normal"', '"float16"', '"cuda"',
    '"compile"', '"vmap"', '"inference"', "2e-320", "1e308",
)  # fmt: skip

TOML_KEYS = (
    "dtype", "device", "n", "k", "rows", "d", "distribution", "seed", "mode", "transform", "threads", "title",
    "methods", "phases", "rounds", "launches", "width", "budget_seconds", "block_seconds", "memory", "seconds", "loss",
    "tensors", "metrics", "references", "cache", "decimals", "time", "error", "method", '"=x"', '"a b"', '""', '"a.b"',
    "a.b", "shape", "launch", '"\\u001b"', "é",
)  # fmt: skip

Damage = Callable[[random.Random, bytes], bytes]


def _cut(rng: random.Random, data: bytes) -> bytes:
    return data[: rng.randrange(len(data) + 1)]


def _flipped(rng: random.Random, data: bytes) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 8, 64))):
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _inserted(rng: random.Random, data: bytes) -> bytes:
    place = rng.randrange(len(data) + 1)
    return data[:place] + rng.choice(HOSTILE).encode() + data[place:]


def _without(rng: random.Random, data: bytes) -> bytes:
    begin = rng.randrange(len(data))
    return data[:begin] + data[begin + rng.randrange(1, 100) :]


def _repeated(rng: random.Random, data: bytes) -> bytes:
    begin = rng.randrange(len(data))
    return data[: begin + rng.randrange(1, 200)] + data[begin:]


def _encoded(rng: random.Random, data: bytes) -> bytes:
    text = data.decode()
    encoding = rng.choice(("utf-16", "utf-32", "utf-8-sig", "latin-1", "utf-7", "cp037"))
    return (text + "é").encode(encoding, "replace")


def _noise(rng: random.Random, data: bytes) -> bytes:
    lines = [data.replace(b"\n", end) for end in (b"\r\n", b"\r")]
    whole = [b"", b"\n", b"\0" * 1000, rng.randbytes(200), data[::-1], data + data, data + b"\0", b"\n\n" + data]
    return rng.choice((*lines, *whole, data.strip()))


ANY: tuple[Damage, ...] = (_cut, _flipped, _inserted, _without, _repeated, _encoded, _noise)


def damaged_table(rng: random.Random, data: bytes) -> bytes:
    """A CSV that was cut, flipped, edited by hand, or saved by another program."""
    return rng.choice((*ANY, *(_table_edit,) * 7))(rng, data)


def damaged_compressed(rng: random.Random, data: bytes) -> bytes:
    """A compressed table that was cut or flipped, or whose table was damaged before it was compressed."""
    if rng.random() < 0.5:
        return compressed(damaged_table(rng, gzip.decompress(data)))
    return rng.choice((_cut, _flipped, _inserted, _without, _repeated))(rng, data)


def damaged_json(rng: random.Random, data: bytes) -> bytes:
    """A run.json with damage to its bytes, or with another value somewhere."""
    return rng.choice((*ANY, *(_json_edit,) * 10))(rng, data)


def damaged_study(rng: random.Random, data: bytes) -> bytes:
    """A study with damage to its bytes, or with other keys and values."""
    return rng.choice((*ANY, *(_toml_edit,) * 14))(rng, data)


def _table_edit(rng: random.Random, data: bytes) -> bytes:
    rows = [line.split(",") for line in data.decode().splitlines()]
    column, row = rng.randrange(len(rows[0])), rng.randrange(len(rows))
    kind = rng.randrange(7)
    if kind == 0:
        other = rng.randrange(len(rows[0]))
        for each in rows[rng.randrange(2) :]:
            if max(column, other) < len(each):
                each[column], each[other] = each[other], each[column]
    elif kind == 1:
        for each in rows:
            del each[column : column + 1]
    elif kind == 2:
        for each in rows:
            each.insert(column, rng.choice(HOSTILE))
    elif kind == 3:
        rows.insert(row, rng.choice(rows))
    elif kind == 4:
        rows[row] = rows[row][:column]
    elif kind == 5:
        for each in rows[1:]:
            each[column : column + 1] = [rng.choice(HOSTILE)]
    else:
        rows[row][column : column + 1] = [rng.choice(HOSTILE)]
    return "".join(",".join(each) + "\n" for each in rows).encode()


def _json_edit(rng: random.Random, data: bytes) -> bytes:
    info = json.loads(data)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        place, key = rng.choice(list(_places(info)))
        kind = rng.randrange(4)
        if kind == 0:
            place.pop(key, None)
        elif kind == 1:
            place[rng.choice(("commit", "torch", "timing", "dirty", "x", "\ud800", ""))] = rng.choice(VALUES)
        else:
            place[key] = rng.choice(VALUES)
    text = json.dumps(info)
    return rng.choice((text, text, text, text.replace("null", "[" * LONG), text.replace("3", "9" * 5000))).encode()


def _places(value: Any) -> Sequence[tuple[dict[str, Any], str]]:
    """Every (object, key) of a JSON value."""
    if not isinstance(value, dict):
        return []
    return [each for key, inner in value.items() for each in ((value, key), *_places(inner))]


def _toml_edit(rng: random.Random, data: bytes) -> bytes:
    lines = data.decode().splitlines()
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        place = rng.randrange(len(lines))
        key, is_pair, _ = lines[place].partition(" = ")
        kind = rng.randrange(5)
        if kind == 0:
            lines[place] = ""
        elif kind == 1:
            lines.insert(place, f"{rng.choice(TOML_KEYS)} = {rng.choice(TOML_VALUES)}")
        elif kind == 2 and not is_pair:
            lines[place] = f"[{rng.choice(TOML_KEYS)}]"
        elif kind == 3:
            lines[place] = f"{rng.choice(TOML_KEYS)} = {rng.choice(TOML_VALUES)}"
        else:
            lines[place] = f"{key} = {rng.choice(TOML_VALUES)}"
    return "\n".join(lines).encode()
