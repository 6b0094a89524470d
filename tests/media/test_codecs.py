import ctypes

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pbx.errors import UsageError
from pbx.media.codecs import CODECS, UndecodableError, make_decoder, make_encoder
from pbx.media.opus import _encode, _function, _new_encoder
from pbx.media.samples import Samples, frame_size
from tests.support.sound import frames, level_db, likeness, tone, voice

RATES = (8_000, 16_000)
PAIRS = [(name, rate) for name in CODECS for rate in RATES]


def through(name, samples, rate_in, rate_out):
    encoder, decoder = make_encoder(name, rate_in), make_decoder(name, rate_out)
    return np.concatenate(
        [decoder.decode(encoder.encode(each)) for each in frames(samples, frame_size(rate_in))]
    )


@pytest.mark.parametrize("rate_out", RATES)
@pytest.mark.parametrize("rate_in", RATES)
@pytest.mark.parametrize("name", CODECS)
def test_a_voice_comes_through_at_its_level_at_any_pair_of_rates(name, rate_in, rate_out):
    heard = through(name, voice(rate_in, 2), rate_in, rate_out)
    assert len(heard) == 2 * rate_out
    likeliest, late = likeness(voice(rate_out, 2), heard, rate_out)
    assert likeliest > (0.8 if name == "OPUS" else 0.98)
    assert late < 0.012
    assert level_db(heard) == pytest.approx(level_db(voice(rate_out, 2)), abs=1.0)


@pytest.mark.parametrize("rate_hz", RATES)
@pytest.mark.parametrize("name", ["PCMU", "PCMA", "G722"])
def test_a_tone_keeps_its_level(name, rate_hz):
    for frequency in (300, 1000, 3300):
        sent = tone(frequency, rate_hz, 1)
        heard = through(name, sent, rate_hz, rate_hz)[rate_hz // 10 :]
        assert level_db(heard) == pytest.approx(level_db(sent), abs=0.2)


@pytest.mark.parametrize("name", ["G722", "OPUS"])
def test_wideband_is_wide(name):
    sent = tone(5500, 16_000, 1)
    assert level_db(through(name, sent, 16_000, 16_000)) > level_db(sent) - 2


@pytest.mark.parametrize("ptime_ms", [10, 20, 30, 40, 60])
@pytest.mark.parametrize(("name", "rate_hz"), PAIRS[:6])
def test_any_packet_time(name, rate_hz, ptime_ms):
    decoder = make_decoder(name, rate_hz)
    assert len(decoder.decode(bytes(range(1, 81)) * (ptime_ms // 10))) == rate_hz * ptime_ms // 1000


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("ptime_ms", [10, 20, 40, 60])
@pytest.mark.parametrize("rate_hz", RATES)
def test_opus_packets_of_others(rate_hz, ptime_ms, channels):
    """Also stereo, at 48,000 Hz, in music mode."""
    state = _new_encoder(48_000, channels, 2049, ctypes.byref(ctypes.c_int()))
    sent = voice(48_000, 1.2)
    if channels == 2:
        sent = np.repeat(sent, 2)
    out = np.empty(4000, np.uint8)
    decoder, heard = make_decoder("OPUS", rate_hz), []
    size = 48 * ptime_ms * channels
    for each in frames(sent, size):
        length = _encode(state, each.ctypes.data, 48 * ptime_ms, out.ctypes.data, 4000)
        heard.append(decoder.decode(out[:length].tobytes()))
        assert len(heard[-1]) == rate_hz * ptime_ms // 1000
    _function("opus_encoder_destroy", None, ctypes.c_void_p)(state)
    assert likeness(voice(rate_hz, 1.2), np.concatenate(heard), rate_hz)[0] > 0.85


@pytest.mark.parametrize("name", CODECS)
@pytest.mark.parametrize("payload", [b"", bytes(2000)], ids=["empty", "too long"])
def test_no_such_payload(name, payload):
    with pytest.raises(UndecodableError, match=r"empty|of 0 bytes|of 200[01] bytes"):
        make_decoder(name, 8_000).decode(payload if name != "OPUS" else payload and b"\xff" + payload)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(PAIRS), st.lists(st.binary(max_size=1500), max_size=5))
def test_whatever_comes_is_samples_or_that_error(pair, payloads):
    decoder = make_decoder(*pair)
    for payload in payloads:
        try:
            samples = decoder.decode(payload)
        except UndecodableError:
            samples = decoder.conceal(frame_size(pair[1]))
        assert samples.dtype == np.int16
        assert len(samples) <= pair[1] * 120 // 1000


@pytest.mark.parametrize(("name", "rate_hz"), PAIRS)
def test_a_lost_frame_is_near_what_was_lost(name, rate_hz):
    sent = frames(voice(rate_hz, 1), frame_size(rate_hz))
    encoder, decoder = make_encoder(name, rate_hz), make_decoder(name, rate_hz)
    payloads = [encoder.encode(each) for each in sent]
    whole = make_decoder(name, rate_hz)
    was = [whole.decode(each) for each in payloads]
    size = frame_size(rate_hz)
    heard = [
        decoder.conceal(size) if at % 10 == 9 else decoder.decode(each) for at, each in enumerate(payloads)
    ]
    assert {len(each) for each in heard} == {size}
    lost = np.concatenate(was[9::10]), np.concatenate(heard[9::10])
    assert np.corrcoef(*lost)[0, 1] > 0.4
    jump = np.abs(np.diff(np.concatenate(heard).astype(int))).max()
    assert jump < 1.6 * np.abs(np.diff(np.concatenate(was).astype(int))).max()


@pytest.mark.parametrize(("name", "rate_hz"), PAIRS)
def test_a_lasting_loss_falls_silent(name, rate_hz):
    encoder, decoder = make_encoder(name, rate_hz), make_decoder(name, rate_hz)
    for each in frames(voice(rate_hz, 0.5), frame_size(rate_hz)):
        decoder.decode(encoder.encode(each))
    filled = np.concatenate([decoder.conceal(frame_size(rate_hz)) for _ in range(25)])
    assert len(filled) == rate_hz // 2
    assert level_db(filled[-rate_hz // 10 :]) < level_db(voice(rate_hz, 0.5)) - 20


@pytest.mark.parametrize(("name", "rate_hz"), PAIRS)
def test_nothing_heard_yet_is_concealed_by_silence(name, rate_hz):
    decoder = make_decoder(name, rate_hz)
    for count in (1, 77, frame_size(rate_hz), 5 * rate_hz // 10):
        made: Samples = decoder.conceal(count)
        assert len(made) == count
        assert not made.any()


@pytest.mark.parametrize(("name", "rate_hz"), PAIRS)
def test_a_frame_of_another_size_is_our_mistake(name, rate_hz):
    with pytest.raises(UsageError, match=r"samples, not 80"):
        make_encoder(name, rate_hz).encode(np.zeros(80, np.int16))


@pytest.mark.parametrize("make", [make_encoder, make_decoder])
@pytest.mark.parametrize(("name", "rate_hz"), [("pcmu", 8_000), ("GSM", 8_000), ("PCMU", 48_000)])
def test_unknown(make, name, rate_hz):
    with pytest.raises(UsageError, match=rf"{name}|{rate_hz}"):
        make(name, rate_hz)


@pytest.mark.parametrize("name", ["PCMU", "PCMA"])
def test_silence_is_silent(name):
    codec = CODECS[name]
    assert make_encoder(name, 8_000).encode(np.zeros(160, np.int16)) == codec.silence
    assert len(codec.silence) == codec.frame_ticks


def test_ticks():
    assert {name: codec.frame_ticks for name, codec in CODECS.items()} == {
        "PCMU": 160, "PCMA": 160, "G722": 160, "OPUS": 960,
    }  # fmt: skip
