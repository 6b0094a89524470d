"""Offer and answer (RFC 3264) on one leg of a call, as a back-to-back user agent plays them.

What one leg's peer says comes out as Content, without addresses and keys. Given to the other leg's side, it
is dressed with that leg's transport: our address and ports, that leg's profile and keys, its own o= line.
"""

from collections.abc import Sequence
from typing import Final, Literal

from pbx.entropy import Entropy
from pbx.errors import UsageError
from pbx.sdp import crypto, errors
from pbx.sdp.content import (
    INACTIVE,
    RECVONLY,
    SENDONLY,
    SENDRECV,
    Content,
    Direction,
    Line,
    hold,
    make_content,
    with_codecs,
    with_direction,
)
from pbx.sdp.crypto import SrtpKeys
from pbx.sdp.dress import LocalLine, Transport, first_address, render_body, render_connection
from pbx.sdp.errors import SdpError
from pbx.sdp.pairing import pair
from pbx.sdp.reading import read
from pbx.sdp.remote import Refusal, RemoteLine
from pbx.sdp.stream import Stream, make_stream, pair_streams, payload_map
from pbx.sdp.terms import SrtpPolicy, Terms, settle_line, switch_off

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
    "make_content",
    "pair_streams",
    "payload_map",
    "with_codecs",
    "with_direction",
]

State = Literal["stable", "offered", "offer received"]

STABLE: Final[State] = "stable"
OFFERED: Final[State] = "offered"
OFFER_RECEIVED: Final[State] = "offer received"


class SdpSide:
    """One leg's offers and answers.

    stable --make_offer--> offered --receive_answer--> stable
    stable --receive_offer--> offer received --make_answer--> stable
    rollback leads back to stable, to what held before. Any other order is a UsageError.

    `remote_content` is what the peer described last, in an offer that was not rolled back or in an answer.
    """

    def __init__(
        self,
        entropy: Entropy,
        policy: SrtpPolicy = "optional",
        *,
        suites: Sequence[str] = crypto.OFFERED_SUITES,
    ) -> None:
        self.state: State = STABLE
        self.policy = policy
        self.remote_content: Content | None = None
        self._terms = Terms(entropy, policy, tuple(suites))
        self._session_id = 1 + (int(entropy.token(), 16) >> 34)  # 30 bits
        self._version = 0
        self._origin_address = ""
        self._sent = ""  # our last description after its o= line
        self._lines: tuple[LocalLine, ...] = ()  # as settled by the last answer
        self._offered: tuple[LocalLine, ...] = ()  # our last offer
        self._received: tuple[RemoteLine, ...] = ()  # the peer's pending offer
        self._content_before: Content | None = None  # what rollback restores
        self._answer_body: bytes | None = None  # the last answer, when the last exchange was ours
        self._streams: tuple[Stream, ...] | None = None

    # The peer offers, we answer.

    def receive_offer(self, body: bytes) -> Content:
        """Take the peer's offer.

        Raises:
            SdpError: it cannot be read, or no line of it can be taken; nothing is pending then.
            UsageError: another offer is pending.
        """
        self._expect(STABLE)
        said, content = read(body, [each.key for each in self._lines])
        judge = self._terms.judge
        lines = tuple([judge(each) for each in said])
        if lines != said:
            content = Content(tuple([each.line for each in lines]), content.bandwidths)
        if not [each for each in lines if not each.line.rejected]:
            self._check_refusals(lines)
        self.state, self._received = OFFER_RECEIVED, lines
        self._content_before, self.remote_content = self.remote_content, content
        return content

    def make_answer(self, content: Content, transports: Sequence[Transport | None]) -> bytes:
        """Answer the pending offer with what the other leg wants.

        Args:
            content: of the other leg; each offered line takes the line of its kind and ordinal.
            transports: ours for the offered line of the same index; None or missing refuses it.

        Raises:
            SdpError: nothing fits (488); the offer is still pending, to be answered otherwise or rolled back.
            UsageError: no offer is pending.
        """
        self._expect(OFFER_RECEIVED)
        received, before = self._received, self._lines
        fellows = pair([each.line.key for each in received], [line.key for line in content.lines])
        answered = []
        for index, remote in enumerate(received):
            fellow = fellows[index]
            answered.append(
                self._terms.answer(
                    remote,
                    None if fellow is None else content.lines[fellow],
                    transports[index] if index < len(transports) else None,
                    # A place may be used anew for another kind (RFC 3264 §8.1).
                    before[index] if index < len(before) and before[index].key == remote.line.key else None,
                )
            )
        lines = tuple(answered)
        if not _has_media(lines) and not all(each.line.rejected for each in received):
            raise SdpError("no offered format fits", errors.INCOMPATIBLE_MEDIA_FORMAT)
        self.state, self._received, self._answer_body = STABLE, (), None
        self._lines, self._streams = lines, None
        return self._describe(lines, content.bandwidths)

    # We offer, the peer answers.

    def make_offer(
        self, content: Content, transports: Sequence[Transport | None], *, srtp: bool | None = None
    ) -> bytes:
        """Offer what the other leg wants. A line that the session has and `content` has not gets port 0.

        Args:
            content: of the other leg.
            transports: ours for the content's line of the same index; None or missing leaves the line off.
            srtp: True for SAVP, False for AVP; None keeps what a line has; a new one follows the policy.

        Raises:
            UsageError: an offer is pending, `srtp` is against the policy, or there is nothing to offer.
        """
        self._expect(STABLE)
        session, lines = self._lines, content.lines
        offered: list[LocalLine] = []
        for before, place in _order(session, lines):
            line = None if place is None else lines[place]
            transport = transports[place] if place is not None and place < len(transports) else None
            if line is not None and transport is not None and not line.rejected:
                asked = self._terms.decide_srtp(srtp, before, session)
                offered.append(self._terms.offer(line, transport, before, srtp=asked))
            elif before is not None:
                offered.append(switch_off(before))
        if not offered:
            raise UsageError("there is nothing to offer")
        self.state, self._offered, self._answer_body = OFFERED, tuple(offered), None
        self._content_before = self.remote_content
        return self._describe(self._offered, content.bandwidths)

    def receive_answer(self, body: bytes) -> Content:
        """Take the answer to our offer.

        Raises:
            SdpError: it is no answer to it, or no line of it can be used; the offer is still pending.
            UsageError: no offer of ours is pending.
        """
        self._expect(OFFERED)
        content = self._take_answer(body)
        self.state = STABLE
        return content

    @property
    def may_revise(self) -> bool:
        """The last exchange was our offer and its answer."""
        return self.state == STABLE and self._answer_body is not None and self.remote_content is not None

    def revise_answer(self, body: bytes) -> Content:
        """Take a later answer to the same offer: some gateways say other things in the 200 than in the 183.

        Raises:
            SdpError: it is no answer to our offer; what was settled stays.
            UsageError: the last exchange was no answered offer of ours.
        """
        if self.state != STABLE or self._answer_body is None or self.remote_content is None:
            raise UsageError("no answer to revise")
        return self.remote_content if body == self._answer_body else self._take_answer(body)

    # Both ways.

    def rollback(self) -> None:
        """Forget the pending offer, ours or the peer's: it was refused."""
        if self.state == STABLE:
            raise UsageError("no offer to roll back")
        self.state, self._offered, self._received = STABLE, (), ()
        self.remote_content = self._content_before

    def streams(self) -> tuple[Stream, ...]:
        """What is settled, one for each media line, those with port 0 too; empty before the first answer."""
        if self._streams is None:
            self._streams = tuple([make_stream(index, each) for index, each in enumerate(self._lines)])
        return self._streams

    def _expect(self, state: State) -> None:
        if self.state != state:
            raise UsageError(f"offer/answer: this needs {state!r} and is {self.state!r}")

    def _check_refusals(self, lines: Sequence[RemoteLine]) -> None:
        """An offer without a usable line: fine where the peer switches off all it has, an error elsewhere.

        Switched off is a line with port 0; none at all offers nothing (RFC 3264 §8).
        """
        if refusals := [each.refusal for each in lines if each.refusal is not None]:
            raise _refuse(refusals)
        if not lines or not _has_media(self._lines):
            raise SdpError("no media is offered", errors.MEDIA_TYPE_NOT_AVAILABLE)

    def _take_answer(self, body: bytes) -> Content:
        offered = self._offered
        remotes, content = read(body, [each.key for each in offered])
        settled: list[LocalLine] = []
        refusals: list[Refusal] = []
        for place, remote in enumerate(remotes):
            if place >= len(offered) or offered[place].kind != remote.line.kind:
                kinds = " ".join([each.line.kind for each in remotes])
                raise SdpError(f"answer with lines {kinds!r} to another offer")
            line, refusal = settle_line(offered[place], remote)
            settled.append(line)
            if refusal is not None:
                refusals.append(refusal)
        # Some old adaptors leave out the lines they do not know instead of refusing them: missing is refused.
        for ours in offered[len(remotes) :]:
            settled.append(switch_off(ours))
        lines = tuple(settled)
        if refusals and not _has_media(lines):
            raise _refuse(refusals)
        said = tuple([ours.remote.line if ours.remote else Line(*ours.key, rejected=True) for ours in lines])
        if said != content.lines:
            content = Content(said, content.bandwidths)
        self._lines, self._streams, self._answer_body = lines, None, body
        self.remote_content = content
        return content

    def _describe(self, lines: tuple[LocalLine, ...], bandwidths: tuple[str, ...]) -> bytes:
        """Our description; the version grows by one when it differs from the last we sent (RFC 3264 §8)."""
        address = first_address(lines, self._origin_address or "127.0.0.1")
        self._origin_address = self._origin_address or address
        connection = render_connection(self._origin_address)
        sent = render_body(lines, address, bandwidths)
        if sent != self._sent:
            self._version += 1
            self._sent = sent
        text = f"v=0\r\no=- {self._session_id} {self._version} {connection}\r\n{sent}"
        return text.encode("utf-8", "surrogateescape")


def _order(
    session: tuple[LocalLine, ...], lines: tuple[Line, ...]
) -> list[tuple[LocalLine | None, int | None]]:
    """An offer's lines: those of the session, each with its fellow's place in `lines`, then the new ones."""
    fellows = pair([each.key for each in session], [line.key for line in lines]) if session else []
    order: list[tuple[LocalLine | None, int | None]] = list(zip(session, fellows, strict=True))
    order += [(None, place) for place in range(len(lines)) if place not in fellows]
    return order


def _has_media(lines: Sequence[LocalLine]) -> bool:
    """Whether any line is on."""
    return bool([each for each in lines if each.transport is not None])


def _refuse(refusals: list[Refusal]) -> SdpError:
    """The first reason, but rather one that says more than 'no such media'."""
    telling = [each for each in refusals if each.code != errors.MEDIA_TYPE_NOT_AVAILABLE]
    code, text = (telling or refusals)[0]
    return SdpError(text, code)
