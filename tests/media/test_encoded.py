import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pbx.errors import MediaError, UsageError
from pbx.media.codecs import CODECS, make_encoder
from pbx.media.encoded import MAX_SOUNDS, EncodedSound, SoundCache, read_samples
from pbx.media.samples import frame_size
from tests.support.sound import frames, voice


@pytest.mark.parametrize("name", CODECS)
def test_played_from_the_start_it_is_one_encoder_s_work(name):
    rate_hz = CODECS[name].rate_hz
    sent = voice(rate_hz, 0.5)
    sound, encoder = EncodedSound(sent, rate_hz, name), make_encoder(name, rate_hz)
    expected = [encoder.encode(each) for each in frames(sent, frame_size(rate_hz))]
    assert [sound.frame(number) for number in range(sound.count)] == expected
    assert [sound.frame(number) for number in range(sound.count)] == expected
    assert sound.size > sum(map(len, expected))


def test_the_last_frame_is_filled_up():
    sound = EncodedSound(np.full(161, 1000, np.int16), 8_000, "PCMU")
    assert sound.count == 2
    assert sound.frame(1)[1:] == CODECS["PCMU"].silence[1:]
    for number in (-1, 2):
        with pytest.raises(UsageError, match="of 2 frames"):
            sound.frame(number)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 29), max_size=60))
def test_any_order_asks_each_frame_once(order):
    made = []

    class Counted(EncodedSound):
        def _cut(self, number):
            made.append(number)
            return super()._cut(number)

    sound = Counted(voice(16_000, 0.6), 16_000, "G722")
    for number in order:
        assert sound.frame(number) == sound.frame(number)
        assert len(sound.frame(number)) == 160
    assert sorted(made) == sorted(set(order))
    assert len(sound._runs) <= 5


def test_no_sound():
    assert EncodedSound(np.zeros(0, np.int16), 8_000, "PCMA").count == 0


class TestCache:
    def make(self, max_bytes=1 << 20):
        self.read = []

        def read(path):
            self.read.append(str(path))
            return voice(16_000 if "-16000" in path.name else 8_000, 1)

        return SoundCache(max_bytes, read)

    def test_the_file_suits_the_codec_and_is_read_once(self):
        cache = self.make()
        for codec in ("PCMU", "PCMA", "G722", "OPUS", "PCMU"):
            assert cache.get("p/hello", codec).count == 50
        assert self.read == [f"p/hello-{rate}.pcm" for rate in (8000, 8000, 16000, 16000)]
        assert cache.get("p/hello", "PCMU") is cache.get("p/hello", "PCMU")

    def test_the_longest_unused_goes(self):
        cache = self.make(max_bytes=25_000)
        for stem in ("a", "b", "a", "c"):
            sound = cache.get(stem, "PCMU")
            for number in range(50):
                sound.frame(number)
        cache.get("a", "PCMU")
        assert self.read == ["a-8000.pcm", "b-8000.pcm", "c-8000.pcm"]
        assert cache.size <= 25_000
        cache.get("b", "PCMU")
        assert len(self.read) == 4

    def test_unknown_codec(self):
        with pytest.raises(UsageError, match="GSM"):
            self.make().get("a", "GSM")


def test_read_samples(tmp_path):
    path = tmp_path / "x.pcm"
    path.write_bytes(b"\x01\x00\xff\xff\x07")
    assert list(read_samples(path)) == [1, -1]
    path.write_bytes(b"")
    assert len(read_samples(path)) == 0
    with pytest.raises(MediaError, match="No such file"):
        read_samples(tmp_path / "y.pcm")


def test_a_cache_keeps_not_too_many_files_open():
    cache = SoundCache(read=lambda path: np.zeros(160, np.int16))
    for number in range(MAX_SOUNDS + 50):
        cache.get(f"{number}", "PCMU")
    assert len(cache._sounds) == MAX_SOUNDS
