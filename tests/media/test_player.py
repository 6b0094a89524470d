"""One playing of a sound."""

import numpy as np
import pytest

from pbx.errors import MediaError
from pbx.media.codecs import CODECS, make_decoder
from pbx.media.encoded import SoundCache
from pbx.media.player import Player
from pbx.media.samples import frame_size, silence
from tests.support.sound import likeness, voice
from tests.support.stage import write_sound


@pytest.fixture
def stem(tmp_path):
    return write_sound(tmp_path, voice(16_000, 0.5))


def test_it_ends_after_its_last_frame(stem):
    player = Player(SoundCache(), stem)
    played = []
    while not player.is_over:
        played.append(player.samples(16_000))
    assert np.array_equal(np.concatenate(played), voice(16_000, 0.5))


@pytest.mark.parametrize("codec", CODECS)
def test_payloads_are_the_sound(codec, stem):
    player, rate_hz = Player(SoundCache(), stem), CODECS[codec].rate_hz
    decoder, played = make_decoder(codec, rate_hz), []
    while not player.is_over:
        played.append(decoder.decode(player.payload(codec)))
    assert len(played) == 25
    sent = voice(16_000, 0.5)[:: 16_000 // rate_hz]
    assert likeness(sent[:-800], np.concatenate(played), rate_hz)[0] > 0.9


def test_a_loop_begins_again_and_is_never_over(stem):
    player = Player(SoundCache(), stem, loop=True)
    first = [player.payload("PCMU") for _ in range(25)]
    assert not player.is_over
    assert [player.payload("PCMU") for _ in range(25)] == first


def test_payloads_and_samples_are_one_playing(stem):
    """Somebody enters a room while a sound is played, and the codec changes meanwhile."""
    player, sent = Player(SoundCache(), stem), voice(16_000, 0.5)
    player.payload("PCMU")
    player.payload("OPUS")
    assert np.array_equal(player.samples(8_000), sent[::2][320:480])
    assert np.array_equal(player.samples(16_000), sent[960:1280])
    for _ in range(21):
        player.payload("G722")
    assert player.is_over


def test_a_thousand_share_what_was_encoded(stem):
    cache = SoundCache()
    players = [Player(cache, stem) for _ in range(50)]
    payloads = [[player.payload("OPUS") for player in players] for _ in range(25)]
    assert all(len({id(payload) for payload in frame}) == 1 for frame in payloads)


def test_a_sound_that_is_thrown_away_meanwhile_is_played_to_its_end(stem):
    cache = SoundCache(max_bytes=1)
    player = Player(cache, stem)
    player.payload("PCMU")
    cache.get(stem, "PCMA")
    for rate_hz in (8_000, 16_000):
        open(f"{stem}-{rate_hz}.pcm", "r+b").close()
    rest = [player.payload("PCMU") for _ in range(24)]
    assert len(rest) == 24
    assert player.is_over


@pytest.mark.parametrize("count", [0, frame_size(16_000) - 1], ids=["empty", "less than a frame"])
def test_nothing_to_play(tmp_path, count):
    with pytest.raises(MediaError, match="nothing is in"):
        Player(SoundCache(), write_sound(tmp_path, silence(count)))


def test_no_such_sound(tmp_path):
    with pytest.raises(MediaError, match="No such file"):
        Player(SoundCache(), str(tmp_path / "none"))


def test_files_of_two_lengths_are_played_as_far_as_both_go(tmp_path):
    stem = write_sound(tmp_path, voice(16_000, 0.1), narrow=voice(8_000, 0.5))
    player = Player(SoundCache(), stem)
    for _ in range(5):
        player.payload("G722")
    assert player.is_over
