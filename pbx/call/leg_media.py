"""One leg's media: its side of offer and answer, and the endpoints in the media worker that belong to it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol

from pbx.call.own_media import is_translated
from pbx.entropy import Entropy
from pbx.errors import MediaError
from pbx.media.orders import Join, Mix, Part, SetRemote
from pbx.sdp.body import extract_sdp
from pbx.sdp.content import Content
from pbx.sdp.errors import SdpError
from pbx.sdp.offer_answer import SdpSide, SrtpPolicy, Stream, Transport, pair_streams, payload_map
from pbx.sdp.pairing import Key
from pbx.sip.message import Request, Response
from pbx.sip.refusal import Refusal

ACCEPT_SDP: Final = (("Accept", "application/sdp"),)


class UnsupportedBodyError(Refusal):
    """415: the body is no session description (RFC 3261 §21.4.13)."""

    def __init__(self) -> None:
        super().__init__(415, "Unsupported Media Type", ACCEPT_SDP)


class MediaHost(Protocol):
    """Where endpoints come from and orders go to."""

    entropy: Entropy

    def order(self, order: Any) -> None: ...
    def open(self, endpoint: str, media: "LegMedia", call: str, address: str) -> int: ...
    def close(self, endpoint: str) -> None: ...


@dataclass(slots=True, eq=False)
class _Endpoint:
    """Our end of one media line.

    Attributes:
        said: what the worker was told of its peer.
        joined: the endpoint that it relays to, "" = to none.
        is_mixed: it is in the call's room, because no codec is shared.
    """

    name: str
    transport: Transport
    said: SetRemote | None = None
    joined: str = ""
    is_mixed: bool = False


class LegMedia:
    """Dresses what is said on one leg in this leg's transport.

    Args:
        call: the call whose worker serves the endpoints.
        name: prefix of the endpoints' names.
        bind: our address that the endpoints are bound to; `shown` is the one put into SDP.
        source: where the phone signals from.
    """

    def __init__(
        self, host: MediaHost, call: str, name: str, *, bind: str, shown: str, policy: SrtpPolicy, source: str
    ) -> None:
        self.side = SdpSide(host.entropy, policy)
        self.has_digits = False  # keys that the peer presses during a call mean something
        self._policy = policy
        self._host = host
        self._call = call
        self._name = name
        self._bind = bind
        self._shown = shown
        self._source = source
        self._endpoints: dict[Key, _Endpoint] = {}
        self._count = 0
        self._order: tuple[Key, ...] = ()  # of each line of the peer's pending offer
        self._offered_before: Content | None = None
        self._last: Content | None = None
        self._offered: Content | None = None

    # --- state ---------------------------------------------------------------------------------------------

    @property
    def is_idle(self) -> bool:
        """Nothing has been said yet."""
        return self.side.state == "stable" and not self.side.streams()

    @property
    def is_stable(self) -> bool:
        """No offer is pending."""
        return self.side.state == "stable"

    @property
    def is_offer_pending(self) -> bool:
        """Our offer waits for its answer."""
        return self.side.state == "offered"

    @property
    def is_answer_due(self) -> bool:
        """The peer's offer waits for our answer."""
        return self.side.state == "offer received"

    @property
    def may_revise(self) -> bool:
        """The last exchange was our offer and its answer, of which there may be another one."""
        return self.side.may_revise

    @property
    def is_refresh(self) -> bool:
        """The pending offer says what the peer said last: only the session is refreshed."""
        return self._offered_before is not None and self._offered_before == self.side.remote_content

    @property
    def is_secure(self) -> bool:
        """The media that is settled is SRTP."""
        return bool([stream for stream in self.side.streams() if stream.active and stream.srtp is not None])

    @property
    def is_held(self) -> bool:
        """The peer does not send, or does not listen, by agreement: silence is no sign of death."""
        return any(
            not (s.may_send and s.may_receive) for s in self.side.streams() if s.active and s.kind == "audio"
        )

    @property
    def may_toggle_srtp(self) -> bool:
        """A phone that takes no offer in the clear may take one with SRTP, and the reverse."""
        return self._policy == "optional"

    @property
    def content(self) -> Content | None:
        """What the peer said last."""
        return self.side.remote_content

    @property
    def codec(self) -> str:
        """The audio codec that was agreed on, "PCMA", the first of several; "" = none."""
        for stream in self.side.streams():
            if stream.kind == "audio" and stream.active and (codecs := stream.payload_types.sound_codecs):
                return codecs[0][1]
        return ""

    @property
    def sound_endpoint(self) -> str | None:
        """The endpoint of the first audio line that is on."""
        for stream in self.side.streams():
            if stream.kind == "audio" and stream.active:
                endpoint = self._endpoints.get(stream.key)
                return None if endpoint is None else endpoint.name
        return None

    @property
    def is_translated(self) -> bool:
        """It shares no codec with the leg that it is joined to."""
        return any(endpoint.is_mixed for endpoint in self._endpoints.values())

    @property
    def sends_events(self) -> bool:
        """The peer sends digits as RFC 4733 events."""
        return any(
            stream.kind == "audio" and stream.active and stream.telephone_event is not None
            for stream in self.side.streams()
        )

    @property
    def takes_events(self) -> bool:
        """The peer takes digits as RFC 4733 events."""
        return any(
            stream.kind == "audio" and stream.active and stream.telephone_event_send is not None
            for stream in self.side.streams()
        )

    @property
    def endpoints(self) -> Sequence[str]:
        """Names of the open endpoints."""
        return tuple([endpoint.name for endpoint in self._endpoints.values()])

    def prepare(self) -> None:
        """Open the endpoints for the peer's pending offer before it is answered: the peer may speak at once.

        Raises:
            NoPortError: there are none.
        """
        offered = self.side.remote_content
        if self.is_answer_due and offered is not None:
            for key, line in zip(self._order, offered.lines, strict=True):
                if not line.rejected:
                    self._transport(key)

    # --- offer and answer ----------------------------------------------------------------------------------

    def receive_offer(self, message: Request | Response) -> Content:
        """Take the offer in `message`.

        Raises:
            SdpError, UnsupportedBodyError: it cannot be taken.
        """
        before = self.side.remote_content if self.side.streams() else None
        content = self.side.receive_offer(_sdp_of(message))
        self._offered_before = before
        self._order = tuple([line.key for line in content.lines])
        return content

    def make_answer(self, content: Content, relatch: bool = True) -> bytes:
        """Answer the pending offer; the endpoints follow."""
        wanted = [line.kind for line in content.lines if not line.rejected]
        offered = self.side.remote_content
        assert offered is not None  # an answer follows an offer
        transports = [
            self._transport(key) if key[0] in wanted and not line.rejected else None
            for key, line in zip(self._order, offered.lines, strict=True)
        ]
        body = self.side.make_answer(content, transports)
        self._last = content
        self._apply(relatch)
        return body

    def repeat_answer(self, content: Content) -> bytes:
        """Answer a refresh as the last time."""
        return self.make_answer(self._last or content, relatch=False)

    def make_offer(self, content: Content, srtp: bool | None = None) -> bytes:
        """Offer `content`."""
        policy = self._policy
        secure = True if policy == "required" else False if policy == "off" else srtp
        transports = [None if line.rejected else self._transport(line.key) for line in content.lines]
        self._offered = content
        return self.side.make_offer(content, transports, srtp=secure)

    def repeat_offer(self) -> bytes:
        """Offer what we said last: a session refresh.

        Raises:
            MediaError: the peer got so far without any media.
        """
        if self._last is None:
            raise MediaError("there is no media to offer again")
        return self.make_offer(self._last, None)

    def receive_answer(self, message: Request | Response) -> Content:
        """Take the answer to our offer; the endpoints follow.

        Raises:
            SdpError: it is no answer.
        """
        content = self.side.receive_answer(_sdp_of(message))
        self._last = self._offered
        self._apply()
        return content

    def revise_answer(self, message: Request | Response) -> Content:
        """Take the answer once more: a 2xx may say other things than the provisional response before it, or
        come from another phone behind the callee's proxy.

        Raises:
            SdpError: it is no answer; what was settled stays.
        """
        content = self.side.revise_answer(_sdp_of(message))
        self._apply()
        return content

    def rollback(self) -> None:
        """The pending offer was refused."""
        if not self.is_stable:
            self.side.rollback()

    # --- endpoints -----------------------------------------------------------------------------------------

    def move(self, call: str, name: str) -> None:
        """Go over to another call, whose worker opens endpoints anew at the next offer."""
        self.close()
        self._call, self._name = call, name

    def join(self, other: "LegMedia") -> None:
        """Relay between this leg and `other`, line by line."""
        for mine, theirs in pair_streams(self.side.streams(), other.side.streams()):
            a = self._endpoints.get(mine.key)
            b = other._endpoints.get(theirs.key)
            if a is None or b is None:
                continue
            if is_translated(mine, theirs):
                self._translate(a)
                other._translate(b)
                continue
            self._map(a, mine, theirs)
            other._map(b, theirs, mine)
            self._leave_room(a)
            other._leave_room(b)
            if a.joined != b.name or b.joined != a.name:
                a.joined, b.joined = b.name, a.name
                self._host.order(Join(a.name, b.name))

    def part(self) -> None:
        """Relay to nobody."""
        for endpoint in self._endpoints.values():
            self._part(endpoint)
            self._leave_room(endpoint)

    def close(self) -> None:
        """Free every port."""
        for endpoint in self._endpoints.values():
            self._host.close(endpoint.name)
        self._endpoints.clear()

    def forget(self, endpoint: str) -> None:
        """The worker has lost an endpoint: there is nothing to close any more."""
        for key in [key for key, known in self._endpoints.items() if known.name == endpoint]:
            del self._endpoints[key]

    # --- inside --------------------------------------------------------------------------------------------

    def _transport(self, key: Key) -> Transport:
        if (known := self._endpoints.get(key)) is not None:
            return known.transport
        self._count += 1
        name = f"{self._name}.{self._count}"
        port = self._host.open(name, self, self._call, self._bind)
        transport = Transport(self._shown, port, port + 1)
        self._endpoints[key] = _Endpoint(name, transport)
        return transport

    def _apply(self, relatch: bool = True) -> None:
        settled = {stream.key: stream for stream in self.side.streams() if stream.active}
        for key, endpoint in tuple(self._endpoints.items()):
            stream = settled.get(key)
            if stream is None:
                self._host.close(endpoint.name)
                del self._endpoints[key]
            else:
                self._tell(endpoint, stream, relatch)

    def _tell(self, endpoint: _Endpoint, stream: Stream, relatch: bool) -> None:
        before, types = endpoint.said, stream.payload_types
        is_audio = stream.kind == "audio"
        said = SetRemote(
            endpoint=endpoint.name,
            rtp=stream.remote_rtp,
            rtcp=stream.remote_rtcp,
            rtcp_mux=stream.rtcp_mux,
            may_send=stream.may_send,
            may_receive=stream.may_receive,
            signalling=self._source,
            srtp=stream.srtp,
            clock_rates=types.clock_rates,
            telephone_event=types.telephone_event,
            payload_map=before.payload_map if before is not None else (),
            codecs=types.sound_codecs if is_audio else (),
            heard_codecs=types.heard_codecs if is_audio else (),
            has_digits=self.has_digits,
            telephone_event_send=types.telephone_event_send,
            relatch=relatch and before is not None,  # a renegotiation may come with a new source
        )
        if before is None or said != before:
            endpoint.said = said
            self._host.order(said)

    def _map(self, endpoint: _Endpoint, source: Stream, sink: Stream) -> None:
        changed = payload_map(source, sink)
        mapping = tuple(sorted(changed.items())) if changed else ()
        before = endpoint.said
        if before is not None and before.payload_map != mapping:
            endpoint.said = said = replace(before, payload_map=mapping, relatch=False)
            self._host.order(said)

    def _part(self, endpoint: _Endpoint) -> None:
        if endpoint.joined:
            endpoint.joined = ""
            self._host.order(Part(endpoint.name))

    def _translate(self, endpoint: _Endpoint) -> None:
        """What the peer says is decoded, and told the others in the call's room in their codecs."""
        self._part(endpoint)
        if not endpoint.is_mixed:
            endpoint.is_mixed = True
            self._host.order(Mix(endpoint.name, self._call))

    def _leave_room(self, endpoint: _Endpoint) -> None:
        if endpoint.is_mixed:
            endpoint.is_mixed = False
            self._host.order(Mix(endpoint.name, ""))


def has_sdp(message: Request | Response) -> bool:
    """Whether its body is a session description, or has one among its parts."""
    return (
        extract_sdp(message.headers.first.get("Content-Type") or "application/sdp", message.body) is not None
    )


def _sdp_of(message: Request | Response) -> bytes:
    body = extract_sdp(message.headers.first.get("Content-Type") or "application/sdp", message.body)
    if body is None:
        if isinstance(message, Request):
            raise UnsupportedBodyError
        raise SdpError("the body is no session description")
    return body
