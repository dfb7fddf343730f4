"""A study file is read strictly: a mistake is one line with the file, the wrong word, the allowed ones, a guess."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import harness
from harness.errors import UserError, unknown
from harness.study.definition import Study
from harness.study.file import narrow, parse_gate, read_study
from harness.study.tables import Precision, Timing
from harness.vocabulary import AXES, USUAL_PHASES
from tests.study_texts import HEAD, KNOWN, MISSPELT, SHIPPED, VALID, WRONG, mistake, parsed

WriteStudy = Callable[[str], Study]


@pytest.mark.parametrize(("text", "wrong", "allowed", "guess"), MISSPELT, ids=[f"{row[1]}" for row in MISSPELT])
def test_an_unknown_word_is_told_with_the_allowed_ones_and_a_guess(
    text: str, wrong: str, allowed: tuple[str, ...], guess: str | None
) -> None:
    message = mistake(text)
    assert f"'{wrong}'" in message
    listed = message.partition("(allowed: ")[2].partition(")")[0].split(", ")
    assert set(allowed) <= set(listed)
    assert message.partition("did you mean ")[2].strip("'?") == (guess or "")


@pytest.mark.parametrize(
    ("word", "guess"),
    [("natvie", "native"), ("backward", "forward"), ("zebra", ""), ("sorted", ""), ("Q", ""), ("dense_" * 20, "")],
)
def test_only_a_near_word_is_suggested(word: str, guess: str) -> None:
    message = str(unknown("here", "word", word, ["native", "forward", "normal", "ties", "dense"]))
    assert message.partition("; did you mean ")[2] == (f"'{guess}'?" if guess else "")


@pytest.mark.parametrize(
    ("text", "words"),
    WRONG,
    ids=lambda each: each.splitlines()[-1] if isinstance(each, str) else "",
)
def test_a_wrong_value_is_told_with_its_place(text: str, words: tuple[str, ...]) -> None:
    message = mistake(text)
    assert all(word in message for word in words), message


@pytest.mark.parametrize(
    "text",
    [
        VALID + '"a\\nb" = 1',
        VALID + 'dtype = "a\\nb"',
        VALID + 'distribution = "a\\r\\nb"',
        VALID.replace("dense", "a\\u2028b"),
        HEAD + "[axes]\nn = " + "9" * 5000,
        VALID + "k = " + "[" * 5000,
    ],
    ids=["key", "word", "distribution", "method", "huge number", "deep nesting"],
)
def test_a_mistake_is_one_line_whatever_was_written(text: str) -> None:
    mistake(text)


def test_of_several_mistakes_the_misspelt_key_is_told_and_the_others_counted() -> None:
    message = mistake(HEAD + "[axes]\nm = 64\nd = -1\nrows = 0")
    assert "unknown key 'm'" in message
    assert message.endswith("(and 2 more)")
    assert mistake(HEAD + "[axes]\nn = 64\nk = 1\nd = -1\nrows = 0").endswith("(and 1 more)")


@pytest.mark.parametrize(
    ("content", "reason"), [(b"title = '\xff'", "not UTF-8"), (None, "No such file"), (b"title", "not TOML")]
)
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, content: bytes | None, reason: str) -> None:
    path = tmp_path / "broken.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError) as caught:
        read_study(path, KNOWN)
    assert str(caught.value).startswith(f"{path}: {reason}")


def test_a_folder_is_no_study(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="directory"):
        read_study(tmp_path, KNOWN)


def test_what_is_left_out_has_the_defaults_of_the_design() -> None:
    study = parsed(VALID)
    axes = {"dtype": "float32", "device": "cpu", "n": 64, "k": 64, "rows": 1, "d": 0, "distribution": "normal"}
    axes |= {"seed": 0, "mode": "ieee", "transform": "eager", "threads": 1}
    assert dict(study.axes) == {name: (value,) for name, value in axes.items()}
    assert study.phases == USUAL_PHASES
    assert (study.timing, study.precision, study.parameters, study.exclude) == (None, None, {}, ())
    assert study.launches == 1
    assert study.with_launches(5) is study
    assert study.comparison == Precision()
    assert (study.limits.memory, study.limits.seconds) == (4 * 2**30, 60)
    assert (study.gate.time, study.gate.memory, study.gate.error) == (0.02, 0.05, 0.10)
    timing = parsed(VALID + "[timing]").timing
    assert timing == Timing(block_seconds=0.001, rounds=10, launches=3, width=None, budget_seconds=None)


def test_more_launches_have_a_longer_budget() -> None:
    timing = parsed(VALID + "[timing]\nbudget_seconds = 30").with_launches(8).timing
    assert timing is not None
    assert (timing.launches, timing.budget_seconds) == (8, 80)
    assert parsed(VALID + "[timing]").with_launches(8).timing == Timing(launches=8)


def test_a_value_may_stand_without_brackets_and_repeats_are_merged() -> None:
    bare = 'title = "x"\nmethods = "native"\nphases = "build"\n[axes]\nn = 4\nk = "all"\n[[exclude]]\nn = 4'
    listed = bare.replace('"native"', '["native", "native"]').replace("n = 4\nk", "n = [4, 4]\nk")
    listed = listed.replace('"build"', '["build"]').replace('"all"', '["all", "all"]').replace("\nn = 4", "\nn = [4]")
    assert parsed(bare).model_dump() == parsed(listed).model_dump()
    assert parsed(VALID + "seed = [2, 0, 2, 1, 0]").axes.seed == (2, 0, 1)


def test_a_study_keeps_its_name_and_its_text(tmp_path: Path) -> None:
    text = "# a remark: Wᵀ\n" + VALID
    (tmp_path / "mine.toml").write_text(text, encoding="utf-8")
    study = read_study(tmp_path / "mine.toml", KNOWN)
    assert (study.name, study.text, study.title) == ("mine", text, "Trial")
    assert (narrow(study, ["n=64"]).name, narrow(study, []).text) == ("mine", text)


def test_memory_is_written_with_its_unit_and_a_method_by_its_import_path() -> None:
    study = parsed(VALID.replace('"dense"', '"my.own:method"') + '[limits]\nmemory = "1.5 MiB"')
    assert study.limits.memory == 1.5 * 2**20
    assert study.methods == ("native", "my.own:method")


WIDE = VALID + 'k = [1, "n/4", "all"]\ndtype = ["float16", "float32", "float64"]\n[timing]\nrounds = 2'


def test_only_narrows_axes_and_methods_to_the_values_named() -> None:
    study = narrow(parsed(WIDE), ["dtype=float64,float16", "k=n/4,1", "method=dense"])
    assert study.axes.dtype == ("float64", "float16")
    assert study.axes.k == ("n/4", 1)
    assert study.methods == ("dense",)
    assert (study.axes.n, study.timing) == ((64,), Timing(rounds=2))


def test_only_merges_repeats() -> None:
    study = narrow(parsed(WIDE), ["dtype=float16,float16", "method=dense,dense"])
    assert (study.axes.dtype, study.methods) == (("float16",), ("dense",))


@pytest.mark.parametrize(
    ("only", "wrong", "allowed", "guess"),
    [
        ("dtpye=float32", "'dtpye'", ", ".join((*AXES, "method")), "dtype"),
        ("dtype=float32,floaat16", "'floaat16'", "float16, float32, float64", "float16"),
        ("dtype=bfloat16", "'bfloat16'", "float16, float32, float64", "float16"),
        ("method=topk", "'topk'", "native, dense", None),
        ("k=64", "'64'", "1, n/4, all", None),
        ("k", "''", "1, n/4, all", None),
        ("", "''", "method", None),
    ],
)
def test_only_what_is_in_the_study_can_be_kept(only: str, wrong: str, allowed: str, guess: str | None) -> None:
    with pytest.raises(UserError) as caught:
        narrow(parsed(WIDE), [only])
    message = str(caught.value)
    assert message.startswith(f"--only {only}: unknown ")
    assert wrong in message.partition(": ")[2]
    assert f"{allowed})" in message
    assert message.partition("; did you mean ")[2] == (f"'{guess}'?" if guess else "")


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_every_shipped_study_is_allowed(path: Path) -> None:
    assert harness.load_study(path).title


def test_the_studies_of_the_readme_are_shipped() -> None:
    assert {"smoke", "seed", "speed", "precision"} <= {path.stem for path in SHIPPED}


TOKENS = """[axes] [[exclude]] [timing] [ ] { } = , . # n k d 1 -1 1.5 true nan inf 1979-05-27 methods title 'n/2'
" '''"""
WORDS = st.sampled_from([*TOKENS.split(), "\n", "\r", "\\n"])


def told(text: str) -> str:
    """The message for a text, or '' where it is allowed."""
    try:
        parsed(text)
    except UserError as error:
        return str(error)
    return ""


@given(st.one_of(st.text(), st.lists(WORDS).map(" ".join), st.lists(WORDS).map("".join)))
def test_any_text_is_a_study_or_one_line(text: str) -> None:
    assert len(told(text).splitlines()) <= 1


@given(st.data())
def test_a_valid_text_with_damage_is_a_study_or_one_line(data: st.DataObject) -> None:
    text = WIDE + '\n[[exclude]]\nk = "n/4"\n[limits]\nmemory = "1 GiB"\n[parameters]\ndecimals = [1, 2]\n'
    begin = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(begin, min(len(text), begin + 8)))
    assert len(told(text[:begin] + data.draw(st.one_of(st.text(max_size=8), WORDS)) + text[end:]).splitlines()) <= 1


def test_a_wrong_k_is_told_by_its_place_in_a_study_of_any_length() -> None:
    long = VALID + "".join(f"\n[shapes.s{number}]\nn = {number + 1}" for number in range(50))
    with pytest.raises(UserError) as caught:
        parsed(long + '\n[[exclude]]\nk = "half"')
    assert str(caught.value).endswith("exclude.k: k is a number, a fraction of n such as 'n/4', or 'all', got 'half'")


def test_the_tolerances_of_a_study_are_read_whatever_became_of_its_methods() -> None:
    gone = VALID.replace('"native"', '"gone_since"') + "\n[gate]\ntime = 0.5\n"
    assert parse_gate(gone, "run.json").time == 0.5
    with pytest.raises(UserError, match=r"run\.json: gate: time: .*less than 1"):
        parse_gate("[gate]\ntime = 5.0", "run.json")
