"""run.json and suite.json: the keys that readers and `run --resume` rely on, checked when a run or a side is read."""

from __future__ import annotations

import json
import tomllib
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator, model_validator

from harness.tables.schema import FOLDER_NAME, TAKEN

_FolderName = Annotated[str, StringConstraints(pattern=FOLDER_NAME)]


class MachineFacts(BaseModel):
    """`machine` in run.json: what readers need of it."""

    model_config = ConfigDict(extra="allow", strict=True)

    slug: _FolderName


class HarnessFacts(BaseModel):
    """`harness` in run.json: the package that wrote it. Early runs lack it."""

    model_config = ConfigDict(extra="allow", strict=True)

    version: str = ""
    commit: str = ""
    dirty: bool = False


class TorchFacts(BaseModel):
    """`torch` in run.json: what readers need of it."""

    model_config = ConfigDict(extra="allow", strict=True)

    torch: str = ""


class TimingFacts(BaseModel):
    """`timing` in run.json: the study's [timing] as it was run; `launches` may differ from that in the study's text."""

    model_config = ConfigDict(extra="allow", strict=True)
    __pydantic_extra__: dict[str, float | bool | dict[str, float] | None]

    launches: Annotated[int, Field(ge=1)] | None = None


def _encodable(info: dict[str, Any]) -> dict[str, Any]:
    """Raise UnicodeEncodeError for half a surrogate pair, which JSON allows, but no file and no terminal takes."""
    json.dumps(info, ensure_ascii=False).encode()
    return info


class Sidecar(BaseModel):
    """run.json: the keys that are relied on. Its other keys are only shown to people."""

    model_config = ConfigDict(extra="allow", strict=True)

    study: _FolderName
    text: str
    only: list[str]
    parameters: dict[Annotated[str, StringConstraints(pattern=r"^[^\W\d]\w*$")], Literal["bool", "int", "float", "str"]]
    machine: MachineFacts
    begin: str
    end: str | None
    commit: str = ""
    dirty: bool = False
    harness: HarnessFacts = HarnessFacts()
    torch: TorchFacts = TorchFacts()
    timing: TimingFacts | None = None
    digests: dict[str, str] = {}

    _is_text = model_validator(mode="before")(_encodable)

    @field_validator("text")
    @classmethod
    def _is_toml(cls, text: str) -> str:
        try:
            tomllib.loads(text)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"not TOML: {error}") from None
        return text

    @field_validator("parameters")
    @classmethod
    def _are_own(cls, parameters: dict[str, str]) -> dict[str, str]:
        if taken := parameters.keys() & TAKEN:
            raise ValueError(f"a parameter cannot have the name of a column: {min(taken)}")
        return parameters


class SuiteSidecar(BaseModel):
    """suite.json: the keys that are relied on. Its other keys are only shown to people."""

    model_config = ConfigDict(extra="allow", strict=True)

    suite: str
    commit: str
    dirty: bool
    machine: MachineFacts
    python: str
    packages: dict[str, str]
    parameters: list[str]
    begin: str
    end: str | None
    timing: TimingFacts | None = None

    _is_text = model_validator(mode="before")(_encodable)
