"""Keys as tones, in packets that come as they like."""

from random import Random

import numpy as np
import pytest

from pbx.media import dtmf
from pbx.media.codecs import CODECS, make_encoder
from pbx.media.samples import silence
from pbx.media.tone_keys import PATIENCE, PATIENCE_S, ToneKeys

KEYS = "1123#*0D"
SPOKEN = np.concatenate(
    [
        silence(800),
        *(each for key in KEYS for each in (dtmf.make_digit(key, 100), silence(800))),
        silence(800),
    ]
)


def packets(codec="PCMU"):
    encoder, step = make_encoder(codec, 8_000), CODECS[codec].frame_ticks
    frames = SPOKEN.reshape(-1, 160)
    return [((65_530 + at) & 0xFFFF, at * step, encoder.encode(frame)) for at, frame in enumerate(frames)]


def hear(script, codec="PCMU", now=0.0):
    tones = ToneKeys(codec)
    for packet in script:
        tones.push(*packet, now)
    return "".join(tones.take(now))


def swapped(said):
    return [said[at + 1 - 2 * (at % 2)] for at in range(len(said) - len(said) % 2)]


def without_silence(said):
    quiet = said[0][2]
    loud = (each for each in said if each[2] != quiet)
    return [(number, ticks, payload) for number, (_, ticks, payload) in enumerate(loud)]


# What becomes of the packets on their way.
WAYS = {
    "as they are said": lambda said: said,
    "all at once doubled": lambda said: [each for each in said for _ in "12"],
    "the first half again, late": lambda said: said[:50] + said[:50] + said[50:],
    "every two swapped": swapped,
    "shuffled within four": lambda said: sorted(
        said, key=lambda each: Random(each[1]).uniform(0, 640) + each[1]
    ),
    "one in the middle of each tone lost": lambda said: [
        each for at, each in enumerate(said) if at % 10 != 7 or at < 5
    ],
    "those of silence were never sent": without_silence,
    "events between them": lambda said: [
        (number * 2 + at & 0xFFFF, ticks, None if at else payload)
        for number, ticks, payload in said
        for at in (0, 1)
    ],
    "rubbish in silence": lambda said: [
        (n, t, b"" if at % 10 == 1 else p) for at, (n, t, p) in enumerate(said)
    ],
}


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_every_key_is_heard_once(way, codec):
    assert hear(way(packets(codec)), codec) == KEYS


def test_frames_of_any_length():
    payload = b"".join(each for _, _, each in packets())
    script = [(at, at * 100, payload[at * 100 : at * 100 + 100]) for at in range(len(payload) // 100)]
    assert hear(script) == KEYS


def test_another_count_is_another_stream():
    said = packets()
    assert (
        hear([*said, *((number + 30_000 & 0xFFFF, ticks, payload) for number, ticks, payload in said)])
        == KEYS * 2
    )


def test_what_waits_for_a_lost_packet_is_heard_when_nothing_follows():
    tones, said = ToneKeys("PCMU"), packets()[:10]
    first, *rest = said
    for packet in (first, *rest[-PATIENCE:]):
        tones.push(*packet, 0.0)
    assert tones.take(PATIENCE_S) == []
    assert tones.take(PATIENCE_S + 0.01) == ["1"]
