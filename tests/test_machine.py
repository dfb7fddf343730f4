"""The name of a machine: whatever makes runs incomparable is in it."""

from __future__ import annotations

import platform
import re
from typing import Any

import pytest

from harness.machine import Machine, name_of_cpu, this_machine
from harness.tables.schema import FOLDER_NAME


@pytest.mark.parametrize(
    ("facts", "name"),
    [
        ({"brand_raw": "AMD EPYC", "family": 25, "model": 1, "stepping": 1}, "AMD EPYC family 25 model 1"),
        ({"brand_raw": "AMD EPYC", "family": 25, "model": 17, "stepping": 1}, "AMD EPYC family 25 model 17"),
        ({"brand_raw": "Intel(R) Xeon(R) CPU @ 2.20GHz", "family": 6}, "Intel(R) Xeon(R) CPU @ 2.20GHz family 6"),
        ({"brand_raw": "Apple M2"}, "Apple M2"),
        ({}, platform.machine()),
    ],
)
def test_a_brand_that_several_generations_share_is_told_with_family_and_model(facts: dict[str, Any], name: str) -> None:
    assert name_of_cpu(facts) == name


def test_two_generations_of_one_brand_have_a_folder_each() -> None:
    genoa, milan = (Machine(f"AMD EPYC family 25 model {model}", 2, 24, "Linux").slug for model in (17, 1))
    assert genoa == "amd-epyc-family-25-model-17_2-cores_24-gib_linux"
    assert genoa != milan


def test_this_machine_has_a_name_that_can_be_a_folder() -> None:
    assert re.fullmatch(FOLDER_NAME, this_machine().slug)
