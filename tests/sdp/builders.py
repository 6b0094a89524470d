"""Descriptions for tests, in few words, and sides that have come to an agreement."""

from base64 import b64encode

from pbx.entropy import SeededEntropy
from pbx.sdp.crypto import KEY_BYTES
from pbx.sdp.offer_answer import SdpSide, SrtpPolicy, Stream, Transport
from pbx.sdp.session import SessionDescription

PEER = "198.51.100.7"
OURS = "192.0.2.1"
PORT_A = Transport(OURS, 16384, 16385)
PORT_B = Transport(OURS, 16386, 16387)
PORT_C = Transport(OURS, 16388, 16389)


def key(suite: str = "AES_CM_128_HMAC_SHA1_80", letter: bytes = b"k") -> str:
    """A key-params word for the suite: always the same letter."""
    return "inline:" + b64encode(letter * KEY_BYTES[suite]).decode()


def sdp(*lines: str, address: str | None = PEER, session: tuple[str, ...] = ()) -> bytes:
    """A description with these media-level lines, "m=..." and what belongs to it."""
    head = ["v=0", "o=- 4711 1 IN IP4 198.51.100.7", "s=-"]
    if address is not None:
        head.append(f"c=IN IP{6 if ':' in address else 4} {address}")
    return "\r\n".join([*head, "t=0 0", *session, *lines, ""]).encode("utf-8", "surrogateescape")


def audio(
    formats: str = "8 0 101", *attributes: str, port: int = 4000, protocol: str = "RTP/AVP"
) -> list[str]:
    """An audio line; 101 is always telephone-event, 96 opus, 97 iLBC."""
    maps = {
        "96": "rtpmap:96 opus/48000/2",
        "97": "rtpmap:97 iLBC/8000",
        "101": "rtpmap:101 telephone-event/8000",
    }
    dynamic = [maps[word] for word in formats.split() if word in maps]
    return [f"m=audio {port} {protocol} {formats}", *[f"a={a}" for a in (*dynamic, *attributes)]]


def video(formats: str = "98", *attributes: str, port: int = 5000, protocol: str = "RTP/AVP") -> list[str]:
    """A video line; 98 is H264, 99 VP8."""
    maps = {"98": "rtpmap:98 H264/90000", "99": "rtpmap:99 VP8/90000"}
    dynamic = [maps[word] for word in formats.split() if word in maps]
    return [f"m=video {port} {protocol} {formats}", *[f"a={a}" for a in (*dynamic, *attributes)]]


def side(policy: SrtpPolicy = "optional", seed: int = 1, **options: object) -> SdpSide:
    return SdpSide(SeededEntropy(seed), policy, **options)  # type: ignore[arg-type]


def m_lines(body: bytes) -> list[str]:
    """The m= lines of a description, "audio 4000 RTP/AVP 8 0"."""
    return [line[2:] for line in body.decode().split("\r\n") if line.startswith("m=")]


def attributes(body: bytes, place: int = 0) -> list[str]:
    """The attributes of one media line."""
    return list(SessionDescription.parse(body).media[place].attributes)


def version(body: bytes) -> int:
    """The version in the o= line."""
    return int(SessionDescription.parse(body).origin.version)


def through(
    offer: bytes,
    answer: bytes,
    *,
    policies: tuple[SrtpPolicy, SrtpPolicy] = ("optional", "optional"),
    srtp: bool | None = None,
) -> tuple[SdpSide, SdpSide, bytes, bytes]:
    """One exchange through the B2BUA: both sides, what B was offered and what A was answered."""
    a, b = side(policies[0], 1), side(policies[1], 2)
    content = a.receive_offer(offer)
    count = len(content.lines)
    offered = b.make_offer(content, [PORT_B, PORT_C, PORT_C][:count], srtp=srtp)
    answered = a.make_answer(b.receive_answer(answer), [PORT_A, PORT_C, PORT_C][:count])
    return a, b, offered, answered


def stream(which: SdpSide, place: int = 0) -> Stream:
    return which.streams()[place]
