"""What the core orders from the media workers, and what they report back: plain values.

An **endpoint** is one even/odd UDP port pair of ours that talks with one peer; two joined endpoints relay
what each receives to the other. Endpoints are named by the core; names are never used twice.

Where the PBX takes part itself, an endpoint has a **voice**: it is played sounds, it is recorded, it is in a
**room**, where each hears all others. A call whose legs have no codec in common is a room of two.
"""

from typing import Final, TypeAlias

from pbx.immutable import immutable
from pbx.rtp.statistics import EndpointStats
from pbx.sdp.crypto import SrtpKeys

__all__ = [
    "SOUND_ORDERS",
    "Address",
    "CloseEndpoint",
    "Detect",
    "Digit",
    "EndpointClosed",
    "EndpointFailed",
    "EndpointStats",
    "Event",
    "Join",
    "Mix",
    "OpenEndpoint",
    "Order",
    "Part",
    "Play",
    "Played",
    "ReadStats",
    "Record",
    "Recorded",
    "Resumed",
    "SendDigit",
    "SetRemote",
    "Silent",
    "SoundEvent",
    "SoundOrder",
    "SrtpKeys",
    "StatsRead",
    "StopPlay",
    "StopRecord",
    "WorkerRestarted",
]

Address: TypeAlias = tuple[str, int]


@immutable
class OpenEndpoint:
    """Bind `rtp_port` (even) and the next odd port on `address`, an IP literal of ours.

    All endpoints of one `call` live in one worker.
    """

    endpoint: str
    call: str
    address: str
    rtp_port: int


@immutable
class SetRemote:
    """What SDP agreed with the peer of an endpoint; each order replaces the one before.

    Attributes:
        rtp: where the peer said it listens; None: nowhere yet (only latching tells).
        rtcp: the same for RTCP; None: the port after `rtp`.
        rtcp_mux: RTCP goes to, and comes from, the RTP port (RFC 5761).
        may_send: RTP may go to the peer; RTCP goes in any case.
        may_receive: the peer's RTP is passed on; otherwise it is counted and dropped.
        symmetric: take the stream from where it comes, when that is another source than announced (NAT).
        signalling: the host that the peer signals from, "" = not known. Behind NAT media comes from there,
            most likely; where it is the announced host no NAT is between, and media comes from nowhere else.
        srtp: keys of SAVP and SAVPF lines.
        relatch: forget a learnt source: `rtp` holds again until the peer is heard anew (after a re-INVITE).
        clock_rates: (payload type, RTP clock in Hz) of all formats agreed on; empty: any type is valid.
        telephone_event: the payload type of RFC 4733 events that the peer sends, if agreed on.
        telephone_event_send: the same of those sent to the peer; None: no other than `telephone_event`.
        payload_map: (payload type as this peer sends it, as the joined peer expects it), where they differ.
        codecs: (payload type, encoding name such as "PCMA") of all formats that may be sent to the peer, the
            best first.
        heard_codecs: the same of those that the peer sends with.
        has_digits: keys that the peer presses count: the kernel, which would not show them, is left out.
    """

    endpoint: str
    rtp: Address | None
    rtcp: Address | None = None
    rtcp_mux: bool = False
    may_send: bool = True
    may_receive: bool = True
    symmetric: bool = True
    signalling: str = ""
    srtp: SrtpKeys | None = None
    relatch: bool = False
    clock_rates: tuple[tuple[int, int], ...] = ()
    telephone_event: int | None = None
    payload_map: tuple[tuple[int, int], ...] = ()
    codecs: tuple[tuple[int, str], ...] = ()
    heard_codecs: tuple[tuple[int, str], ...] = ()
    has_digits: bool = False
    telephone_event_send: int | None = None


@immutable
class Join:
    """Relay between `a` and `b`; whatever either was joined with before is parted."""

    a: str
    b: str


@immutable
class Mix:
    """Let the endpoint hear all others in `room`, and them it; "" = leave the room it is in.

    Attributes:
        muted: it hears the others, but not they it.
        echo: it hears itself, too.
    """

    endpoint: str
    room: str
    muted: bool = False
    echo: bool = False


@immutable
class Play:
    """Play a rendered sound to the peer: instead of what a joined peer says, over what is said in its room.

    Answered by Played. Only one sound at a time is played to an endpoint: a newer one ends the one before.

    Attributes:
        play: a name that Played repeats.
        stem: `media.rendering.Rendered.stem`.
        loop: begin again at its end, until StopPlay; who waits so hears nobody of its room either.
        is_filler: heard only while the others send nothing, such as music on hold.
        lead_ms: of silence before it.
    """

    endpoint: str
    play: str
    stem: str
    loop: bool = False
    is_filler: bool = False
    lead_ms: int = 0


@immutable
class StopPlay:
    """Answered by Played, if something is being played."""

    endpoint: str


@immutable
class Record:
    """Write what the peer of `endpoint` says to the WAV file `path`, and what that of `other` says.

    Answered by Recorded at its end. With `other` the file has two channels, `endpoint` on the left.

    Attributes:
        recording: a name that Recorded repeats.
        max_s: ends after so many seconds; 0 = never.
        silence_s: ends when nobody has said anything for so long; 0 = never. This silence is not kept.
    """

    endpoint: str
    recording: str
    path: str
    other: str = ""
    max_s: float = 0.0
    silence_s: float = 0.0


@immutable
class StopRecord:
    """Answered by Recorded, if it is going on. `endpoint` is the one that Record named."""

    endpoint: str
    recording: str


@immutable
class Detect:
    """Look for digits in the sound of a peer that sends no RFC 4733 events; they come as Digit, too."""

    endpoint: str
    on: bool = True


@immutable
class SendDigit:
    """Press a key towards the peer: as RFC 4733 event where that is agreed on, else as tones."""

    endpoint: str
    digit: str
    duration_ms: int = 160


@immutable
class Part:
    """End the join of `a`, if there is one; both endpoints stay open."""

    a: str


@immutable
class CloseEndpoint:
    """Free both ports; answered by EndpointClosed."""

    endpoint: str


@immutable
class ReadStats:
    """Answered by StatsRead."""

    endpoint: str


@immutable
class EndpointFailed:
    """The endpoint is gone (ports not bound, worker not kept alive); no other event follows."""

    endpoint: str
    why: str


@immutable
class EndpointClosed:
    """The last word about an endpoint that was closed by order."""

    endpoint: str
    stats: EndpointStats


@immutable
class StatsRead:
    """How it stands with the endpoint."""

    endpoint: str
    stats: EndpointStats


@immutable
class Silent:
    """Neither RTP nor RTCP came for `seconds` though the endpoint may receive: once a silence."""

    endpoint: str
    seconds: float


@immutable
class Resumed:
    """The peer is heard again after Silent."""

    endpoint: str


@immutable
class Digit:
    """The peer has pressed a key, "0" to "9", "*", "#", "A" to "D": told once, when it is pressed.

    `at_ticks` is the RTP timestamp of its event; None: it was heard as a tone.
    """

    endpoint: str
    digit: str
    at_ticks: int | None = None


@immutable
class Played:
    """A sound is over: "ended", "stopped", "replaced", or what went wrong."""

    endpoint: str
    play: str
    why: str


@immutable
class Recorded:
    """A recording is over and all of it is in its file, which is not on the disk for sure yet.

    Attributes:
        seconds: its length; 0: there is none; below 0: not known, but there may be something in the file.
        why: "stopped", "silence", "full" (max_s), "closed" (its endpoint was), or what went wrong.
    """

    endpoint: str
    recording: str
    seconds: float
    why: str


@immutable
class WorkerRestarted:
    """The worker of these calls died; their endpoints are open again on the same ports, counting anew."""

    calls: tuple[str, ...]
    why: str


SOUND_ORDERS: Final = (Mix, Play, StopPlay, Record, StopRecord, Detect, SendDigit)
SoundOrder: TypeAlias = Mix | Play | StopPlay | Record | StopRecord | Detect | SendDigit
Order: TypeAlias = OpenEndpoint | SetRemote | Join | Part | CloseEndpoint | ReadStats | SoundOrder
SoundEvent: TypeAlias = Digit | Played | Recorded
Event: TypeAlias = (
    EndpointFailed | EndpointClosed | StatsRead | Silent | Resumed | SoundEvent | WorkerRestarted
)
