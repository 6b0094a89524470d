"""Reading the peer's media lines."""

import pytest

from pbx.sdp import errors
from pbx.sdp.remote import RemoteLine, read_lines
from pbx.sdp.session import SessionDescription
from tests.sdp.builders import PEER, audio, key, sdp, video
from tests.support.reading import read

V6 = "2001:db8::7"


def lines(body: bytes, *keys: tuple[str, int]) -> tuple[RemoteLine, ...]:
    return read_lines(SessionDescription.parse(body), keys)


C6, C4 = f"c=IN IP6 {V6}", "c=IN IP4 203.0.113.5"
READ = {
    "the session's address": (sdp(*audio()), "rtp", (PEER, 4000)),
    "the line's own address": (sdp(*audio(), C4), "rtp", ("203.0.113.5", 4000)),
    "of two the first": (sdp(*audio(), C4, C6), "rtp", ("203.0.113.5", 4000)),
    "only the line has one": (sdp(*audio(), C6, address=None), "rtp", (V6, 4000)),
    "an IPv6 session": (sdp(*audio(), address=V6), "rtp", (V6, 4000)),
    "IP4 said of an IPv6 address": (sdp(*audio(), f"c=IN IP4 {V6}"), "rtp", (V6, 4000)),
    "RTCP is one port up": (sdp(*audio()), "rtcp", (PEER, 4001)),
    "a=rtcp": (sdp(*audio("0", "rtcp:53020")), "rtcp", (PEER, 53020)),
    "a=rtcp with an address": (sdp(*audio("0", f"rtcp:53020 IN IP6 {V6}")), "rtcp", (V6, 53020)),
    "a=rtcp with a name": (sdp(*audio("0", "rtcp:53020 IN IP4 a.example")), "rtcp", (PEER, 53020)),
    "a=rtcp without a port": (sdp(*audio("0", "rtcp:")), "rtcp", (PEER, 4001)),
    "a=rtcp with port 0": (sdp(*audio("0", "rtcp:0")), "rtcp", (PEER, 4001)),
    "rtcp-mux": (sdp(*audio("0", "rtcp-mux", "rtcp:53020")), "rtcp", (PEER, 4000)),
    "no port after the last": (sdp(*audio("0", port=65535)), "rtcp", (PEER, 65535)),
    "ptime": (sdp(*audio("0", "ptime:30", "maxptime:60")), "line.ptime_ms", 30),
    "maxptime": (sdp(*audio("0", "ptime:30", "maxptime:60")), "line.maxptime_ms", 60),
    "a ptime that is no number": (sdp(*audio("0", "ptime:fast")), "line.ptime_ms", None),
    "a bandwidth": (sdp(*audio(), "b=AS:64", "b=RR:0"), "line.bandwidths", ("AS:64", "RR:0")),
    "sendrecv when nothing is said": (sdp(*audio()), "line.direction", "sendrecv"),
    "the line's direction": (sdp(*audio("0", "sendonly")), "line.direction", "sendonly"),
    "a blank behind it": (sdp(*audio("0", "sendonly ")), "line.direction", "sendonly"),
    "the session's": (sdp(*audio(), session=("a=inactive",)), "line.direction", "inactive"),
    "the line's before the session's": (
        sdp(*audio("0", "recvonly"), session=("a=inactive",)),
        "line.direction",
        "recvonly",
    ),
    "unknown attributes stay": (
        sdp(*audio("0", "label:1", "x-own")),
        "line.attributes",
        ("label:1", "x-own"),
    ),
    "transport and keys do not": (
        sdp(
            *audio(
                *("0", "ice-ufrag:a", "ice-pwd:b", "candidate:1 1 UDP 1 192.0.2.1 4000 typ host"),
                *("fingerprint:sha-256 AB", "setup:active", "mid:0", f"crypto:1 X {key()}", "rtcp-mux"),
                *("rtcp:1", "zrtp-hash:1.10 a", "des:qos mandatory local sendrecv", "msid:a b"),
            )
        ),
        "line.attributes",
        (),
    ),
    "feedback for all": (sdp(*video("98", "rtcp-fb:* nack")), "line.feedback", ("nack",)),
    "feedback for one": (
        sdp(*video("98", "rtcp-fb:98 nack", "rtcp-fb:98 ccm fir")),
        "line.formats.0.feedback",
        ("nack", "ccm fir"),
    ),
    "fmtp": (sdp(*audio("18", "fmtp:18 annexb=no")), "line.formats.0.parameters", ("annexb=no",)),
    "the first rtpmap counts": (sdp(*audio("96", "rtpmap:96 X/8000")), "line.formats.0.name", "OPUS"),
    "only usable crypto": (sdp(*audio("0", "crypto:1 x inline:y")), "crypto", ()),
    "but that there was some": (sdp(*audio("0", "crypto:1 x inline:y")), "had_crypto", True),
}


@pytest.mark.parametrize(("body", "path", "value"), READ.values(), ids=READ)
def test_read(body, path, value):
    (line,) = lines(body)
    assert line.refusal is None
    assert not line.line.rejected
    assert read(line, path) == value


FORMATS = {
    "static ones without rtpmap": ("0 3 4 8 9 18", ["PCMU", "GSM", "G723", "PCMA", "G722", "G729"]),
    "a dynamic one without rtpmap is passed over": ("0 120", ["PCMU"]),
    "so is what is no payload type": ("0 128 -1 t38 008x", ["PCMU"]),
    "digits alone may have a line": ("101", ["TELEPHONE-EVENT"]),
    "a number twice counts once": ("8 8 0", ["PCMA", "PCMU"]),
}


@pytest.mark.parametrize(("written", "names"), FORMATS.values(), ids=FORMATS)
def test_formats(written, names):
    (line,) = lines(sdp(*audio(written)))
    assert [each.name for each in line.line.formats] == names


NULL = {
    "RFC 2543's hold": ("0.0.0.0", "sendrecv", "sendonly"),
    "with sendonly": ("0.0.0.0", "sendonly", "sendonly"),
    "with recvonly": ("0.0.0.0", "recvonly", "inactive"),
    "with inactive": ("0.0.0.0", "inactive", "inactive"),
    "its IPv6 kin": ("::", "sendrecv", "sendonly"),
    "a name that cannot be": ("hold.invalid", "sendrecv", "sendonly"),
}


@pytest.mark.parametrize(("address", "said", "meant"), NULL.values(), ids=NULL)
def test_nothing_is_sent_to_the_null_address(address, said, meant):
    (line,) = lines(sdp(*audio("0", said), address=address))
    assert (line.rtp, line.rtcp, line.line.direction, line.line.rejected) == (None, None, meant, False)


REFUSED = {
    "fax": (sdp("m=image 4000 udptl t38"), errors.MEDIA_TYPE_NOT_AVAILABLE),
    "text": (sdp("m=text 4000 RTP/AVP 98", "a=rtpmap:98 t140/1000"), errors.MEDIA_TYPE_NOT_AVAILABLE),
    "a data channel": (
        sdp("m=application 9 UDP/DTLS/SCTP webrtc-datachannel"),
        errors.MEDIA_TYPE_NOT_AVAILABLE,
    ),
    "a browser's audio": (sdp(*audio("96", protocol="UDP/TLS/RTP/SAVPF")), errors.INCOMPATIBLE_TRANSPORT),
    "audio over TCP": (sdp(*audio("0", protocol="TCP/RTP/AVP")), errors.INCOMPATIBLE_TRANSPORT),
    "no known format": (sdp(*audio("120 121")), errors.INCOMPATIBLE_MEDIA_FORMAT),
    "another network": (sdp(*audio(), "c=ATM NSAP 47.0091"), errors.INCOMPATIBLE_NETWORK_PROTOCOL),
    "a host name": (sdp(*audio(), address="phone.example.com"), errors.INCOMPATIBLE_ADDRESS_FORMAT),
    "a broken address": (sdp(*audio(), address="192.0.2.256"), errors.INCOMPATIBLE_ADDRESS_FORMAT),
    "an address with leading zeros": (
        sdp(*audio(), address="192.0.02.1"),
        errors.INCOMPATIBLE_ADDRESS_FORMAT,
    ),
    "a short address": (sdp(*audio(), address="192.0.2"), errors.INCOMPATIBLE_ADDRESS_FORMAT),
    "a long address": (sdp(*audio(), address="192.0.2.1.1"), errors.INCOMPATIBLE_ADDRESS_FORMAT),
    "an address with a dot behind": (sdp(*audio(), address="192.0.2.1."), errors.INCOMPATIBLE_ADDRESS_FORMAT),
    "the broadcast address": (sdp(*audio(), address="255.255.255.255"), errors.INCOMPATIBLE_ADDRESS_FORMAT),
    "this network": (sdp(*audio(), address="0.0.0.1"), errors.INCOMPATIBLE_ADDRESS_FORMAT),
    "a scoped address": (sdp(*audio(), address="fe80::1%eth0"), errors.INCOMPATIBLE_ADDRESS_FORMAT),
    "multicast": (sdp(*audio(), address="224.2.17.12/127"), errors.MULTICAST_NOT_AVAILABLE),
    "IPv6 multicast": (sdp(*audio(), address="ff15::101/3"), errors.MULTICAST_NOT_AVAILABLE),
    "no address at all": (sdp(*audio(), address=None), errors.MISCELLANEOUS),
}


@pytest.mark.parametrize(("body", "code"), REFUSED.values(), ids=REFUSED)
def test_refused(body, code):
    (line,) = lines(body)
    assert line.line.rejected
    assert line.rtp is None
    assert line.refusal is not None
    assert line.refusal.code == code


def test_port_0_is_a_rejected_line_without_a_reason():
    (line,) = lines(sdp(*audio(port=0), address=None))
    assert (line.line.rejected, line.line.direction, line.refusal) == (True, "inactive", None)


def keys(body: bytes, *session: tuple[str, int]) -> list[tuple[str, int]]:
    return [line.line.key for line in lines(body, *session)]


def test_lines_are_counted_by_kind():
    body = sdp(*audio(), *video(), *audio(), *audio())
    assert keys(body) == [("audio", 0), ("video", 0), ("audio", 1), ("audio", 2)]


def test_lines_of_the_session_keep_their_names():
    body = sdp(*audio(), *audio(), *video())
    assert keys(body, ("audio", 1)) == [("audio", 1), ("audio", 2), ("video", 0)]
    more = sdp(*audio(), *audio(), *audio())
    assert keys(more, ("audio", 1), ("audio", 0)) == [("audio", 1), ("audio", 0), ("audio", 2)]


def test_a_place_used_anew_for_another_kind_gets_a_new_name():
    assert keys(sdp(*audio(), *audio()), ("video", 0), ("audio", 0)) == [("audio", 1), ("audio", 0)]
