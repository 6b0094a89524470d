"""The texts of the system, and the files that stand in for them."""

import re
from pathlib import Path

import pytest

from pbx.languages import VOICES, bases
from pbx.media.prompt import Digits, Number, Prompt, RenderError, System, Voice
from pbx.media.saying import TABLES
from pbx.media.script import content_key, steps_of
from pbx.media.system_prompts import SystemPrompts, fields_of, texts

NOWHERE = SystemPrompts(Path("/nowhere"))


@pytest.mark.parametrize("language", TABLES)
def test_a_language_has_all_of_the_english_texts(language):
    assert set(texts("en")) <= set(texts(language))
    for name, text in texts(language).items():
        base = re.sub(r"-\d+$", "", name)
        assert fields_of(text) == (fields_of(texts("en")[base]) if base == name else 0), name
        assert len(text) < 400


@pytest.mark.parametrize("language", TABLES)
def test_a_language_has_no_text_that_english_lacks(language):
    assert {re.sub(r"-\d+$", "", name) for name in texts(language)} <= set(texts("en"))


def test_where_texts_are_looked_for():
    assert bases("zh-SG") == ["zh-SG", "zh", "en"]
    assert bases("en") == ["en"]


TEXTS = {
    "with its value": ("vm-new-messages", "en", (Number(7),), ("You have 7 new messages.", "en")),
    "one of it": ("vm-new-messages", "en", (Number(1),), ("You have one new message.", "en")),
    "two of it": ("vm-new-messages", "zh", (Number(2),), ("您有两条新留言。", "zh")),
    "in a language's dialect": ("goodbye", "zh-HK", (), ("再见。", "zh-HK")),
    "in a language without texts": ("goodbye", "it", (), ("Goodbye.", "en")),
    "digits": ("vm-from", "de", (Digits("100"),), ("Von 1 0 0.", "de")),
}


@pytest.mark.parametrize(("name", "language", "values", "expected"), TEXTS.values(), ids=TEXTS)
def test_text(name, language, values, expected):
    assert NOWHERE.text(name, language, values) == expected


def test_every_language_of_the_texts_has_a_voice():
    assert set(TABLES) <= set(VOICES)


def test_a_file_stands_in(tmp_path):
    system = SystemPrompts(tmp_path)
    german = Voice("de")
    prompt = Prompt((System("vm-new-messages", (Number(1),)),), german)
    (tmp_path / "de").mkdir()
    (tmp_path / "de" / "vm-new-messages.ogg").touch()
    after = ("speech", "1", "de", "female", 5, 5)
    assert steps_of(prompt, system) == (("file", str(tmp_path / "de" / "vm-new-messages.ogg")), after)
    (tmp_path / "de" / "vm-new-messages-1.wav").touch()
    assert steps_of(prompt, system) == (("file", str(tmp_path / "de" / "vm-new-messages-1.wav")),)
    english = Prompt((System("vm-new-messages", (Number(1),)),))
    assert steps_of(english, system)[0][1] == "You have one new message."


def test_what_is_not_there():
    with pytest.raises(RenderError, match="no system prompt xyz"):
        NOWHERE.text("xyz", "en")
    with pytest.raises(RenderError, match="takes 1 values, not 0"):
        NOWHERE.text("vm-message", "de")


def test_what_the_same_sound_depends_on():
    def key(*steps, background="", engine=(), files=()):
        return content_key(steps, background, engine, dict(files).__getitem__)

    plain = key(("speech", "a", "en", "female", 5, 5))
    assert plain == key(("speech", "a", "en", "female", 5, 5))
    assert plain != key(("speech", "a", "en", "female", 5, 6))
    assert plain != key(("speech", "a", "en", "female", 5, 5), engine=("piper",))
    assert key(("silence", 1.0)) == key(("silence", 1.0), engine=("piper",))
    files = [("/a", "1"), ("/b", "1"), ("/c", "2")]
    assert key(("file", "/a"), files=files) == key(("file", "/b"), files=files)
    assert key(("file", "/a"), files=files) != key(("file", "/c"), files=files)
    assert plain != key(("speech", "a", "en", "female", 5, 5), background="/a", files=files)
