"""Texts of study files, right ones and wrong ones, and what becomes of them where these words are known."""

from __future__ import annotations

from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from harness.errors import UserError
from harness.study.definition import Study
from harness.study.file import Known, parse_study
from harness.study.schema import study_schema
from harness.vocabulary import AXES, DTYPES, PHASES

KNOWN = Known(
    methods=("native", "dense", "gather"),
    distributions=("normal", "uniform"),
    metrics=("abs_max", "rel_l2", "ulp_max", "equal_share", "flips", "causes"),
    parameters=("decimals", "cache"),
)
HEAD = 'title = "Trial"\nmethods = ["native", "dense"]\n'
VALID = HEAD + "[axes]\nn = 64\n"
SHIPPED = sorted(Path("studies").glob("*.toml"))
SCHEMA = study_schema(KNOWN)
VALIDATOR = Draft202012Validator(SCHEMA)

MISSPELT = [
    ('titel = "x"\n' + VALID, "titel", ("title", "methods", "phases", "axes", "gate"), "title"),
    (VALID + 'dtpye = "float32"', "dtpye", AXES, "dtype"),
    (VALID + "[timing]\nround = 2", "round", ("block_seconds", "rounds", "launches", "width"), "rounds"),
    (VALID + '[precision]\nmetric = "rel_l2"', "metric", ("tensors", "references", "metrics", "loss"), "metrics"),
    (VALID + "[limits]\nsecond = 1", "second", ("memory", "seconds"), "seconds"),
    (VALID + "[shapes.wide]\nrow = 2", "row", ("n", "k", "rows", "d", "distribution"), "rows"),
    (VALID + "[gate]\ntimes = 0.1", "times", ("time", "memory", "error"), "time"),
    (VALID + "[parameters]\ndecimal = 1", "decimal", KNOWN.parameters, "decimals"),
    (VALID + '[parameters]\ncache = ["warm", "clod"]', "clod", ("warm", "cold"), "cold"),
    (VALID + "[parameters]\ncache = 1", "1", ("warm", "cold"), None),
    (VALID + '[[exclude]]\nmethd = "dense"', "methd", (*AXES, "method"), "method"),
    (VALID + "[parameters]\ndecimals = 1\n[[exclude]]\ndecimal = 1", "decimal", (*AXES, "decimals"), "decimals"),
    (VALID + '[[exclude]]\nmethod = "dense"\n[[exclude]]\nN = 64', "N", (*AXES, "method"), None),
    (VALID.replace("dense", "dnese"), "dnese", KNOWN.methods, "dense"),
    (VALID + 'dtype = ["float32", "flaot16"]', "flaot16", DTYPES, "float16"),
    (VALID + 'device = "cdua"', "cdua", ("cpu", "cuda"), "cuda"),
    (VALID + 'distribution = "norml"', "norml", KNOWN.distributions, "normal"),
    (VALID + 'mode = "iee"', "iee", ("ieee", "deterministic", "tf32"), "ieee"),
    (VALID + 'transform = "eagre"', "eagre", ("eager", "compile", "inference", "vmap"), "eager"),
    ('phases = ["build", "foward"]\n' + VALID, "foward", PHASES, "forward"),
    (VALID + '[precision]\ntensors = "vlaues"', "vlaues", ("values", "dy", "dx", "dW", "dS"), "values"),
    (VALID + '[precision]\nreferences = "natve"', "natve", ("native", "original"), "native"),
    (VALID + '[precision]\nmetrics = ["rel_l3"]', "rel_l3", KNOWN.metrics, "rel_l2"),
    (VALID + '[precision]\nloss = "sqare"', "sqare", ("linear", "square"), "square"),
    (VALID + 'dtype = "complex"', "complex", DTYPES, None),
]
"""(text, wrong word, some of the allowed ones, guess)."""

WRONG = [
    (HEAD + '[axes]\nn = "64"', ("axes.n", "integer", "'64'")),
    (HEAD + "[axes]\nn = 0", ("axes.n", "greater than or equal to 1", "got 0")),
    (HEAD + "[axes]\nn = [64, 0]", ("axes.n.1", "got 0")),
    (HEAD + "[axes]\nn = true", ("axes.n", "integer", "True")),
    (HEAD + "[axes]\nn = 64.0", ("axes.n", "integer", "64.0")),
    (HEAD + "[axes]\nn = []", ("axes.n", "at least 1")),
    (HEAD + "[axes]\nk = 1", ("axes.n", "required")),
    (HEAD, ("axes", "required")),
    ("methods = 'native'\n[axes]\nn = 1", ("title", "required")),
    ("title = 'x'\n[axes]\nn = 1", ("methods", "required")),
    ("axes = 3\n" + HEAD, ("axes", "3")),
    (VALID + "d = -1", ("axes.d", "greater than or equal to 0", "got -1")),
    (VALID + "seed = -1", ("axes.seed", "got -1")),
    (VALID + "rows = 0", ("axes.rows", "got 0")),
    (VALID + "threads = 0", ("axes.threads", "got 0")),
    (VALID + 'k = "n/0"', ("axes.k", "'n/4'", "'all'", "'n/0'")),
    (VALID + 'k = "half"', ("axes.k", "'n/4'", "'all'", "'half'")),
    (VALID + "k = -1", ("axes.k", "'n/4'", "'all'", "got -1")),
    (VALID + "k = true", ("axes.k", "True")),
    (VALID + "k = 1.5", ("axes.k", "1.5")),
    (VALID + '[[exclude]]\nk = "half"', ("exclude", "half")),
    (VALID + '[[exclude]]\nk = "n/0"', ("exclude", "n/0")),
    (VALID + '[exclude]\nmethod = "dense"', ("exclude", "dense")),
    (VALID + "[timing]\nrounds = 0", ("timing.rounds", "got 0")),
    (VALID + '[timing]\nblock_seconds = "1"', ("timing.block_seconds", "'1'")),
    (VALID + "[timing]\nblock_seconds = 0", ("timing.block_seconds", "got 0")),
    (VALID + "[timing]\nbudget_seconds = inf", ("timing.budget_seconds", "finite")),
    (VALID + "[timing]\nwidth = nan", ("timing.width", "nan")),
    (VALID + "[timing]\nwidth = inf", ("timing.width", "finite", "inf")),
    (VALID + '[limits]\nmemory = "4 Gigs"', ("limits.memory", "Gigs")),
    (VALID + "[limits]\nmemory = -1", ("limits.memory", "-1")),
    (VALID + "[limits]\nmemory = true", ("limits.memory", "True")),
    (VALID + "[limits]\nmemory = {cpu = true}", ("limits.memory.cpu", "True")),
    (VALID + "[limits]\nseconds = nan", ("limits.seconds", "nan")),
    (VALID + "[limits]\nseconds = true", ("limits.seconds", "True")),
    (VALID + '[limits]\nseconds = "60"', ("limits.seconds", "'60'")),
    (VALID + "[limits]\nbudget_seconds = true", ("limits.budget_seconds", "True")),
    (VALID + '[limits]\nbudget_seconds = {cpu = "60"}', ("limits.budget_seconds.cpu", "'60'")),
    (VALID + "[instructions]\nlaunches = 0", ("instructions.launches", "got 0")),
    (VALID + "[instructions]\ncalls = 1", ("calls", "launches")),
    (VALID + "[gate]\ntime = 1", ("gate.time", "less than 1")),
    (VALID + "[parameters]\ndecimals = []", ("parameters.decimals", "at least 1")),
    (VALID + "[parameters]\ndecimals = [1.5, nan]", ("parameters.decimals.1", "finite", "got nan")),
    (VALID + "[parameters]\ndecimals = -inf", ("parameters.decimals.0", "finite", "got -inf")),
    (VALID + "[parameters]\ndecimals = [1, 9223372036854775808]", ("parameters.decimals.1", "64 bits")),
    (VALID + "[parameters]\ndecimals = -9223372036854775809", ("parameters.decimals.0", "64 bits")),
    ("title =", ("not TOML",)),
    (VALID + "n = 128", ("not TOML",)),
]
"""(text, words of its message)."""


def parsed(text: str) -> Study:
    return parse_study(text, "trial", "trial.toml", KNOWN)


def mistake(text: str) -> str:
    """The message for a text that is not allowed: one line, which begins with the file."""
    with pytest.raises(UserError) as caught:
        parsed(text)
    message = str(caught.value)
    assert message.startswith("trial.toml: ")
    assert message.splitlines() == [message]
    return message
