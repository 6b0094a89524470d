import marshal
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pbx.errors import MediaError
from pbx.media import orders
from pbx.media.wire import Counted, Decoder, Latched, Ping, Pong, Restore, encode

KEYS = orders.SrtpKeys("AEAD_AES_128_GCM", bytes(range(28)), bytes(28))
STATS = orders.EndpointStats(packets_in=3, jitter_s=0.25, round_trip_s=None, source=("::1", 4000))
MESSAGES = [
    orders.OpenEndpoint("a", "call", "::1", 10000),
    orders.SetRemote("a", None),
    orders.SetRemote(
        *("a", ("192.0.2.1", 4000), ("192.0.2.1", 4001), True, False, True, False, True, KEYS, True),
        clock_rates=((0, 8000), (101, 8000)),
        telephone_event=101,
        payload_map=((101, 96),),
        codecs=((0, "PCMU"), (96, "OPUS")),
        heard_codecs=((0, "PCMU"), (97, "OPUS")),
        has_digits=True,
    ),
    orders.Mix("a", "room", True, True),
    orders.Play("a", "play", "/data/sound", True, True),
    orders.StopPlay("a"),
    orders.Record("a", "recording", "/data/file.wav", "b", 120.0, 5.0),
    orders.StopRecord("a", "recording"),
    orders.Detect("a", False),
    orders.SendDigit("a", "#", 200),
    orders.Digit("a", "5"),
    orders.Digit("a", "5", 0xFFFFFFFF),
    orders.Played("a", "play", "ended"),
    orders.Recorded("a", "recording", 9.5, "silence"),
    orders.Join("a", "b"),
    orders.Part("a"),
    orders.CloseEndpoint("a"),
    orders.ReadStats("a"),
    orders.EndpointFailed("a", "Adresse déjà utilisée"),
    Latched("a", ("192.0.2.1", 4000)),
    orders.EndpointClosed("a", STATS),
    orders.StatsRead("a", STATS),
    orders.Silent("a", 30.0),
    orders.Resumed("a"),
    orders.WorkerRestarted(("call", "other"), "died"),
    Ping(),
    Pong(),
    Counted("a", KEYS, "in", 7, 65_536),
    Restore("a", ("192.0.2.1", 4000), (("in", 7, 65_536), ("rtcp", 7, 64))),
]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_round_trip(message):
    assert list(Decoder().feed(encode(message))) == [message]


def test_every_order_and_event_is_among_the_messages_above():
    types = {type(message) for message in MESSAGES}
    assert types >= set(orders.Order.__args__) | set(orders.Event.__args__)


@settings(max_examples=50)
@given(st.lists(st.integers(0, 2000), max_size=20), st.integers(1, len(MESSAGES)))
def test_however_the_stream_is_cut_the_messages_are_the_same(cuts, together):
    frames = [MESSAGES[at : at + together] for at in range(0, len(MESSAGES), together)]
    stream = b"".join(encode(*messages) for messages in frames)
    edges = [0, *sorted(cut % len(stream) for cut in cuts), len(stream)]
    decoder, found = Decoder(), []
    for start, end in pairwise(edges):
        found += decoder.feed(stream[start:end])
    assert found == MESSAGES


def framed(value):
    body = marshal.dumps(value)
    return len(body).to_bytes(4, "big") + body


BROKEN = {
    "a frame too long": b"\xff\xff\xff\xff",
    "no marshalled value": b"\0\0\0\1x",
    "a value cut short": b"\0\0\0\1(",
    "no list": framed(7),
    "no tuple in it": framed([7]),
    "an empty one": framed([()]),
    "an unknown kind": framed([(99,)]),
    "a kind that is no number": framed([("Latched", "a")]),
    "a kind without its fields": framed([(7,)]),
}


@pytest.mark.parametrize("data", BROKEN.values(), ids=BROKEN)
def test_another_program_at_the_other_end(data):
    with pytest.raises(MediaError):
        Decoder().feed(data)


def test_keys_are_not_shown():
    assert "0001" not in repr(orders.SetRemote("a", None, srtp=KEYS))
    assert "x01" not in repr(orders.SetRemote("a", None, srtp=KEYS))
