"""What offer and answer have settled: all that the media relay needs to know of a line."""

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from pbx.sdp.content import INACTIVE, RECEIVING, SENDING, Direction
from pbx.sdp.crypto import SrtpKeys
from pbx.sdp.dress import LocalLine, Transport
from pbx.sdp.formats import Format
from pbx.sdp.pairing import Key, pair
from pbx.sdp.remote import Address


class PayloadTypes(NamedTuple):
    """What the payload types of a line mean.

    Attributes:
        clock_rates: payload type of an arriving packet and its RTP clock in Hz, of each format.
        sound_codecs: payload type and encoding name of the codecs that the peer takes, the best first.
        heard_codecs: the same of those that the peer sends with.
        telephone_event: that of digits that arrive (RFC 4733).
        telephone_event_send: that of digits sent to the peer.
    """

    clock_rates: tuple[tuple[int, int], ...]
    sound_codecs: tuple[tuple[int, str], ...]
    heard_codecs: tuple[tuple[int, str], ...]
    telephone_event: int | None
    telephone_event_send: int | None


class Stream(NamedTuple):
    """One settled media line of a leg.

    `receive` are the formats under the numbers that the peer sends with (those of our description), `send`
    under those that we must send with (the peer's); they nearly always agree. `remote_rtp` is None where the
    peer has no address to send to: the line is off, or held by the null address.
    """

    position: int
    kind: str
    ordinal: int
    active: bool = False
    local: Transport | None = None
    remote_rtp: Address | None = None
    remote_rtcp: Address | None = None
    rtcp_mux: bool = False
    direction: Direction = INACTIVE
    may_send: bool = False
    may_receive: bool = False
    srtp: SrtpKeys | None = None
    receive: tuple[Format, ...] = ()
    send: tuple[Format, ...] = ()

    @property
    def key(self) -> Key:
        return (self.kind, self.ordinal)

    @property
    def codecs(self) -> dict[int, str]:
        """Payload type of an arriving packet -> encoding, "PCMA/8000"."""
        return {each.payload_type: each.encoding for each in self.receive}

    @property
    def payload_types(self) -> PayloadTypes:
        """What they mean here."""
        return _payload_types(self.receive, self.send)

    @property
    def telephone_event(self) -> int | None:
        """The payload type under which the peer's digits arrive (RFC 4733)."""
        return self.payload_types.telephone_event

    @property
    def telephone_event_send(self) -> int | None:
        """The payload type under which digits are sent to the peer."""
        return self.payload_types.telephone_event_send


def make_stream(position: int, local: LocalLine) -> Stream:
    """What the line with its answer comes to; inactive where either has port 0."""
    remote = local.remote
    if local.transport is None or remote is None or remote.line.rejected:
        return Stream(position, local.kind, local.ordinal)
    theirs = remote.line.direction
    receive, send = local.formats, remote.line.formats
    if receive != send:
        receive, send = _shared(receive, send), _shared(send, receive)
    return Stream(
        position,
        local.kind,
        local.ordinal,
        True,
        local.transport,
        remote.rtp,
        remote.rtp if local.rtcp_mux else remote.rtcp,
        local.rtcp_mux,
        local.direction,
        local.direction in SENDING and theirs in RECEIVING,  # never at the null address, see remote
        local.direction in RECEIVING and theirs in SENDING,
        local.srtp,
        receive,
        send,
    )


# Asked of the same few tuples of formats in every call: a tenth of the time.
@lru_cache(256)
def _shared(formats: tuple[Format, ...], others: tuple[Format, ...]) -> tuple[Format, ...]:
    codecs = [each.codec for each in others]
    return tuple([each for each in formats if each.codec in codecs])


@lru_cache(256)
def _payload_types(receive: tuple[Format, ...], send: tuple[Format, ...]) -> PayloadTypes:
    return PayloadTypes(
        tuple([(each.payload_type, each.rate_hz) for each in receive]),
        _sound_codecs(send),
        _sound_codecs(receive),
        _telephone_event(receive),
        _telephone_event(send),
    )


def _sound_codecs(formats: tuple[Format, ...]) -> tuple[tuple[int, str], ...]:
    return tuple([(each.payload_type, each.name) for each in formats if not each.is_auxiliary])


def _telephone_event(formats: tuple[Format, ...]) -> int | None:
    """Of several the one with the clock of the first codec."""
    events = [each for each in formats if each.name == "TELEPHONE-EVENT"]
    if len(events) > 1:
        rates = [each.rate_hz for each in formats if not each.is_auxiliary]
        events = [each for each in events if rates and each.rate_hz == rates[0]] or events
    return events[0].payload_type if events else None


def payload_map(source: Stream, sink: Stream) -> dict[int, int]:
    """Payload types to rewrite on the way from `source`'s peer to `sink`'s; empty where all numbers agree."""
    if source.receive == sink.send:
        return {}
    by_number = {each.payload_type: each.codec for each in sink.send}
    changed: dict[int, int] = {}
    for each in source.receive:
        if by_number.get(each.payload_type) == each.codec:
            continue
        same = (number for number, codec in by_number.items() if codec == each.codec)
        if (number := next(same, None)) is not None:
            changed[each.payload_type] = number
    return changed


def pair_streams(a: Sequence[Stream], b: Sequence[Stream]) -> list[tuple[Stream, Stream]]:
    """Which active streams of two legs belong together: by kind and ordinal, else by kind in order."""
    if len(a) == len(b) == 1 and a[0].key == b[0].key:  # as nearly always
        return [(a[0], b[0])] if a[0].active and b[0].active else []
    left = [stream for stream in a if stream.active]
    right = [stream for stream in b if stream.active]
    fellows = pair([stream.key for stream in left], [stream.key for stream in right])
    return [(stream, right[place]) for stream, place in zip(left, fellows, strict=True) if place is not None]
