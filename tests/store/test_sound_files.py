"""Files that are finished so that a crash costs nothing."""

import struct
import wave
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pbx.errors import UsageError
from pbx.store.sound_files import (
    BrokenFileError,
    finish,
    greeting_path,
    locate,
    make_room,
    part_of,
    recording_path,
    repair,
    voicemail_path,
)
from tests.store.sounds import wav, write


@pytest.fixture
def path(tmp_path):
    return tmp_path / "voicemail" / "100" / "a.wav"


def length(path) -> float:
    with wave.open(str(path)) as file:
        return file.getnframes() / file.getframerate()


@pytest.mark.parametrize("channels", [1, 2])
def test_a_file_that_was_killed_is_whole_again(path, channels):
    write(part_of(path), wav(2.5, is_finished=False, channels=channels) + b"\1")
    assert finish(path) == 2.5
    assert length(path) == 2.5
    assert not part_of(path).exists()


def test_finishing_twice_does_no_harm(path):
    write(part_of(path), wav(3))
    assert finish(path) == finish(path) == 3.0


def test_under_a_second_is_discarded(path):
    write(part_of(path), wav(0.99))
    assert finish(path) == 0.0
    assert list(path.parent.iterdir()) == []


def test_a_file_that_never_was_has_no_length(path):
    assert finish(path) == 0.0


def test_a_stranger_is_left_as_it_is(path):
    write(part_of(path), b"ID3 and so on, for longer than a header")
    with pytest.raises(BrokenFileError, match="no WAV file"):
        finish(path)
    assert part_of(path).exists()


@pytest.mark.parametrize("said", [0, 100, 4_000, 1 << 31])
def test_the_length_of_the_file_counts_not_what_its_header_says(path, said):
    whole = wav(0.25)
    write(path, whole[:40] + struct.pack("<I", said) + whole[44:])
    assert repair(path) == 0.25
    assert path.read_bytes() == whole


def test_other_chunks_before_the_data_are_passed_over(path):
    whole = wav(2)
    extra = b"LIST" + struct.pack("<I", 3) + b"abc\0"
    write(path, whole[:12] + extra + whole[12:])
    assert repair(path) == 2.0
    assert length(path) == 2.0


@given(cut=st.integers(0, len(wav(1.5))), is_finished=st.booleans())
def test_cut_at_any_octet_it_is_readable_or_nothing(tmp_path_factory, cut, is_finished):
    path = tmp_path_factory.mktemp("cut") / "a.wav"
    path.write_bytes(wav(1.5, is_finished=is_finished)[:cut])
    seconds = repair(path)
    assert 0.0 <= seconds <= 1.5
    if seconds:
        assert length(path) == seconds


@given(st.binary(max_size=200), st.booleans())
def test_rubbish_is_refused_or_has_a_length(tmp_path_factory, rubbish, has_head):
    path = tmp_path_factory.mktemp("rubbish") / "a.wav"
    path.write_bytes((wav(0)[:12] if has_head else b"") + rubbish)
    with suppress(BrokenFileError):
        assert repair(path) >= 0.0


def test_names(tmp_path):
    assert voicemail_path("100", "a-1") == "voicemail/100/a-1.wav"
    assert greeting_path("100") == "voicemail/100/greeting.wav"
    assert recording_path("c1", 1_800_000_000.0) == "recordings/2027-01/c1.wav"


@pytest.mark.parametrize("name", ["", "..", "a/b", "a b", "ä", ".x", "a" * 65])
def test_a_name_that_leads_elsewhere_is_a_bug(name):
    with pytest.raises(UsageError):
        voicemail_path("100", name)


@pytest.mark.parametrize("relative", ["../x.wav", "/etc/passwd", "voicemail/../../x"])
def test_a_row_cannot_name_a_file_outside(tmp_path, relative):
    with pytest.raises(BrokenFileError, match="outside"):
        locate(tmp_path, relative)


def test_folders_are_their_owners(path):
    make_room(path)
    assert path.parent.stat().st_mode & 0o777 == 0o700
