"""Offer and answer (RFC 3264) on one leg of a call, as its back-to-back user agent plays them.

What one leg's peer says comes out as Content, without addresses and keys. Given to the other leg's side, it is dressed
with that leg's transport: our address and ports, that leg's profile and keys, its own o= line.
"""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal, TypeVar

from pbx.entropy import Entropy
from pbx.errors import UsageError
from pbx.sdp import crypto, errors
from pbx.sdp.content import (
    INACTIVE,
    RECEIVING,
    RECVONLY,
    REVERSED,
    SENDING,
    SENDONLY,
    SENDRECV,
    Content,
    Direction,
    Line,
    hold,
    narrow,
    with_direction,
)
from pbx.sdp.crypto import CryptoAttribute, SrtpKeys
from pbx.sdp.dress import LocalLine, Transport, render_body, render_connection
from pbx.sdp.errors import SdpError
from pbx.sdp.formats import Format, common, settle
from pbx.sdp.remote import PROTOCOLS, Address, Refusal, RemoteLine, read_lines
from pbx.sdp.session import SessionDescription

__all__ = [
    "INACTIVE",
    "RECVONLY",
    "SENDONLY",
    "SENDRECV",
    "Content",
    "Direction",
    "Line",
    "SdpError",
    "SdpSide",
    "SrtpKeys",
    "SrtpPolicy",
    "Stream",
    "Transport",
    "hold",
    "pair_streams",
    "payload_map",
    "with_direction",
]

SrtpPolicy = Literal["off", "optional", "required"]
State = Literal["stable", "offered", "offer received"]

STABLE: Final[State] = "stable"
OFFERED: Final[State] = "offered"
OFFER_RECEIVED: Final[State] = "offer received"


@dataclass(frozen=True, slots=True)
class Stream:
    """What offer and answer have settled for one media line.

    `receive` are the formats under the numbers that the peer sends with (our description's), `send` under those that
    we must send with (the peer's); they nearly always agree. `remote_rtp` is None where the peer has no address to
    send to (off, or held by the null address).
    """

    index: int
    kind: str
    ordinal: int
    active: bool
    local: Transport | None
    remote_rtp: Address | None
    remote_rtcp: Address | None
    rtcp_mux: bool
    direction: Direction
    may_send: bool
    may_receive: bool
    srtp: SrtpKeys | None
    receive: tuple[Format, ...]
    send: tuple[Format, ...]

    @property
    def codecs(self) -> dict[int, str]:
        """Payload type of an arriving packet -> encoding, "PCMA/8000"."""
        return {each.payload_type: each.encoding for each in self.receive}

    @property
    def telephone_event(self) -> int | None:
        """The payload type under which the peer's digits arrive (RFC 4733)."""
        return _telephone_event(self.receive)

    @property
    def telephone_event_send(self) -> int | None:
        """The payload type under which digits are sent to the peer."""
        return _telephone_event(self.send)


def _telephone_event(formats: tuple[Format, ...]) -> int | None:
    """Of several the one with the clock of the first codec."""
    events = [each for each in formats if each.name == "TELEPHONE-EVENT"]
    if len(events) > 1:
        rates = [each.rate_hz for each in formats if not each.is_auxiliary]
        events = [each for each in events if rates and each.rate_hz == rates[0]] or events
    return events[0].payload_type if events else None


def payload_map(source: Stream, sink: Stream) -> dict[int, int]:
    """Payload types to be rewritten on the way from `source`'s peer to `sink`'s; empty where all numbers agree."""
    if source.receive == sink.send:
        return {}
    by_number = {each.payload_type: each.codec for each in sink.send}
    changed: dict[int, int] = {}
    for each in source.receive:
        if by_number.get(each.payload_type) == each.codec:
            continue
        for number, codec in by_number.items():
            if codec == each.codec:
                changed[each.payload_type] = number
                break
    return changed


def pair_streams(a: Sequence[Stream], b: Sequence[Stream]) -> list[tuple[Stream, Stream]]:
    """Which active streams of two legs belong together: by kind and ordinal, what is left by kind in order."""
    left = [stream for stream in a if stream.active]
    right = [stream for stream in b if stream.active]
    pairs = _match(left, right, _stream_key)
    return [(stream, right[found]) for stream, found in zip(left, pairs, strict=True) if found is not None]


def _stream_key(stream: Stream) -> tuple[str, int]:
    return (stream.kind, stream.ordinal)


def _line_key(line: Line) -> tuple[str, int]:
    return (line.kind, line.ordinal)


T = TypeVar("T")


def _match(left: Sequence[T], right: Sequence[T], key: Callable[[T], tuple[str, int]]) -> list[int | None]:
    """For each of `left` the index of its fellow in `right`: the same kind and ordinal, else the next free of the kind."""
    by_key = {key(each): index for index, each in enumerate(right)}
    found = [by_key.get(key(each)) for each in left]
    if None in found:
        taken = {index for index in found if index is not None}
        for place, each in enumerate(left):
            if found[place] is not None:
                continue
            for index, other in enumerate(right):
                if index not in taken and key(other)[0] == key(each)[0]:
                    found[place] = index
                    taken.add(index)
                    break
    return found


class SdpSide:
    """One leg's offers and answers.

    stable --make_offer--> offered --receive_answer--> stable
    stable --receive_offer--> offer received --make_answer--> stable
    rollback leads back to stable, to what held before. Any other order is a UsageError.
    """

    def __init__(
        self,
        entropy: Entropy,
        policy: SrtpPolicy = "optional",
        *,
        prefer_srtp: bool = False,
        suites: Sequence[str] = crypto.OFFERED_SUITES,
    ) -> None:
        self.state: State = STABLE
        self.policy = policy
        self.remote_content: Content | None = None
        self._entropy = entropy
        self._prefer_srtp = prefer_srtp
        self._suites = tuple(suites)
        self._session_id = str(1 + entropy.below(2**31 - 2))
        self._version = 0
        self._origin_address = ""
        self._sent = ""  # our last description after its o= line
        self._lines: tuple[LocalLine, ...] = ()  # as settled by the last answer
        self._offered: tuple[LocalLine, ...] = ()  # our pending offer
        self._received: tuple[RemoteLine, ...] = ()  # the peer's pending offer
        self._answer_body: bytes | None = None  # the last answer to an offer of ours
        self._streams: tuple[Stream, ...] | None = None

    # The peer offers, we answer.

    def receive_offer(self, body: bytes) -> Content:
        """Take the peer's offer.

        Raises:
            SdpError: it cannot be read, or no line of it can be taken; nothing is pending then.
            UsageError: another offer is pending.
        """
        self._expect(STABLE)
        description = SessionDescription.parse(body)
        lines = read_lines(description, [(each.kind, each.ordinal) for each in self._lines])
        lines = tuple([self._judge_security(each) for each in lines])
        usable = any(not each.line.rejected for each in lines)
        if not usable:
            refusals = [each.refusal for each in lines if each.refusal is not None]
            if refusals:
                raise _refuse(refusals)
            if not any(each.transport for each in self._lines):
                raise SdpError("no media is offered", errors.MEDIA_TYPE_NOT_AVAILABLE)
        content = Content(tuple([each.line for each in lines]), description.bandwidths)
        self.state, self._received, self.remote_content = OFFER_RECEIVED, lines, content
        return content

    def make_answer(self, content: Content, transports: Sequence[Transport | None]) -> bytes:
        """Answer the pending offer with what the other leg wants.

        Args:
            content: of the other leg's answer; each offered line takes the line of its kind and ordinal.
            transports: ours for the offered line of the same index; None or missing refuses it.

        Raises:
            SdpError: nothing fits (488); the offer is still pending, to be answered otherwise or rolled back.
            UsageError: no offer is pending.
        """
        self._expect(OFFER_RECEIVED)
        fellows = _match([each.line for each in self._received], content.lines, _line_key)
        answered = []
        for index, remote in enumerate(self._received):
            fellow = fellows[index]
            line = None if fellow is None else content.lines[fellow]
            transport = transports[index] if index < len(transports) else None
            before = self._lines[index] if index < len(self._lines) else None
            answered.append(self._answer_line(remote, line, transport, before))
        lines = tuple(answered)
        offered_any = any(not each.line.rejected for each in self._received)
        if offered_any and not any(each.transport for each in lines):
            raise SdpError("no offered format fits", errors.INCOMPATIBLE_MEDIA_FORMAT)
        self.state, self._received, self._answer_body = STABLE, (), None
        self._settle(lines)
        return self._describe(lines, content.bandwidths)

    # We offer, the peer answers.

    def make_offer(
        self, content: Content, transports: Sequence[Transport | None], *, srtp: bool | None = None
    ) -> bytes:
        """Offer what the other leg wants. Lines that the session has and `content` has not are offered with port 0.

        Args:
            content: as received on the other leg.
            transports: ours for the content's line of the same index; None or missing leaves the line off.
            srtp: True for SAVP, False for AVP; None keeps what each line has, and follows the policy on new ones.

        Raises:
            UsageError: an offer is pending, or `srtp` is against the policy.
        """
        self._expect(STABLE)
        if (srtp is True and self.policy == "off") or (srtp is False and self.policy == "required"):
            raise UsageError(f"srtp={srtp} under the policy {self.policy}")
        fellows = _match([_key_line(each) for each in self._lines], content.lines, _line_key)
        offered = []
        for before, fellow in zip(self._lines, fellows, strict=True):
            line = None if fellow is None else content.lines[fellow]
            transport = transports[fellow] if fellow is not None and fellow < len(transports) else None
            offered.append(self._offer_line(line, transport, before, srtp))
        taken = {(each.kind, each.ordinal) for each in self._lines}
        for index, line in enumerate(content.lines):
            transport = transports[index] if index < len(transports) else None
            if index in fellows or line.rejected or transport is None:
                continue
            if (line.kind, line.ordinal) in taken:
                line = replace(line, ordinal=1 + max(o for k, o in taken if k == line.kind))  # noqa: PLW2901
            taken.add((line.kind, line.ordinal))
            offered.append(self._offer_line(line, transport, None, srtp))
        lines = tuple(offered)
        self.state, self._offered = OFFERED, lines
        return self._describe(lines, content.bandwidths)

    def receive_answer(self, body: bytes) -> Content:
        """Take the answer to our offer.

        Raises:
            SdpError: it is no answer to it; the offer is still pending.
            UsageError: no offer of ours is pending.
        """
        self._expect(OFFERED)
        content = self._take_answer(body)
        self.state, self._answer_body = STABLE, body
        return content

    def revise_answer(self, body: bytes) -> Content:
        """Take a later answer to the same offer: a 200 that says other than its 183 did, which some gateways send.

        Raises:
            SdpError: it is no answer to our offer; what was settled stays.
            UsageError: the last exchange was no answered offer of ours.
        """
        if self.state != STABLE or self._answer_body is None or self.remote_content is None:
            raise UsageError("no answer to revise")
        if body == self._answer_body:
            return self.remote_content
        content = self._take_answer(body)
        self._answer_body = body
        return content

    # Both ways.

    def rollback(self) -> None:
        """Forget the pending offer, ours or the peer's: it was refused."""
        if self.state == STABLE:
            raise UsageError("no offer to roll back")
        self.state, self._offered, self._received, self._answer_body = STABLE, (), (), None

    def fork(self) -> "SdpSide":
        """A copy with the same pending offer, for another early dialog that answers it on its own."""
        return copy.copy(self)

    def streams(self) -> tuple[Stream, ...]:
        """What is settled, one for each media line, those with port 0 too; empty before the first answer."""
        if self._streams is None:
            self._streams = tuple([_make_stream(index, each) for index, each in enumerate(self._lines)])
        return self._streams

    def _expect(self, state: State) -> None:
        if self.state != state:
            raise UsageError(f"offer/answer: {self.state}, but this needs {state}")

    def _settle(self, lines: tuple[LocalLine, ...]) -> None:
        self._lines, self._streams = lines, None

    def _describe(self, lines: tuple[LocalLine, ...], bandwidths: tuple[str, ...]) -> bytes:
        """Our description; the version grows by one when it differs from the last we sent (RFC 3264 §8)."""
        if not self._origin_address:
            active = [each.transport.address for each in lines if each.transport is not None]
            self._origin_address = active[0] if active else "127.0.0.1"
        sent = render_body(lines, self._origin_address, bandwidths)
        if sent != self._sent:
            self._version += 1
            self._sent = sent
        origin = f"- {self._session_id} {self._version} {render_connection(self._origin_address)}"
        return f"v=0\r\no={origin}\r\n{sent}".encode("utf-8", "surrogateescape")

    def _judge_security(self, remote: RemoteLine) -> RemoteLine:
        """Refuse the offered line whose profile the policy does not allow, or that has no usable key."""
        if remote.line.rejected:
            return remote
        why = ""
        if remote.is_secure:
            if self.policy == "off":
                why = "SRTP is switched off here"
            elif not remote.crypto:
                why = "no usable crypto attribute" if remote.had_crypto else "SRTP without a crypto attribute"
        elif self.policy == "required" and not remote.crypto:
            why = "SRTP is required"
        if not why:
            return remote
        line = replace(remote.line, rejected=True, direction=INACTIVE)
        return replace(remote, line=line, refusal=Refusal(errors.INCOMPATIBLE_TRANSPORT, why))

    def _answer_line(
        self, remote: RemoteLine, line: Line | None, transport: Transport | None, before: LocalLine | None
    ) -> LocalLine:
        offered = remote.line
        numbers = _remember(before, offered.formats)
        formats: tuple[Format, ...] = ()
        if line is not None and not line.rejected and not offered.rejected and transport is not None:
            formats = common(offered.formats, line.formats)
        if line is None or not any(not each.is_auxiliary for each in formats):
            return LocalLine(
                offered.kind, offered.ordinal, remote.protocol, remote.formats, remote=remote, numbers=numbers
            )
        ours: tuple[CryptoAttribute, ...] = ()
        keys: SrtpKeys | None = None
        if remote.is_secure or self.policy != "off":
            current = before.srtp if before is not None and before.transport == transport else None
            if (chosen := crypto.choose(remote.crypto, self._entropy, current)) is not None:
                ours, keys = (chosen[0],), chosen[1]
        if line.feedback and line.feedback != offered.feedback:
            line = replace(line, feedback=tuple([v for v in line.feedback if v in offered.feedback]))
        return LocalLine(
            offered.kind,
            offered.ordinal,
            remote.protocol,
            remote.formats,
            transport,
            formats,
            narrow(line.direction, REVERSED[offered.direction]),
            remote.rtcp_mux,
            ours,
            keys,
            line,
            remote,
            numbers,
        )

    def _offer_line(
        self, line: Line | None, transport: Transport | None, before: LocalLine | None, srtp: bool | None
    ) -> LocalLine:
        if line is None or line.rejected or transport is None:
            assert before is not None  # a new line is only made to be offered
            return replace(before, transport=None, direction=INACTIVE, crypto=(), srtp=None, remote=None)
        was_on = before is not None and before.transport is not None
        if srtp is None:
            srtp = bool(before.srtp) if before is not None and was_on else self._starts_secure()
        kept = before is not None and was_on and bool(before.srtp) == srtp
        protocol = before.protocol if before is not None and kept else ("RTP/SAVP" if srtp else "RTP/AVP")
        formats = settle(line.formats, dict(before.numbers) if before is not None else {})
        ours: tuple[CryptoAttribute, ...] = ()
        if srtp:
            same = before is not None and kept and before.transport == transport
            ours = (
                before.crypto
                if before is not None and same
                else crypto.make_offer(self._entropy, self._suites)
            )
        return LocalLine(
            line.kind,
            before.ordinal if before is not None else line.ordinal,
            protocol,
            tuple([str(each.payload_type) for each in formats]),
            transport,
            formats,
            line.direction,
            before is not None and was_on and before.rtcp_mux,
            ours,
            None,
            line,
            None,
            _remember(before, formats),
        )

    def _starts_secure(self) -> bool:
        if self.policy == "optional":
            return self._prefer_srtp or any(each.srtp for each in self._lines)
        return self.policy == "required"

    def _take_answer(self, body: bytes) -> Content:
        description = SessionDescription.parse(body)
        offered = self._offered
        keys = [(each.kind, each.ordinal) for each in offered]
        # Some old adaptors leave out the lines they do not know instead of refusing them: missing is refused.
        kinds = [media.kind for media in description.media]
        if kinds != [each.kind for each in offered][: len(kinds)]:
            raise SdpError(f"answer with lines {' '.join(kinds)} to {' '.join(k for k, _ in keys)}")
        remotes = read_lines(description, keys)
        lines, content = [], []
        for index, ours in enumerate(offered):
            if index < len(remotes):
                settled, line = self._settle_line(ours, remotes[index])
            else:
                settled, line = _switch_off(ours, None), Line(ours.kind, ours.ordinal, rejected=True)
            lines.append(settled)
            content.append(line)
        self._settle(tuple(lines))
        self.remote_content = Content(tuple(content), description.bandwidths)
        return self.remote_content

    def _settle_line(self, ours: LocalLine, remote: RemoteLine) -> tuple[LocalLine, Line]:
        """One line of ours with its answer, and what the answer is about."""
        line = remote.line
        if ours.transport is None or (line.rejected and remote.refusal is None):
            off = line if line.rejected else replace(line, rejected=True, direction=INACTIVE)
            return _switch_off(ours, remote), off
        if remote.refusal is not None:
            raise SdpError(remote.refusal.text, remote.refusal.code)
        keys: SrtpKeys | None = None
        kept: tuple[CryptoAttribute, ...] = ()
        if ours.crypto:
            if (chosen := crypto.accept(ours.crypto, remote.crypto)) is not None:
                kept, keys = (chosen[0],), chosen[1]
        if keys is None and (remote.is_secure or ours.crypto):
            raise SdpError(f"answer {remote.protocol} to {ours.protocol} without a usable key")
        known = {each.codec for each in ours.formats}
        formats = tuple([each for each in line.formats if each.codec in known])
        if not any(not each.is_auxiliary for each in formats):
            raise SdpError("answer names no offered format", errors.INCOMPATIBLE_MEDIA_FORMAT)
        direction = narrow(line.direction, REVERSED[ours.direction])
        if formats != line.formats or direction != line.direction:
            line = replace(line, formats=formats, direction=direction)
            remote = replace(remote, line=line)
        settled = replace(
            ours,
            protocol=remote.protocol,
            crypto=kept,
            srtp=keys,
            rtcp_mux=ours.rtcp_mux and remote.rtcp_mux,
            remote=remote,
            numbers=_remember(ours, formats),
        )
        return settled, line


def _key_line(local: LocalLine) -> Line:
    return Line(local.kind, local.ordinal)


def _switch_off(ours: LocalLine, remote: RemoteLine | None) -> LocalLine:
    return replace(
        ours, transport=None, direction=INACTIVE, crypto=(), srtp=None, rtcp_mux=False, remote=remote
    )


def _remember(before: LocalLine | None, formats: tuple[Format, ...]) -> tuple[tuple[int, str], ...]:
    """The numbers given a meaning so far, with those of `formats`."""
    if before is None or not before.numbers:
        return tuple([(each.payload_type, each.codec) for each in formats])
    numbers = dict(before.numbers)
    numbers.update((each.payload_type, each.codec) for each in formats)
    return tuple(numbers.items())


def _refuse(refusals: list[Refusal]) -> SdpError:
    """The first reason, but one of another kind than a mere 'no such media' where there is one."""
    for refusal in refusals:
        if refusal.code != errors.MEDIA_TYPE_NOT_AVAILABLE:
            return SdpError(refusal.text, refusal.code)
    return SdpError(refusals[0].text, refusals[0].code)


def _make_stream(index: int, local: LocalLine) -> Stream:
    remote = local.remote
    if local.transport is None or remote is None or remote.line.rejected:
        return Stream(
            index,
            local.kind,
            local.ordinal,
            False,
            None,
            None,
            None,
            False,
            INACTIVE,
            False,
            False,
            None,
            (),
            (),
        )
    theirs = remote.line.direction
    codecs = {each.codec for each in local.formats}
    return Stream(
        index,
        local.kind,
        local.ordinal,
        True,
        local.transport,
        remote.rtp,
        remote.rtp if local.rtcp_mux else remote.rtcp,
        local.rtcp_mux,
        local.direction,
        local.direction in SENDING and theirs in RECEIVING and remote.rtp is not None,
        local.direction in RECEIVING and theirs in SENDING,
        local.srtp,
        local.formats,
        tuple([each for each in remote.line.formats if each.codec in codecs]),
    )


assert set(PROTOCOLS) >= {"RTP/AVP", "RTP/SAVP"}
