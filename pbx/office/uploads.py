"""Sound files that an office.toml names: the `mp3` of each prompt becomes the path where the file is kept."""

import dataclasses
from collections.abc import Callable
from dataclasses import is_dataclass
from typing import Any, Final, TypeAlias

from pbx.errors import PbxError
from pbx.office.locate import Path
from pbx.office.prompt import Prompt
from pbx.office.reading import Finding
from pbx.office.table import Nested, Rows, columns_of

ALLOWED: Final = "an MP3 file of at most 5 MB and 10 minutes, by its path relative to this file"


class UploadError(PbxError):
    """A sound file that cannot be taken, and why."""


Take: TypeAlias = Callable[
    [str], str
]  # of what the file says, the path under which it is kept; or UploadError


def settle_sounds(value: Any, take: Take, path: Path = ()) -> tuple[Any, list[Finding]]:
    """A part of an office in which each prompt names a kept file, and what was wrong with files.

    Where one is wrong its prompt stays as the file says it.
    """
    if isinstance(value, Prompt):
        return _settle_prompt(value, take, path)
    changed: dict[str, Any] = {}
    findings: list[Finding] = []
    for column in columns_of(value):
        content = getattr(value, column.attribute)
        place = (*path, column.key)
        if isinstance(column.shape, Nested) and is_dataclass(content):
            settled, found = settle_sounds(content, take, place)
        elif isinstance(column.shape, Rows):
            rows = [settle_sounds(row, take, (*place, index)) for index, row in enumerate(content)]
            settled, found = tuple(row for row, _ in rows), [each for _, some in rows for each in some]
        else:
            continue
        findings += found
        if settled != content:
            changed[column.attribute] = settled
    return (dataclasses.replace(value, **changed) if changed else value), findings


def _settle_prompt(prompt: Prompt, take: Take, path: Path) -> tuple[Prompt, list[Finding]]:
    if not prompt.mp3:
        return prompt, []
    try:
        return dataclasses.replace(prompt, mp3=take(prompt.mp3)), []
    except UploadError as error:
        return prompt, [Finding((*path, "mp3"), str(error), ALLOWED)]
