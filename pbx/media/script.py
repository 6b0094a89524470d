"""A prompt as the steps that the speech process takes: everything that is said is text or a file by then."""

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Final, TypeAlias

from pbx.media.prompt import (
    MAX_TEXT,
    CallTone,
    Digits,
    Duration,
    Moment,
    Music,
    Number,
    Part,
    Prompt,
    RenderError,
    Silence,
    SoundFile,
    Speech,
    Spoken,
    System,
    Tone,
    Voice,
)
from pbx.media.saying import language_of, say
from pbx.media.system_prompts import SystemPrompts

# Of plain values, so that it can be sent and hashed; the first is its kind.
Step: TypeAlias = tuple[object, ...]

VERSION: Final = 1  # of what the process makes of the same steps: another one makes every cached sound anew
LONGEST_S: Final = 600.0


def steps_of(prompt: Prompt, system: SystemPrompts) -> tuple[Step, ...]:
    """What is to be done, in order.

    Returns:
        ("speech", text, language, gender, pitch, rate), ("file", path), ("silence", seconds),
        ("tone", frequencies, seconds, dbm0), ("call tone", name, country), ("music",).

    Raises:
        RenderError: a part that cannot be: too long a text, a system prompt that there is not.
    """
    return tuple(step for part in prompt.parts for step in _steps(part, prompt.voice, system))


def _steps(part: Part, voice: Voice, system: SystemPrompts) -> Iterator[Step]:
    match part:
        case Speech():
            yield from _speech(part.text, part.voice)
        case SoundFile(path=path):
            yield ("file", path)
        case Silence(seconds=seconds):
            yield ("silence", _length(seconds))
        case Tone():
            yield ("tone", tuple(part.frequencies), _length(part.seconds), part.dbm0)
        case CallTone(name=name, country=country):
            yield ("call tone", name, country)
        case Music():
            yield ("music",)
        case System(name=name, values=values):
            if (stand_in := system.file(name, voice.language, values)) is not None:
                path, left = stand_in
                yield ("file", path)
                for value in left:
                    yield from _spoken(value, voice)
            else:
                text, language = system.text(name, voice.language, values)
                yield from _speech(text, replace(voice, language=language))
        case Digits() | Number() | Moment() | Duration():
            yield from _spoken(part, voice)


def _spoken(value: Spoken, voice: Voice) -> Iterator[Step]:
    language = language_of(value, voice.language)
    yield from _speech(say(value, language), replace(voice, language=language))


def _speech(text: str, voice: Voice) -> Iterator[Step]:
    if len(text) > MAX_TEXT:
        raise RenderError(f"a text of {len(text)} characters; at most {MAX_TEXT} can be spoken")
    if text.strip():
        yield ("speech", text, voice.language, voice.gender, voice.pitch, voice.rate)


def _length(seconds: float) -> float:
    if not 0 <= seconds <= LONGEST_S:
        raise RenderError(f"{seconds} seconds; 0 to {LONGEST_S:.0f} are allowed")
    return float(seconds)


def files_of(steps: tuple[Step, ...], background: str) -> list[str]:
    """The sound files that are needed."""
    return [str(step[1]) for step in steps if step[0] == "file"] + ([background] if background else [])


def content_key(
    steps: tuple[Step, ...], background: str, engine: tuple[str, ...], hash_of: Callable[[str], str]
) -> str:
    """What the same sound has in common: texts with their voices, and files by their content.

    Args:
        engine: the command that speaks, () = eSpeak NG.
        hash_of: the hash of a file's content, by its path.
    """
    plain = [("file", hash_of(str(step[1]))) if step[0] == "file" else step for step in steps]
    speaks = engine if any(step[0] == "speech" for step in steps) else ()
    whole = [VERSION, plain, background and hash_of(background), speaks]
    return hashlib.sha256(json.dumps(whole).encode()).hexdigest()[:32]
