"""What an office says, as prompts: its own words or files, else the system's. Pure."""

from collections.abc import Iterator
from pathlib import Path

from pbx.media.prompt import Digits, Music, Part, Prompt, SoundFile, Speech, System, Voice
from pbx.office.line import Confirm, Gather, Play, Record
from pbx.office.prompt import Prompt as OfficePrompt
from pbx.office.snapshot import Office


def prompt_of(said: OfficePrompt, office: Office, data: Path, otherwise: tuple[Part, ...]) -> Prompt:
    """A prompt of office.toml.

    Args:
        data: the data folder, absolute; kept sound files are in it.
        otherwise: what is said where the office says nothing of its own, in the office's language.
    """
    if said.mp3:
        return Prompt((SoundFile(str(data / said.mp3)),))
    if said.text:
        return Prompt((Speech(said.text, said.language, said.gender, said.pitch, said.rate),))
    return system_prompt(office, *otherwise)


def system_prompt(office: Office, *parts: Part) -> Prompt:
    """Parts in the office's language, by the system's voice."""
    return Prompt(parts, Voice(office.settings.language))


def greeting_of(office: Office, key: str, data: Path) -> Prompt:
    """What a caller hears before leaving a message for an extension."""
    extension = office.extension(key)
    otherwise = (System("vm-greeting-of", (Digits(key),)),)
    if extension is None:
        return system_prompt(office, *otherwise)
    return prompt_of(extension.no_answer.greeting, office, data, otherwise)


def prompts_of(office: Office, data: Path) -> Iterator[Prompt]:
    """All that is to be rendered before the first call needs it: hold music, greetings, prompts of lines."""
    yield Prompt((Music(),))
    for extension in office.extensions:
        yield greeting_of(office, extension.key, data)
    for line in office.lines:
        for block in line.blocks:
            if isinstance(block, Gather | Record | Play | Confirm):
                yield prompt_of(block.prompt, office, data, ())
