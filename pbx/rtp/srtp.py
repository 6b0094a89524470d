"""SRTP and SRTCP of one endpoint (RFC 3711, 6188, 7714), done by libsrtp."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from types import MappingProxyType
from typing import Final, NamedTuple

from pbx.errors import MediaError
from pbx.rtp.libsrtp import Session, SrtpRefusedError
from pbx.rtp.packet import VERSION
from pbx.rtp.sequence import CIRCLE, unwrap
from pbx.sdp.crypto import KEY_BYTES, SrtpKeys

__all__ = ["Counter", "Srtp", "SrtpRefusedError"]

INDEX_STEP: Final = CIRCLE // 4  # packets, at least, between two reports of an index
RTCP_STEP: Final = 64
SOURCES: Final = 256  # in one session: libsrtp keeps a context for each, and searches them one by one
_EMPTY_REPORT: Final = bytes((VERSION << 6, 201, 0, 1))


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

    __slots__ = ("_in", "_inbound", "_known", "_out", "_outbound", "_report", "_rtcp_sent", "keys")

    def __init__(
        self,
        keys: SrtpKeys,
        known: Mapping[Counter, int] = MappingProxyType({}),
        report: Callable[[Counter, int], None] = lambda _counter, _value: None,
        before: "Srtp | None" = None,
    ) -> None:
        """
        Args:
            before: the session that this one takes the place of. A way whose key stays goes on: no index
                is used twice under one key (RFC 3711 §9.1), and the peer's counting goes on, too.

        Raises:
            MediaError: unknown suite, or keys of the wrong length.
        """
        if KEY_BYTES.get(keys.suite) != len(keys.local) or len(keys.local) != len(keys.remote):
            raise MediaError(f"SRTP suite {keys.suite} cannot be used with keys of {len(keys.local)} bytes")
        self.keys = keys
        self._known, self._report = known, report
        self._in: dict[bytes, int] = {}
        self._out: dict[bytes, int] = {}
        self._rtcp_sent: dict[bytes, int] = {}
        self._outbound = Session(keys.suite, keys.local, is_inbound=False)
        self._inbound = Session(keys.suite, keys.remote, is_inbound=True)
        if before is not None:
            self._go_on(before)

    def _go_on(self, before: "Srtp") -> None:
        """Take over what came of the keys that stay, and what is known of them and was not needed yet."""
        stays = [kind for kind in ("in", "out", "rtcp") if self.keys.key_of(kind) == before.keys.key_of(kind)]
        self._known = {**{each: n for each, n in before._known.items() if each.kind in stays}, **self._known}
        if "out" in stays:
            self._outbound, self._out, self._rtcp_sent = before._outbound, before._out, before._rtcp_sent
        if "in" in stays:
            self._inbound, self._in = before._inbound, before._in

    def protect(self, packet: bytes) -> bytes:
        """RTP -> SRTP.

        Raises:
            SrtpRefusedError: the sequence number was sent before: its keystream must not be used twice.
        """
        if packet[8:12] not in self._out:
            self._make_room(self._out)
            self._lead(self._outbound, packet, "out")
            self._begin("out", self._out, packet)
        elif packet[3] == 0:
            self._advance("out", self._out, packet)
        return self._outbound.protect(packet)

    def protect_rtcp(self, packet: bytes) -> bytes:
        """RTCP -> SRTCP; raises as `protect`."""
        ssrc = packet[4:8]
        counter = Counter("rtcp", int.from_bytes(ssrc, "big"))
        sent = self._rtcp_sent.get(ssrc)
        if sent is None:
            self._make_room(self._rtcp_sent)
            sent = self._known.get(counter, 0)
            for _ in range(sent):
                self._outbound.protect_rtcp(_EMPTY_REPORT + ssrc)
        if sent % RTCP_STEP == 0:  # told ahead: never less is known than was sent
            self._report(counter, sent + RTCP_STEP)
        self._rtcp_sent[ssrc] = sent + 1
        return self._outbound.protect_rtcp(packet)

    def unprotect(self, packet: bytes) -> bytes:
        """SRTP -> RTP.

        Raises:
            SrtpRefusedError: the packet is none of the peer's, or came before.
        """
        if packet[8:12] in self._in:
            opened = self._inbound.unprotect(packet)
            if packet[3] == 0:
                self._advance("in", self._in, packet)
            return opened
        self._make_room(self._in)
        if self._index("in", packet) >= CIRCLE:
            trial = Session(self.keys.suite, self.keys.remote, is_inbound=True)
            self._lead(trial, packet, "in")
            trial.unprotect(packet)  # a forged packet must not lead the session astray
            self._lead(self._inbound, packet, "in")
        opened = self._inbound.unprotect(packet)
        self._begin("in", self._in, packet)
        return opened

    def unprotect_rtcp(self, packet: bytes) -> bytes:
        """SRTCP -> RTCP; raises as `unprotect`."""
        return self._inbound.unprotect_rtcp(packet)

    # Counters.

    def _begin(self, kind: str, indices: dict[bytes, int], packet: bytes) -> None:
        """Count a new source."""
        index = self._index(kind, packet)
        indices[packet[8:12]] = index
        self._report(_counter(kind, packet), index)

    def _advance(self, kind: str, indices: dict[bytes, int], packet: bytes) -> None:
        """One packet in 256: has the source gone on a good way?"""
        last = indices[packet[8:12]]
        index = unwrap(int.from_bytes(packet[2:4], "big"), last)
        if index >= last + INDEX_STEP:
            indices[packet[8:12]] = index
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
            signer = Session(self.keys.suite, self.keys.remote, is_inbound=False)
        for step in (*range(0, index - 1, CIRCLE // 4), index - 1):
            head = bytes((VERSION << 6, 0)) + (step & 0xFFFF).to_bytes(2, "big") + bytes(4) + packet[8:12]
            with suppress(SrtpRefusedError):  # the step before was the same one
                protected = signer.protect(head)
                if kind == "in":
                    session.unprotect(protected)

    @staticmethod
    def _make_room(sources: Mapping[bytes, int]) -> None:
        if len(sources) >= SOURCES:
            raise SrtpRefusedError("too many sources in one SRTP session")


def _counter(kind: str, packet: bytes) -> Counter:
    return Counter(kind, int.from_bytes(packet[8:12], "big"))
