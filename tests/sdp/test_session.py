"""RFC 8866: what is read, what is refused, and that nothing is lost on the way."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pbx.sdp.errors import SdpError
from pbx.sdp.session import Connection, MediaDescription, Origin, SessionDescription, Timing
from tests.support.reading import read

# Every line type there is, in the order of RFC 8866 §5.
EVERYTHING = b"""v=0\r
o=jdoe 3724394400 3724394405 IN IP4 198.51.100.1\r
s=Call to John Smith\r
i=SDP Offer #1\r
u=http://www.jdoe.example.com/home.html\r
e=Jane Doe <jane@jdoe.example.com>\r
p=+1 617 555-6011\r
c=IN IP4 198.51.100.1\r
b=CT:128\r
t=3724394400 3724398000\r
r=7d 1h 0 25h\r
r=604800 3600 0 90000\r
t=3724484400 3724488000\r
z=3730928400 -1h 3749680800 0\r
k=prompt\r
a=recvonly\r
a=tool:x\r
m=audio 49170/2 RTP/AVP 0 96\r
i=speech\r
c=IN IP6 2001:db8::2\r
c=IN IP6 2001:db8::3\r
b=AS:64\r
k=clear:secret\r
a=rtpmap:96 opus/48000/2\r
a=inactive\r
m=video 51372 RTP/AVP 99\r
a=rtpmap:99 h263-1998/90000\r
"""

SHORT = b"v=0\no=- 1 2 IN IP4 192.0.2.1\n"


def test_every_line_type_comes_back_as_it_was():
    assert SessionDescription.parse(EVERYTHING).render() == EVERYTHING


def test_the_parts_are_found():
    parsed = SessionDescription.parse(EVERYTHING)
    assert parsed.origin == Origin("jdoe", "3724394400", "3724394405", "IN", "IP4", "198.51.100.1")
    assert parsed.connection == Connection("IN", "IP4", "198.51.100.1")
    assert parsed.timings == (
        Timing("3724394400 3724398000", ("7d 1h 0 25h", "604800 3600 0 90000")),
        Timing("3724484400 3724488000"),
    )
    assert parsed.attribute("tool") == "x"
    assert parsed.attribute("recvonly") == ""
    assert parsed.attribute("sendonly") is None
    speech, picture = parsed.media
    assert (speech.kind, speech.port, speech.port_count, speech.formats) == ("audio", 49170, 2, ("0", "96"))
    assert speech.attribute("rtpmap") == "96 opus/48000/2"
    assert picture == MediaDescription(
        "video", 51372, "RTP/AVP", ("99",), attributes=("rtpmap:99 h263-1998/90000",)
    )


TOLERATED = {
    "a bare LF ends a line": (SHORT + b"s=x\nt=0 0\n", "name", "x"),
    "the last line has no end": (SHORT + b"s=x", "name", "x"),
    "blank lines at the end": (SHORT + b"s=x\r\n\r\n\r\n", "name", "x"),
    "no s= and no t=": (SHORT, "timings.0.active", "0 0"),
    "s= without a value becomes a dash": (SHORT + b"s=\n", "name", "-"),
    "c= after t=": (SHORT + b"s=-\nt=0 0\nc=IN IP4 192.0.2.9\n", "connection.address", "192.0.2.9"),
    "an attribute before t=": (SHORT + b"a=x:y\ns=-\nt=0 0\n", "attributes.0", "x:y"),
    "an attribute without a name is dropped": (SHORT + b"a=\n", "attributes", ()),
    "a bandwidth without a value is dropped": (SHORT + b"b=\n", "bandwidths", ()),
    "a user name with blanks": (b"v=0\no=My Phone 1 2 IN IP4 h\n", "origin.username", "My Phone"),
    "port 0 without a format": (SHORT + b"m=video 0 RTP/AVP\n", "media.0.formats", ("0",)),
    "a trailing blank on m=": (SHORT + b"m=audio 4000 RTP/AVP 0 \n", "media.0.formats", ("0",)),
    "bytes that are no UTF-8": (SHORT + b"s=caf\xe9\n", "name", "caf\udce9"),
}


@pytest.mark.parametrize(("body", "path", "value"), TOLERATED.values(), ids=TOLERATED)
def test_tolerated(body, path, value):
    parsed = SessionDescription.parse(body)
    assert read(parsed, path) == value
    assert SessionDescription.parse(parsed.render()) == parsed


MEDIA = SHORT + b"m=audio 4000 RTP/AVP 0\n"
REFUSED = {
    "nothing": b"",
    "blank lines": b"\r\n\r\n",
    "another version": b"v=1\no=- 1 2 IN IP4 h\n",
    "a blank before the version": b" v=0\no=- 1 2 IN IP4 h\n",
    "no origin": b"v=0\ns=-\n",
    "only a version": b"v=0",
    "the origin comes late": b"v=0\ns=-\no=- 1 2 IN IP4 h\n",
    "an origin of five words": b"v=0\no=- 1 2 IN IP4\n",
    "an origin without words": b"v=0\no=\n",
    "two origins": SHORT + b"o=- 1 2 IN IP4 h\n",
    "two names": SHORT + b"s=-\ns=-\n",
    "two connections for the session": SHORT + b"c=IN IP4 h\nc=IN IP4 h\n",
    "a connection of two words": SHORT + b"c=IN IP4\n",
    "a connection of four words": SHORT + b"c=IN IP4 192.0.2.1 192.0.2.2\n",
    "a blank line in the middle": SHORT + b"s=-\n\nt=0 0\n",
    "a line without =": SHORT + b"hello\n",
    "a line with a blank before =": SHORT + b"s =-\n",
    "an unknown type": SHORT + b"x=1\n",
    "an upper-case type": SHORT + b"S=-\n",
    "a repeat before any time": SHORT + b"r=7d 1h 0\n",
    "a folded line": SHORT + b"s=-\n a=x\n",
    "a CR inside a line": SHORT + b"s=a\rb\n",
    "a CR as line end": SHORT + b"s=a\rt=0 0\r",
    "a NUL": SHORT + b"s=a\0b\n",
    "a time below m=": MEDIA + b"t=0 0\n",
    "a name below m=": MEDIA + b"s=-\n",
    "an origin below m=": MEDIA + b"o=- 1 2 IN IP4 h\n",
    "an unknown type below m=": MEDIA + b"y=0\n",
    "two titles below m=": MEDIA + b"i=a\ni=b\n",
    "a broken connection below m=": MEDIA + b"c=\n",
    "m= without words": SHORT + b"m=\n",
    "m= without a protocol": SHORT + b"m=audio 4000\n",
    "m= without formats": SHORT + b"m=audio 4000 RTP/AVP\n",
    "a port above 65535": SHORT + b"m=audio 65536 RTP/AVP 0\n",
    "a port of ten million digits": SHORT + b"m=audio " + b"9" * 60_000 + b" RTP/AVP 0\n",
    "a negative port": SHORT + b"m=audio -1 RTP/AVP 0\n",
    "a port with a plus": SHORT + b"m=audio +1 RTP/AVP 0\n",
    "a port with an underscore": SHORT + b"m=audio 4_000 RTP/AVP 0\n",
    "a port of Arabic digits": SHORT + "m=audio ٤٠٠٠ RTP/AVP 0\n".encode(),
    "a port with a word": SHORT + b"m=audio four RTP/AVP 0\n",
    "no ports at all": SHORT + b"m=audio 4000/0 RTP/AVP 0\n",
    "a port count without a number": SHORT + b"m=audio 4000/ RTP/AVP 0\n",
    "33 media lines": SHORT + b"m=audio 4000 RTP/AVP 0\n" * 33,
    "2001 attributes": SHORT + b"a=x\n" * 2001,
    "2001 attributes over all lines": SHORT + (b"m=audio 1 RTP/AVP 0\n" + b"a=x\n" * 70) * 30,
    "4000 lines": SHORT + b"e=x\n" * 3999,
    "64 KiB and a byte": SHORT + b"s=" + b"x" * (65537 - len(SHORT) - 2),
}


@pytest.mark.parametrize("body", REFUSED.values(), ids=REFUSED)
def test_refused(body):
    with pytest.raises(SdpError) as refused:
        SessionDescription.parse(body)
    assert refused.value.status == 488
    assert len(refused.value.warning("pbx.example")) < 400


def test_the_limits_themselves_are_allowed():
    assert len(SessionDescription.parse(SHORT + b"m=audio 4000 RTP/AVP 0\n" * 32).media) == 32
    assert len(SessionDescription.parse(SHORT + b"a=x\n" * 2000).attributes) == 2000
    assert SessionDescription.parse(SHORT + b"s=" + b"x" * (65536 - len(SHORT) - 2)).name[-1] == "x"


WORDS = st.text(st.characters(codec="utf-8", exclude_characters="\0\r\n"), min_size=1, max_size=12)
TOKENS = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=8)
NUMBERS = st.integers(0, 65535)
CONNECTIONS = st.builds(Connection, TOKENS, TOKENS, TOKENS)
MEDIA_DESCRIPTIONS = st.builds(
    MediaDescription,
    kind=TOKENS,
    port=NUMBERS,
    protocol=TOKENS,
    formats=st.lists(TOKENS, min_size=1, max_size=4).map(tuple),
    port_count=st.integers(1, 65535),
    information=st.none() | WORDS,
    connections=st.lists(CONNECTIONS, max_size=2).map(tuple),
    bandwidths=st.lists(WORDS, max_size=2).map(tuple),
    key=st.none() | WORDS,
    attributes=st.lists(WORDS, max_size=4).map(tuple),
)
DESCRIPTIONS = st.builds(
    SessionDescription,
    origin=st.builds(Origin, TOKENS, TOKENS, TOKENS, TOKENS, TOKENS, TOKENS),
    name=WORDS,
    information=st.none() | WORDS,
    uri=st.none() | WORDS,
    emails=st.lists(WORDS, max_size=2).map(tuple),
    phones=st.lists(WORDS, max_size=2).map(tuple),
    connection=st.none() | CONNECTIONS,
    bandwidths=st.lists(WORDS, max_size=2).map(tuple),
    timings=st.lists(
        st.builds(Timing, WORDS, st.lists(WORDS, max_size=2).map(tuple)), min_size=1, max_size=2
    ).map(tuple),
    zones=st.none() | WORDS,
    key=st.none() | WORDS,
    attributes=st.lists(WORDS, max_size=4).map(tuple),
    media=st.lists(MEDIA_DESCRIPTIONS, max_size=3).map(tuple),
)


@given(DESCRIPTIONS)
def test_what_is_rendered_is_read_back(description):
    assert SessionDescription.parse(description.render()) == description


@given(
    st.lists(
        st.sampled_from([line + b"\n" for line in EVERYTHING.split(b"\r\n")]) | st.binary(max_size=12)
    ).map(b"".join)
)
def test_rubbish_raises_nothing_but_an_sdp_error(body):
    try:
        parsed = SessionDescription.parse(SHORT + body)
    except SdpError:
        return
    assert SessionDescription.parse(parsed.render()) == parsed
