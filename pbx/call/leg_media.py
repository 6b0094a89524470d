"""One leg's media: its side of offer and answer, and the endpoints in the media worker that belong to it."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final, Protocol

from pbx.call.own_media import is_translated
from pbx.entropy import Entropy
from pbx.errors import MediaError
from pbx.media.orders import CloseEndpoint, Join, Mix, OpenEndpoint, Part, SetRemote
from pbx.rtp.port_pool import PortPool
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
    """Where ports come from and orders go to."""

    ports: PortPool
    entropy: Entropy

    def order(self, order: Any) -> None: ...
    def endpoint_opened(self, endpoint: str, media: "LegMedia", rtp_port: int) -> None: ...
    def endpoint_closed(self, endpoint: str) -> None: ...
    def time(self) -> float: ...


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
        self._transports: dict[Key, Transport] = {}
        self._endpoints: dict[Key, str] = {}
        self._count = 0
        self._order: tuple[Key, ...] = ()  # of each line of the peer's pending offer
        self._joined: dict[str, str] = {}
        self._mixed: set[str] = set()  # endpoints that are in the call's room, because no codec is shared
        self._said: dict[str, SetRemote] = {}
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
            if stream.kind == "audio" and stream.active and stream.sound_codecs:
                return stream.sound_codecs[0][1]
        return ""

    @property
    def sound_endpoint(self) -> str | None:
        """The endpoint of the first audio line that is on."""
        for stream in self.side.streams():
            if stream.kind == "audio" and stream.active:
                return self._endpoints.get(stream.key)
        return None

    @property
    def is_translated(self) -> bool:
        """It shares no codec with the leg that it is joined to."""
        return bool(self._mixed)

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
        return tuple(self._endpoints.values())

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
        self._close_all()
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
            if self._joined.get(a) != b or other._joined.get(b) != a:
                self._joined[a], other._joined[b] = b, a
                self._host.order(Join(a, b))

    def part(self) -> None:
        """Relay to nobody."""
        for endpoint in self._joined:
            self._host.order(Part(endpoint))
        self._joined.clear()
        for endpoint in tuple(self._mixed):
            self._leave_room(endpoint)

    def close(self) -> None:
        """Free every port."""
        self._close_all()

    def forget(self, endpoint: str) -> None:
        """The worker has lost an endpoint: there is nothing to close any more."""
        for key in [key for key, name in self._endpoints.items() if name == endpoint]:
            del self._endpoints[key], self._transports[key]
        self._said.pop(endpoint, None)
        self._joined.pop(endpoint, None)
        self._mixed.discard(endpoint)

    # --- inside --------------------------------------------------------------------------------------------

    def _transport(self, key: Key) -> Transport:
        if (known := self._transports.get(key)) is not None:
            return known
        port = self._host.ports.take(self._host.time())
        self._count += 1
        endpoint = f"{self._name}.{self._count}"
        self._endpoints[key] = endpoint
        self._host.endpoint_opened(endpoint, self, port)
        self._host.order(OpenEndpoint(endpoint, self._call, self._bind, port))
        transport = Transport(self._shown, port, port + 1)
        self._transports[key] = transport
        return transport

    def _apply(self, relatch: bool = True) -> None:
        told = []
        for stream in self.side.streams():
            key = stream.key
            if stream.active and (endpoint := self._endpoints.get(key)) is not None:
                told.append(key)
                self._tell(endpoint, stream, relatch)
        for key in [key for key in self._endpoints if key not in told]:
            self._close_one(key)

    def _tell(self, endpoint: str, stream: Stream, relatch: bool) -> None:
        before = self._said.get(endpoint)
        said = SetRemote(
            endpoint=endpoint,
            rtp=stream.remote_rtp,
            rtcp=stream.remote_rtcp,
            rtcp_mux=stream.rtcp_mux,
            may_send=stream.may_send,
            may_receive=stream.may_receive,
            signalling=self._source,
            srtp=stream.srtp,
            clock_rates=stream.clock_rates,
            telephone_event=stream.telephone_event,
            payload_map=before.payload_map if before is not None else (),
            codecs=stream.sound_codecs if stream.kind == "audio" else (),
            heard_codecs=stream.heard_codecs if stream.kind == "audio" else (),
            has_digits=self.has_digits,
            telephone_event_send=stream.telephone_event_send,
            relatch=relatch and before is not None,  # a renegotiation may come with a new source
        )
        if before is None or said != before:
            self._said[endpoint] = said
            self._host.order(said)

    def _map(self, endpoint: str, source: Stream, sink: Stream) -> None:
        changed = payload_map(source, sink)
        mapping = tuple(sorted(changed.items())) if changed else ()
        before = self._said.get(endpoint)
        if before is not None and before.payload_map != mapping:
            self._said[endpoint] = said = replace(before, payload_map=mapping, relatch=False)
            self._host.order(said)

    def _translate(self, endpoint: str) -> None:
        """What the peer says is decoded, and told the others in the call's room in their codecs."""
        if self._joined.pop(endpoint, None) is not None:
            self._host.order(Part(endpoint))
        if endpoint not in self._mixed:
            self._mixed.add(endpoint)
            self._host.order(Mix(endpoint, self._call))

    def _leave_room(self, endpoint: str) -> None:
        if endpoint in self._mixed:
            self._mixed.discard(endpoint)
            self._host.order(Mix(endpoint, ""))

    def _close_one(self, key: Key) -> None:
        endpoint = self._endpoints.pop(key)
        self._mixed.discard(endpoint)
        self._transports.pop(key)
        self._said.pop(endpoint, None)
        self._joined.pop(endpoint, None)
        self._host.order(CloseEndpoint(endpoint))
        self._host.endpoint_closed(endpoint)

    def _close_all(self) -> None:
        for key in tuple(self._endpoints):
            self._close_one(key)


def has_sdp(message: Request | Response) -> bool:
    """Whether its body is a session description, or has one among its parts."""
    return extract_sdp(message.headers.get("Content-Type") or "application/sdp", message.body) is not None


def _sdp_of(message: Request | Response) -> bytes:
    body = extract_sdp(message.headers.get("Content-Type") or "application/sdp", message.body)
    if body is None:
        if isinstance(message, Request):
            raise UnsupportedBodyError
        raise SdpError("the body is no session description")
    return body
