"""What holds for every offer, every answer and every order of them."""

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from pbx.entropy import SeededEntropy
from pbx.errors import UsageError
from pbx.sdp.content import RECEIVING, REVERSED, SENDING, Content, hold, make_content, narrow, with_direction
from pbx.sdp.errors import SdpError
from pbx.sdp.offer_answer import SdpSide, Transport, pair_streams, payload_map
from pbx.sdp.remote import read_lines
from pbx.sdp.session import SessionDescription
from tests.sdp.builders import key, sdp

DIRECTIONS = st.sampled_from(["", "sendrecv", "sendonly", "recvonly", "inactive"])
CODECS = ["opus/48000/2", "telephone-event/8000", "iLBC/8000", "H264/90000", "rtx/90000", "PCMA/8000"]
PROFILES = ["RTP/AVP", "RTP/AVP", "RTP/AVPF", "RTP/SAVP", "RTP/SAVPF", "UDP/TLS/RTP/SAVPF"]
ADDRESSES = ["198.51.100.7", "2001:db8::7", "0.0.0.0", "::", "224.2.17.12", "phone.example"]
EXTRAS = [
    "ptime:20",
    "rtcp-mux",
    "rtcp:9 IN IP4 192.0.2.9",
    "rtcp-fb:* nack",
    "ice-ufrag:x",
    "label:1",
    f"crypto:1 AES_CM_128_HMAC_SHA1_80 {key()}",
    f"crypto:2 AEAD_AES_128_GCM {key('AEAD_AES_128_GCM')}",
    f"crypto:1 AES_CM_128_HMAC_SHA1_32 {key('AES_CM_128_HMAC_SHA1_32')}|1:4",
    "crypto:3 broken",
]


CRYPTO = EXTRAS[6]


@st.composite
def media_lines(draw):
    """One media line as a peer might write it: mostly sound, sometimes odd in one way, sometimes in all."""
    odd = draw(st.sampled_from(["no", "no", "no", "kind", "port", "profile", "formats", "address", "all"]))

    def pick(what: str, sound: list[str], other: list[str]) -> str:
        return draw(st.sampled_from(other if odd in (what, "all") else sound))

    numbers = draw(st.lists(st.sampled_from([0, 8, 9, 18, 96, 97, 98, 101]), min_size=1, unique=True))
    profile = pick("profile", ["RTP/AVP", "RTP/AVPF", "RTP/SAVP"], PROFILES)
    lines = [
        f"m={pick('kind', ['audio', 'video'], ['image', 'text'])} {pick('port', ['4000'], ['0', '4000'])} "
        f"{profile} {' '.join(map(str, numbers))}"
    ]
    dynamic = [n for n in numbers if n > 34 and (odd not in ("formats", "all") or draw(st.booleans()))]
    lines += [f"a=rtpmap:{n} {draw(st.sampled_from(CODECS))}" for n in dynamic]
    lines += [f"a={extra}" for extra in draw(st.lists(st.sampled_from(EXTRAS), max_size=3))]
    if odd == "no" and profile == "RTP/SAVP":
        lines.append(f"a={CRYPTO}")
    if direction := draw(DIRECTIONS):
        lines.append(f"a={direction}")
    if odd in ("address", "all"):
        lines.append(f"c=IN IP4 {draw(st.sampled_from(ADDRESSES))}")
    return lines


OFFERS = st.lists(media_lines(), min_size=1, max_size=4).map(
    lambda lines: sdp(*[x for y in lines for x in y])
)
POLICIES = st.sampled_from(["off", "optional", "required"])


def ports(start: int, count: int = 8) -> list[Transport]:
    return [Transport("192.0.2.1", port, port + 1) for port in range(start, start + 2 * count, 2)]


@st.composite
def answers(draw, offer: bytes):
    """An answer to `offer` that keeps its lines, with some wilfulness in all else."""
    odd = draw(st.sampled_from(["no", "no", "no", "formats", "profile", "crypto", "lines"]))
    lines = []
    for media in SessionDescription.parse(offer).media:
        kept = [each for each in media.formats if draw(st.booleans())] or list(media.formats)
        port = 0 if media.port == 0 else draw(st.sampled_from([6000, 6000, 6000, 0]))
        protocol = draw(st.sampled_from(PROFILES)) if odd == "profile" else media.protocol
        lines.append(f"m={media.kind} {port} {protocol} {' '.join(kept)}")
        maps = [each for each in media.attributes if each.startswith("rtpmap:")]
        lines += [f"a={each}" for each in maps if odd != "formats" or draw(st.booleans())]
        lines += [f"a={extra}" for extra in draw(st.lists(st.sampled_from(EXTRAS), max_size=2))]
        said = [
            each.split()[0] + " " + each.split()[1] for each in media.attributes if each.startswith("crypto:")
        ]
        if said and odd != "crypto":
            tag_and_suite = draw(st.sampled_from(said))
            lines.append(f"a={tag_and_suite} {key(tag_and_suite.split()[1])}")
        if direction := draw(DIRECTIONS):
            lines.append(f"a={direction}")
    if odd == "lines":
        del lines[draw(st.integers(0, len(lines) - 1)) :]
    return sdp(*lines)


def check_answer(offer: bytes, answer: bytes, transports: list[Transport]) -> None:
    """RFC 3264 §6: as many lines in order, only offered formats, legal directions, our own ports."""
    offered, answered = SessionDescription.parse(offer), SessionDescription.parse(answer)
    assert [each.kind for each in answered.media] == [each.kind for each in offered.media]
    theirs, ours = read_lines(offered, ()), read_lines(answered, ())
    for place, (they, we) in enumerate(zip(theirs, ours, strict=True)):
        assert we.protocol == they.protocol
        assert set(we.formats) <= set(they.formats)
        if answered.media[place].port == 0:
            continue
        assert not they.line.rejected
        assert we.rtp == transports[place][:2]
        assert {(f.payload_type, f.codec) for f in we.line.formats} <= {
            (f.payload_type, f.codec) for f in they.line.formats
        }
        assert narrow(we.line.direction, REVERSED[they.line.direction]) == we.line.direction
        assert we.is_secure <= bool(we.crypto)
        assert {each.tag for each in we.crypto} <= {each.tag for each in they.crypto}
        assert len(we.crypto) <= 1


def check_streams(side: SdpSide) -> None:
    for stream in side.streams():
        assert not stream.may_send or (stream.active and stream.remote_rtp is not None)
        assert stream.may_receive <= stream.active
        assert stream.may_send <= (stream.direction in SENDING)
        assert stream.may_receive <= (stream.direction in RECEIVING)
        assert bool(stream.receive) == bool(stream.send) == stream.active
        assert {each.codec for each in stream.receive} == {each.codec for each in stream.send}


@given(st.data(), POLICIES, POLICIES)
@settings(max_examples=120, deadline=None)
def test_an_exchange_through_the_pbx(data, policy_a, policy_b):
    a, b = SdpSide(SeededEntropy(1), policy_a), SdpSide(SeededEntropy(2), policy_b)
    ours_a, ours_b = ports(20000), ports(30000)
    offer = data.draw(OFFERS)
    try:
        content = a.receive_offer(offer)
    except SdpError:
        assert a.state == "stable"
        return
    assert len(content.lines) == len(SessionDescription.parse(offer).media)
    offered = b.make_offer(content, ours_b)
    assert all(media.port for media in SessionDescription.parse(offered).media)
    assert b"ice-ufrag" not in offered
    assert b"198.51.100.7" not in offered
    try:
        wanted = b.receive_answer(data.draw(answers(offered)))
        answered = a.make_answer(wanted, ours_a)
    except SdpError:
        return
    check_answer(offer, answered, ours_a)
    check_streams(a)
    check_streams(b)
    for mine, theirs in pair_streams(a.streams(), b.streams()):
        assert (mine.kind, mine.ordinal) == (theirs.kind, theirs.ordinal)
        # What the two agreed on is agreed on with both, and reaches each under its own number.
        assert (mine.may_receive, mine.may_send) == (theirs.may_send, theirs.may_receive)
        rewritten = payload_map(theirs, mine)
        codecs = {each.payload_type: each.codec for each in mine.send}
        for each in theirs.receive:
            if each.codec in codecs.values():
                assert codecs[rewritten.get(each.payload_type, each.payload_type)] == each.codec


@given(st.data(), OFFERS)
@settings(max_examples=120, deadline=None)
def test_a_damaged_offer_is_an_sdp_error_or_answered_well(data, offer):
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(offer)))
        to = at + data.draw(st.integers(0, 9))
        filling = data.draw(
            st.sampled_from([b"", b"\r\n", b" ", b":", b"a=", b"m=audio", b"\xff\0", b"99999999999"])
        )
        offer = offer[:at] + filling + offer[to:]
    side = SdpSide(SeededEntropy())
    try:
        content = side.receive_offer(offer)
        answered = side.make_answer(content, ports(20000, 32))
    except SdpError:
        return
    check_answer(offer, answered, ports(20000, 32))


class Negotiation(RuleBasedStateMachine):
    """One side under any order of calls: legal ones never wedge it, others are UsageErrors without effect."""

    def __init__(self) -> None:
        super().__init__()
        self.side = SdpSide(SeededEntropy())
        self.offer = b""
        self.sent: list[bytes] = []

    def content(self) -> Content:
        return self.side.remote_content or make_content()

    def described(self, body: bytes) -> None:
        """Versions only grow, by one, and only with a change."""
        self.sent.append(body)
        if len(self.sent) > 1:
            before, after = (SessionDescription.parse(each) for each in self.sent[-2:])
            grown = int(after.origin.version) - int(before.origin.version)
            assert grown == (before._replace(origin=after.origin) != after)
            assert after.origin._replace(version="") == before.origin._replace(version="")

    @rule(offer=OFFERS)
    def receive_offer(self, offer):
        if self.side.state != "stable":
            self.misuse(lambda: self.side.receive_offer(offer))
            return
        try:
            self.side.receive_offer(offer)
        except SdpError:
            assert self.side.state == "stable"
        else:
            self.offer = offer
            assert self.side.state == "offer received"

    @rule(own=st.booleans(), start=st.sampled_from([20000, 30000]))
    def make_answer(self, own, start):
        content = make_content((0, 8, 9, 18)) if own else self.content()
        if self.side.state != "offer received":
            self.misuse(lambda: self.side.make_answer(content, ports(start)))
            return
        try:
            answer = self.side.make_answer(content, ports(start))
        except SdpError:
            assert self.side.state == "offer received"
            self.side.rollback()
        else:
            self.described(answer)
            check_answer(self.offer, answer, ports(start))
        assert self.side.state == "stable"

    @rule(
        kind=st.sampled_from(["own", "peer's", "hold", "resume"]), srtp=st.sampled_from([None, True, False])
    )
    def make_offer(self, kind, srtp):
        content = make_content((8, 0, 18)) if kind == "own" else self.content()
        content = {"hold": hold, "resume": with_direction}.get(kind, lambda same: same)(content)
        if self.side.state != "stable":
            self.misuse(lambda: self.side.make_offer(content, ports(20000), srtp=srtp))
            return
        lines = len(self.side.streams())
        if not lines and all(line.rejected for line in content.lines):
            return
        offer = self.side.make_offer(content, ports(20000), srtp=srtp)
        self.described(offer)
        assert len(SessionDescription.parse(offer).media) >= lines
        assert self.side.state == "offered"

    @rule(data=st.data())
    def receive_answer(self, data):
        if self.side.state != "offered":
            self.misuse(lambda: self.side.receive_answer(sdp()))
            return
        answer = data.draw(answers(self.sent[-1]))
        try:
            self.side.receive_answer(answer)
        except SdpError:
            assert self.side.state == "offered"
        else:
            assert self.side.state == "stable"

    @rule(body=st.binary(max_size=40))
    def receive_rubbish(self, body):
        take = {"offered": self.side.receive_answer, "stable": self.side.receive_offer}.get(self.side.state)
        if take is not None:
            before = self.side.state
            try:
                take(body)
            except SdpError:
                assert self.side.state == before
            else:
                raise AssertionError(f"{body!r} was taken")

    @precondition(lambda self: self.side.state != "stable")
    @rule()
    def rollback(self):
        streams = self.side.streams()
        self.side.rollback()
        assert self.side.state == "stable"
        assert self.side.streams() == streams

    def misuse(self, call) -> None:
        before = self.side.state
        try:
            call()
        except UsageError:
            assert self.side.state == before
        else:
            raise AssertionError(f"allowed when {before}")

    @invariant()
    def streams_make_sense(self):
        check_streams(self.side)


TestNegotiation = Negotiation.TestCase
TestNegotiation.settings = settings(max_examples=40, stateful_step_count=20, deadline=None)
