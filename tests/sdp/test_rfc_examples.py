"""The exchanges of RFC 3264 §10 and RFC 4317, each seen through the PBX: Alice on one leg, Bob on the other.

A row is a list of exchanges: who offers, the media lines of the offer, and those of the answer. The other
party must be offered the same, and the offerer be answered the same, but for the ports, which become ours.
"""

from collections.abc import Sequence

import pytest

from pbx.entropy import SeededEntropy
from pbx.sdp.content import Content
from pbx.sdp.offer_answer import SdpSide, Transport, pair_streams
from pbx.sdp.session import SessionDescription

MAPS = {
    "0": "PCMU/8000",
    "8": "PCMA/8000",
    "31": "H261/90000",
    "32": "MPV/90000",
    "97": "iLBC/8000",
    "110": "telephone-event/8000",
}
Lines = list[str]


def body(lines: Lines, address: str = "198.51.100.7") -> bytes:
    """A description out of "audio 49170 0 8 sendonly": kind, port, formats, direction."""
    text = ["v=0", "o=- 1 1 IN IP4 198.51.100.7", "s=-", f"c=IN IP4 {address}", "t=0 0"]
    for line in lines:
        kind, port, *words = line.split()
        formats = [word for word in words if word.isdigit()]
        text.append(f"m={kind} {port} RTP/AVP {' '.join(formats)}")
        text += [f"a=rtpmap:{word} {MAPS[word]}" for word in formats]
        text += [f"a={word}" for word in words if not word.isdigit()]
    return "\r\n".join([*text, ""]).encode()


def show(kind: str, port: object, formats: Sequence[str], attributes: Sequence[str]) -> str:
    """The same notation back with our ports as *; of a line that is off only the kind counts."""
    if not int(str(port)):
        return f"{kind} 0"
    said = [each for each in attributes if each in ("sendonly", "recvonly", "inactive")]
    return " ".join([kind, "*", *formats, *said])


def seen(description: bytes) -> Lines:
    media = SessionDescription.parse(description).media
    return [show(each.kind, each.port, each.formats, each.attributes) for each in media]


def expected(lines: Lines) -> Lines:
    split = [line.split() for line in lines]
    return [show(kind, port, words, ()) for kind, port, *words in split]


class Call:
    """Two sides and the ports between them."""

    def __init__(self) -> None:
        self.alice, self.bob = SdpSide(SeededEntropy(1)), SdpSide(SeededEntropy(2))

    def exchange(self, who: str, offer: Lines, answer: Lines) -> tuple[Lines, Lines]:
        """What the other party is offered, and what the offerer is answered."""
        near, far = (self.alice, self.bob) if who == "alice" else (self.bob, self.alice)
        content = near.receive_offer(body(offer))
        offered = far.make_offer(content, ports(content))
        answered = near.make_answer(far.receive_answer(body(answer)), ports(content))
        return seen(offered), seen(answered)


def ports(content: Content) -> list[Transport]:
    return [
        Transport("192.0.2.1", 20000 + 2 * place, 20001 + 2 * place) for place in range(len(content.lines))
    ]


THREE = ["audio 49170 0", "video 51372 31", "video 53000 32"]
AUDIO_VIDEO = ["audio 49170 0 8 97", "video 51372 31 32"]
EXAMPLES = {
    "RFC 3264 §10.1: one video of two is refused, the port changes, digits get a line of their own": [
        ("alice", THREE, ["audio 49920 0", "video 0 31", "video 53000 32"]),
        (
            "bob",
            ["audio 65422 0", "video 0 31", "video 53000 32", "audio 51434 110 recvonly"],
            ["audio 49170 0", "video 0 31", "video 53000 32", "audio 53122 110 sendonly"],
        ),
    ],
    "RFC 3264 §10.2: one of several codecs, and the offer repeated with it alone": [
        ("alice", ["audio 62986 0 8 97"], ["audio 54344 0 8"]),
        ("alice", ["audio 62986 0"], ["audio 54344 0"]),
    ],
    "RFC 4317 §2.1: one codec for audio, one for video": [
        ("alice", AUDIO_VIDEO, ["audio 49174 0", "video 49170 32"]),
    ],
    "RFC 4317 §2.2: video refused": [
        ("alice", AUDIO_VIDEO, ["audio 49172 0 8", "video 0 31"]),
    ],
    "RFC 4317 §2.3: two codecs accepted, then narrowed to one": [
        ("alice", AUDIO_VIDEO, ["audio 49172 0 97", "video 0 31"]),
        ("alice", ["audio 51372 97", "video 0 31"], ["audio 49172 97", "video 0 31"]),
    ],
    "RFC 4317 §2.4: two audio lines, one for digits": [
        (
            "alice",
            ["audio 49170 0 8 97", "audio 49172 110 sendonly"],
            ["audio 49172 97", "audio 49174 110 recvonly"],
        ),
    ],
    "RFC 4317 §2.6: an answer with another codec, refused altogether by a later offer": [
        ("alice", ["audio 49170 0 8 97"], ["audio 49172 0 8"]),
        ("bob", ["audio 49172 0"], ["audio 49170 0"]),
    ],
    "RFC 4317 §3.1: hold and resume": [
        ("alice", ["audio 49170 0 97"], ["audio 49172 97"]),
        ("bob", ["audio 49172 97 sendonly"], ["audio 49170 97 recvonly"]),
        ("bob", ["audio 49172 97"], ["audio 49170 97"]),
    ],
    "RFC 4317 §3.2: hold with two lines": [
        (
            "alice",
            ["audio 49170 0", "audio 49172 110 recvonly"],
            ["audio 49172 0", "audio 49174 110 sendonly"],
        ),
        (
            "bob",
            ["audio 49172 0 sendonly", "audio 49174 110 inactive"],
            ["audio 49170 0 recvonly", "audio 49172 110 inactive"],
        ),
        (
            "bob",
            ["audio 49172 0", "audio 49174 110 sendonly"],
            ["audio 49170 0", "audio 49172 110 recvonly"],
        ),
    ],
    "RFC 4317 §4.1: a second audio line is added": [
        ("alice", ["audio 49170 0 97"], ["audio 49172 97"]),
        (
            "bob",
            ["audio 49172 97", "audio 49174 110 sendonly"],
            ["audio 49170 97", "audio 49172 110 recvonly"],
        ),
    ],
    "RFC 4317 §4.2: video is added": [
        ("alice", ["audio 49170 0 8 97"], ["audio 49172 0"]),
        ("alice", ["audio 49170 0", "video 51372 31 32"], ["audio 49172 0", "video 50000 31"]),
    ],
    "RFC 4317 §4.3: video is taken away": [
        ("alice", AUDIO_VIDEO, ["audio 49174 0", "video 49170 32"]),
        ("bob", ["audio 49174 0", "video 0 32"], ["audio 49170 0", "video 0 32"]),
    ],
    "both hold": [
        ("alice", ["audio 49170 0"], ["audio 49172 0"]),
        ("alice", ["audio 49170 0 sendonly"], ["audio 49172 0 recvonly"]),
        ("bob", ["audio 49172 0 inactive"], ["audio 49170 0 inactive"]),
        ("alice", ["audio 49170 0 recvonly"], ["audio 49172 0 sendonly"]),
    ],
}


@pytest.mark.parametrize("exchanges", EXAMPLES.values(), ids=EXAMPLES)
def test_both_parties_see_what_they_would_without_us(exchanges):
    call = Call()
    for who, offer, answer in exchanges:
        offered, answered = call.exchange(who, offer, answer)
        assert offered == expected(offer)
        assert answered == expected(answer)


def test_a_place_used_anew_for_another_kind_is_a_new_line_on_the_other_leg():
    """RFC 3264 §8.1 lets Alice put a second audio line where her video was; Bob's video is off."""
    call = Call()
    call.exchange("alice", AUDIO_VIDEO, ["audio 49174 0", "video 0 31"])
    offered, answered = call.exchange(
        "alice",
        ["audio 49170 0", "audio 49180 8"],
        ["audio 49174 0", "video 0 31", "audio 49190 8"],
    )
    assert offered == ["audio * 0", "video 0", "audio * 8"]
    assert answered == ["audio * 0", "audio * 8"]
    paired = pair_streams(call.alice.streams(), call.bob.streams())
    assert [(a.remote_rtp[1], b.remote_rtp[1]) for a, b in paired] == [(49170, 49174), (49180, 49190)]
