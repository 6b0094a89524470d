"""Something said to a caller."""

from dataclasses import dataclass
from typing import Annotated, Literal

from pbx.office.values import LANGUAGE, Text, Whole

MP3 = Text(500, r"[^\x00-\x1f]+\.[Mm][Pp]3", "the path of an .mp3 file")


@dataclass(frozen=True, slots=True)
class Prompt:
    """A sound file, or text that is spoken; neither = what the system says in such a place."""

    mp3: Annotated[str, MP3] = ""
    text: Annotated[str, Text(2000, lines=True)] = ""
    language: Annotated[str, LANGUAGE] = "en"
    gender: Literal["female", "male"] = "female"
    pitch: Annotated[int, Whole(0, 9)] = 5
    rate: Annotated[int, Whole(0, 9)] = 5
