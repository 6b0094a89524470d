"""What an office says, as prompts."""

from pathlib import Path

from pbx.media.prompt import Digits, Music, Prompt, SoundFile, Speech, System, Voice
from pbx.media.wording import greeting_of, prompts_of
from tests.office.fakes import parse

OFFICE = """
[office]
language = "de"
[[member]]
email = "ann@acme.example"
account = "owner"
[[extension]]
key = "100"
[[extension]]
key = "101"
[extension.no_answer.greeting]
text = "Bonjour."
language = "fr"
gender = "male"
pitch = 3
[[extension]]
key = "102"
[extension.no_answer.greeting]
mp3 = "prompts/0123456789abcdef-hello.mp3"
[[line]]
name = "main"
[[line.block]]
name = "thanks"
kind = "play"
prompt = { text = "Thanks." }
"""
DATA = Path("/data")


def test_greetings():
    office = parse(OFFICE).office
    standard = Prompt((System("vm-greeting-of", (Digits("100"),)),), Voice("de"))
    assert greeting_of(office, "100", DATA) == standard
    assert greeting_of(office, "101", DATA) == Prompt((Speech("Bonjour.", "fr", "male", 3),))
    assert greeting_of(office, "102", DATA).parts == (SoundFile("/data/prompts/0123456789abcdef-hello.mp3"),)
    assert greeting_of(office, "999", DATA).parts == (System("vm-greeting-of", (Digits("999"),)),)


def test_all_that_an_office_says():
    parts = [prompt.parts for prompt in prompts_of(parse(OFFICE).office, DATA)]
    assert parts[0] == (Music(),)
    assert parts[-1] == (Speech("Thanks."),)
    assert len(parts) == 5
