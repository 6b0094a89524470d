"""A description that is known but for its port says the same as one read for the first time."""

import pytest

from pbx.sdp.errors import SdpError
from pbx.sdp.reading import _recall, read
from pbx.sdp.remote import read_lines
from pbx.sdp.session import SessionDescription
from tests.sdp.builders import PEER, audio, key, sdp, video

NO_KEYS = ()
BODIES = {
    "plain": sdp(*audio()),
    "held": sdp(*audio("8", "sendonly")),
    "by the session": sdp(*audio("8"), session=("a=inactive",)),
    "null address": sdp(*audio(), address="0.0.0.0"),
    "multicast": sdp(*audio(), address="224.2.1.1"),
    "IPv6": sdp(*audio(), address="2001:db8::7"),
    "its own address": sdp(*audio(), "c=IN IP4 203.0.113.5"),
    "mux": sdp(*audio("8", "rtcp-mux")),
    "its own RTCP port": sdp(*audio("8", "rtcp:4711")),
    "off": sdp(*audio(port=0)),
    "the last port": sdp(*audio(port=65535)),
    "a port beyond": sdp(*audio(port=65536)),
    "two ports": sdp(*audio()).replace(b"4000", b"4000/2"),
    "SRTP": sdp(*audio("8", f"crypto:1 AES_CM_128_HMAC_SHA1_80 {key()}", protocol="RTP/SAVP")),
    "two lines": sdp(*audio(), *video()),
    "no line": sdp(),
    "a line of another kind": sdp("m=application 4000 UDP/BFCP *"),
    "no such kind of line": sdp(*audio(), "x=1"),
    "an incomplete line": sdp("m=audio 4000 RTP/AVP"),
    "a bandwidth": sdp(*audio(), session=("b=AS:64",)),
    "bare line feeds": sdp(*audio()).replace(b"\r\n", b"\n"),
    "a stray CR": sdp(*audio()).replace(b"a=rtpmap", b"a=\rrtpmap"),
    "an o= line too short": sdp(*audio()).replace(b"IN IP4 198.51.100.7\r\ns", b"198.51.100.7\r\ns"),
    "long": sdp(*audio("8", *(f"x-{each}:{each}" for each in range(300)))),
    "bytes that are no text": sdp(*audio("8", "label:\udcff")),
}
KEYS = {
    "a first offer": NO_KEYS,
    "the same line": (("audio", 0),),
    "the second of its kind": (("audio", 1),),
    "two lines": (("audio", 0), ("video", 0)),
    "another kind": (("video", 0),),
}


def outcome(step):
    try:
        return step()
    except SdpError as error:
        return str(error)


@pytest.mark.parametrize("keys", KEYS.values(), ids=KEYS)
@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_the_same_as_read_whole(body, keys):
    for port in (b"4000", b"4002", b"5004"):
        said = body.replace(b"4000", port)
        whole = outcome(lambda said=said: read_lines(SessionDescription.parse(said), keys))
        known = outcome(lambda said=said: read(said, keys))
        if isinstance(known, str):
            assert known == whole
            continue
        lines, content = known
        assert lines == whole
        assert content.lines == tuple(each.line for each in whole)
        assert content.bandwidths == SessionDescription.parse(said).bandwidths


def test_another_port_is_no_other_reading():
    (_, first), (lines, second) = (read(sdp(*audio(port=port)), NO_KEYS) for port in (4000, 4800))
    assert lines[0].rtp == (PEER, 4800)
    assert lines[0].rtcp == (PEER, 4801)
    assert second is first


def test_keys_are_not_remembered():
    before = _recall.cache_info().currsize
    read(sdp(*audio("8", f"crypto:1 AES_CM_128_HMAC_SHA1_80 {key(letter=b'x')}")), NO_KEYS)
    assert _recall.cache_info().currsize == before
