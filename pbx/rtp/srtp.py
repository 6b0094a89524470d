"""SRTP and SRTCP of one endpoint (RFC 3711, 6188, 7714), done by libsrtp."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from types import MappingProxyType
from typing import Any, Final, NamedTuple, cast

from pylibsrtp import Error, Policy, Session
from pylibsrtp._binding import ffi  # type: ignore[import-not-found]  # a C extension, without stubs

from pbx.errors import MediaError
from pbx.rtp.packet import MAX_PACKET, VERSION, MalformedPacketError
from pbx.rtp.sequence import CIRCLE, unwrap
from pbx.sdp.crypto import KEY_BYTES, SrtpKeys

# Suite -> libsrtp's profile; AES_256_CM has none, so it starts from AES_CM_128 and changes the cipher.
_PROFILES: Final[dict[str, int]] = {
    "AES_CM_128_HMAC_SHA1_80": Policy.SRTP_PROFILE_AES128_CM_SHA1_80,
    "AES_CM_128_HMAC_SHA1_32": Policy.SRTP_PROFILE_AES128_CM_SHA1_32,
    "AES_256_CM_HMAC_SHA1_80": Policy.SRTP_PROFILE_AES128_CM_SHA1_80,
    "AES_256_CM_HMAC_SHA1_32": Policy.SRTP_PROFILE_AES128_CM_SHA1_32,
    "AEAD_AES_128_GCM": Policy.SRTP_PROFILE_AEAD_AES_128_GCM,
    "AEAD_AES_256_GCM": Policy.SRTP_PROFILE_AEAD_AES_256_GCM,
}
# The first two numbers of libsrtp's srtp_crypto_policy_t: cipher_type and cipher_key_len (key and salt).
_AES_CM_128: Final = (1, 30)
_AES_CM_256: Final = (5, 46)

INDEX_STEP: Final = CIRCLE // 4  # packets, at least, between two reports of an index
RTCP_STEP: Final = 64
SOURCES: Final = 256  # in one session: libsrtp keeps a context for each, and searches them one by one
_EMPTY_REPORT: Final = bytes((VERSION << 6, 201, 0, 1))

_REPLAY_WINDOW: Final = 1024  # packets (RFC 3711 §3.3.2 asks for at least 64); one second and more of video
_BUFFER_SIZE: Final = MAX_PACKET + 164  # libsrtp adds a tag at the end, and four bytes more to SRTCP


class SrtpRefusedError(MalformedPacketError):
    """A packet that is forged, damaged, or replayed."""


class Counter(NamedTuple):
    """What of a session must outlive the process that holds it.

    Attributes:
        kind: "in" and "out": the index of RTP packets, 48 bits of which only 16 are on the wire (RFC 3711
            §3.3.1); "rtcp": how many SRTCP packets were sent.
    """

    kind: str
    ssrc: int


class Srtp:
    """Protects what goes to one peer and opens what comes from it, whatever the SSRC.

    A session that goes on elsewhere must neither forget how often the sequence numbers went round, or nothing
    can be opened any more, nor begin its SRTCP index again, or keystream is used twice. So now and then the
    counters are told to `report`, and a later session can be made with what was `known`.
    """

    __slots__ = ("_inbound", "_indices", "_known", "_outbound", "_report", "_rtcp_sent", "keys")

    def __init__(
        self,
        keys: SrtpKeys,
        known: Mapping[Counter, int] = MappingProxyType({}),
        report: Callable[[Counter, int], None] = lambda _counter, _value: None,
    ) -> None:
        """
        Raises:
            MediaError: unknown suite, or keys of the wrong length.
        """
        if KEY_BYTES.get(keys.suite) != len(keys.local) or len(keys.local) != len(keys.remote):
            raise MediaError(f"SRTP suite {keys.suite} cannot be used with keys of {len(keys.local)} bytes")
        self.keys = keys
        self._known, self._report = known, report
        self._outbound = _session(keys.suite, keys.local, Policy.SSRC_ANY_OUTBOUND)
        self._inbound = _session(keys.suite, keys.remote, Policy.SSRC_ANY_INBOUND)
        self._indices: dict[str, dict[bytes, int]] = {"in": {}, "out": {}}
        self._rtcp_sent: dict[bytes, int] = {}

    def protect(self, packet: bytes) -> bytes:
        """RTP -> SRTP.

        Raises:
            SrtpRefusedError: the sequence number was sent before: its keystream must not be used twice.
        """
        if packet[8:12] not in self._indices["out"]:
            self._make_room(self._indices["out"])
            self._lead(self._outbound, packet, "out")
            self._begin("out", packet)
        elif packet[3] == 0:
            self._advance("out", packet)
        return _checked(self._outbound.protect, packet)

    def protect_rtcp(self, packet: bytes) -> bytes:
        """RTCP -> SRTCP; raises as `protect`."""
        ssrc = packet[4:8]
        counter = Counter("rtcp", int.from_bytes(ssrc, "big"))
        sent = self._rtcp_sent.get(ssrc)
        if sent is None:
            self._make_room(self._rtcp_sent)
            sent = self._known.get(counter, 0)
            for _ in range(sent):
                _checked(self._outbound.protect_rtcp, _EMPTY_REPORT + ssrc)
        if sent % RTCP_STEP == 0:  # told ahead: never less is known than was sent
            self._report(counter, sent + RTCP_STEP)
        self._rtcp_sent[ssrc] = sent + 1
        return _checked(self._outbound.protect_rtcp, packet)

    def unprotect(self, packet: bytes) -> bytes:
        """SRTP -> RTP.

        Raises:
            SrtpRefusedError: the packet is none of the peer's, or came before.
        """
        if packet[8:12] in self._indices["in"]:
            opened = _checked(self._inbound.unprotect, packet)
            if packet[3] == 0:
                self._advance("in", packet)
            return opened
        self._make_room(self._indices["in"])
        if self._index("in", packet) >= CIRCLE:
            trial = _session(self.keys.suite, self.keys.remote, Policy.SSRC_ANY_INBOUND)
            self._lead(trial, packet, "in")
            _checked(trial.unprotect, packet)  # a forged packet must not lead the session astray
            self._lead(self._inbound, packet, "in")
        opened = _checked(self._inbound.unprotect, packet)
        self._begin("in", packet)
        return opened

    def unprotect_rtcp(self, packet: bytes) -> bytes:
        """SRTCP -> RTCP; raises as `unprotect`."""
        return _checked(self._inbound.unprotect_rtcp, packet)

    # Counters.

    def _begin(self, kind: str, packet: bytes) -> None:
        """Count a new source."""
        index = self._index(kind, packet)
        self._indices[kind][packet[8:12]] = index
        self._report(_counter(kind, packet), index)

    def _advance(self, kind: str, packet: bytes) -> None:
        """One packet in 256: has the source gone on a good way?"""
        last = self._indices[kind][packet[8:12]]
        index = unwrap(int.from_bytes(packet[2:4], "big"), last)
        if index >= last + INDEX_STEP:
            self._indices[kind][packet[8:12]] = index
            self._report(_counter(kind, packet), index)

    def _index(self, kind: str, packet: bytes) -> int:
        """The index of a new source's packet: near the one that is known, or in the first round."""
        sequence = int.from_bytes(packet[2:4], "big")
        known = self._known.get(_counter(kind, packet))
        return sequence if known is None else max(sequence, unwrap(sequence, known + INDEX_STEP // 2))

    def _lead(self, session: Session, packet: bytes, kind: str) -> None:
        """Lead a new session round by round to just before `packet`, by packets that nobody sees."""
        index = self._index(kind, packet)
        if index < CIRCLE:
            return
        signer = session
        if kind == "in":
            signer = _session(self.keys.suite, self.keys.remote, Policy.SSRC_ANY_OUTBOUND)
        for step in (*range(0, index - 1, CIRCLE // 4), index - 1):
            head = bytes((VERSION << 6, 0)) + (step & 0xFFFF).to_bytes(2, "big") + bytes(4) + packet[8:12]
            with suppress(SrtpRefusedError):  # the step before was the same one
                protected = _checked(signer.protect, head)
                if kind == "in":
                    _checked(session.unprotect, protected)

    @staticmethod
    def _make_room(sources: Mapping[bytes, int]) -> None:
        if len(sources) >= SOURCES:
            raise SrtpRefusedError("too many sources in one SRTP session")


def _counter(kind: str, packet: bytes) -> Counter:
    return Counter(kind, int.from_bytes(packet[8:12], "big"))


def _checked(process: Any, packet: bytes) -> bytes:
    try:
        return cast(bytes, process(packet))
    except (Error, ValueError) as error:
        raise SrtpRefusedError(str(error)) from None


def _session(suite: str, key: bytes, ssrc_type: int) -> Session:
    policy = Policy(key=key, ssrc_type=ssrc_type, srtp_profile=_PROFILES[suite])
    policy.window_size = _REPLAY_WINDOW
    if suite.startswith("AES_256_CM"):
        _use_aes_256(policy)
    session = Session(policy)
    # pylibsrtp's own buffer of 1500 bytes keeps 144 for the trailer, which is too little for video.
    session._cdata = ffi.new("char[]", _BUFFER_SIZE)
    session._buffer = ffi.buffer(session._cdata)
    return session


def _use_aes_256(policy: Policy) -> None:
    # pylibsrtp shows no fields of the crypto policy; libsrtp's public header fixes their order and type.
    for crypto in (policy._policy.rtp, policy._policy.rtcp):
        fields = ffi.cast("int *", ffi.addressof(crypto))
        if (fields[0], fields[1]) != _AES_CM_128:
            raise MediaError("this libsrtp has another policy layout: AES_256_CM cannot be used")
        fields[0], fields[1] = _AES_CM_256
