"""The system prompts: pbx/assets/prompts/LANGUAGE.toml, `name = "text"`, and files that stand in for them.

`data/prompts/system/LANGUAGE/NAME.mp3` (or .wav, .ogg, .flac) is played instead of the text.
"""

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib import resources
from pathlib import Path
from string import Formatter
from typing import Final

from pbx.languages import bases
from pbx.media.prompt import Number, RenderError, Spoken
from pbx.media.saying import say

SUFFIXES: Final = ("mp3", "wav", "ogg", "flac")


@cache
def texts(language: str) -> Mapping[str, str]:
    """All texts that there are in just this language; none = {}."""
    file = resources.files("pbx") / "assets" / "prompts" / f"{language}.toml"
    return tomllib.loads(file.read_text("utf-8")) if file.is_file() else {}


def fields_of(text: str) -> int:
    """How many values a text takes."""
    return sum(field is not None for _, field, _, _ in Formatter().parse(text))


class SystemPrompts:
    """By name and language; a language that lacks one has the English one."""

    def __init__(self, folder: Path) -> None:
        """`folder` has a folder for each language, with files that stand in for texts."""
        self._folder = folder

    def file(
        self, name: str, language: str, values: tuple[Spoken, ...] = ()
    ) -> tuple[str, tuple[Spoken, ...]] | None:
        """The path of the file that stands in for a text, and the values that are said after it.

        None where there is no file in this language. NAME-1 and the like say the first value themselves.

        Raises:
            RenderError: there is no system prompt of this name.
        """
        _known(name)
        names = [(name, values)]
        if values and isinstance(values[0], Number):
            names.insert(0, (f"{name}-{values[0].value}", values[1:]))
        for base in dict.fromkeys((language, language.partition("-")[0])):
            for each, left in names:
                for suffix in SUFFIXES:
                    path = self._folder / base / f"{each}.{suffix}"
                    if path.is_file():
                        return str(path), left
        return None

    def text(self, name: str, language: str, values: tuple[Spoken, ...] = ()) -> tuple[str, str]:
        """The text with its values in it, and the language that it is in.

        Raises:
            RenderError: there is no such prompt, or it takes another number of values.
        """
        _known(name)
        for base in bases(language):
            found = texts(base)
            if name not in found:
                continue
            spoken_in = language if base == language.partition("-")[0] else base
            text = found[name]
            if values and isinstance(values[0], Number):
                text = found.get(f"{name}-{values[0].value}", text)
            said = [say(value, spoken_in) for value in values]
            if fields_of(found[name]) != len(values):
                raise RenderError(
                    f"system prompt {name} takes {fields_of(found[name])} values, not {len(values)}"
                )
            return text.format(*said), spoken_in
        raise RenderError(f"there is no system prompt {name}")


def _known(name: str) -> None:
    if name not in texts("en"):
        raise RenderError(f"there is no system prompt {name}")
