"""Transfer by REFER (RFC 3515, RFC 5589), blind and attended: the PBX acts for transferee and target."""

from typing import Any, Final, Protocol

from pbx.call.dialling import DialledCall, goes_on, hand_over, offer_of, ring
from pbx.call.hunt import Hunt
from pbx.call.identity import introduce
from pbx.call.leg import CALLING, UP, Leg
from pbx.call.own_media import own_offer
from pbx.errors import PeerError
from pbx.rules.decision import Reject, Ring
from pbx.sdp.content import Content, with_direction
from pbx.sip.fields import Replaces, parse_name_addr, parse_replaces
from pbx.sip.headers import Extra
from pbx.sip.message import Request
from pbx.sip.subscription import ReferSubscription, Unsubscribed
from pbx.sip.transaction.key import TransactionKey
from pbx.sip.uri import OpaqueUri, SipUri, user_of

ADOPTED_S: Final = 30.0  # a phone that rang for somebody else first rings this much longer


class TransferCall(DialledCall, Protocol):
    """The call, as a transfer sees it."""

    transfer: "Transfer | None"
    consult: Any  # a transfer by keys
    refers: int

    @property
    def is_asking(self) -> bool: ...
    def peer_of(self, leg: Leg) -> Leg | None: ...
    def adopt(self, leg: Leg) -> None: ...
    def adopt_hunt(self, hunt: Hunt, origin: Leg) -> None: ...
    def leave_booth(self) -> None: ...
    def join(self, a: Leg, b: Leg) -> None: ...
    def connect(self, a: Leg, b: Leg) -> None: ...
    def linger(self) -> None: ...
    def leg_withdrew(self, leg: Leg) -> None: ...
    def identity(self, leg: Leg, origin: Leg) -> Extra: ...


class Transfer:
    """One REFER under way: `transferor` asked that `transferee` talks with somebody else."""

    def __init__(
        self, call: TransferCall, transferor: Leg, transferee: Leg, subscription: ReferSubscription
    ) -> None:
        self.transferor = transferor
        self.transferee = transferee
        self.is_adopted = False  # the ringing phones were offered the media of the transferor
        self._call: TransferCall | None = call
        self._subscription = subscription

    @classmethod
    def start(cls, call: TransferCall, leg: Leg, request: Request, key: TransactionKey) -> None:
        """Carry out a REFER.

        Raises:
            PeerError: it cannot be understood, or not now.
        """
        uri = _refer_to(call, request)
        if leg.party.is_outside:  # it would be at our expense
            raise PeerError(403, "Forbidden")
        value = uri.headers.get("Replaces")
        replaces = parse_replaces(value) if value is not None else None
        if replaces is None and not call.host.is_here(uri):
            raise PeerError(404, "Not Served Here")
        peer = call.peer_of(leg)
        if peer is None or call.is_asking or leg.state != UP or not (leg.has_settled and peer.has_settled):
            raise PeerError(491, "Request Pending")
        silent = (request.headers.get("Refer-Sub") or "").partition(";")[0].strip().lower() == "false"
        extra: Extra = (("Refer-Sub", "false"),) if silent else ()
        call.refers += 1
        subscription = Unsubscribed() if silent else ReferSubscription(leg, request, call.refers == 1)
        call.host.stack.respond(request, key, 202, "Accepted", extra=(*leg.own_contact, *extra))
        transfer = cls(call, leg, peer, subscription)
        call.transfer = transfer
        subscription.notify(100)
        call.host.note(
            "call {call}: {leg} transfers {peer} to {target}",
            call=call.id,
            leg=leg.party.key,
            peer=peer.party.key,
            target=uri.user,
        )
        asked = "" if replaces is None else ", whom it has called before"
        call.tell(f"{leg.party.key} transfers {peer.party.key} to {uri.user}{asked}")
        if replaces is None:
            transfer._blind(uri.user or "", request)
        else:
            transfer._attended(replaces)

    def progressed(self, status: int, reason: str) -> None:
        """The target rings."""
        self._subscription.notify(status, reason)

    def succeeded(self) -> None:
        """The target and the transferee talk."""
        self._subscription.notify(200)
        self._forget()

    def handed_over(self) -> None:
        """The PBX and the transferee talk."""
        call = self._call
        if call is not None:
            self.succeeded()
            call.linger()

    def failed(self, status: int, reason: str = "") -> None:
        """Nothing came of it: the transferor has its call back."""
        self._subscription.notify(status, reason)
        self._forget()

    def stop(self) -> None:
        """The call is over."""
        self.failed(487)

    # --- inside --------------------------------------------------------------------------------------------

    def _forget(self) -> None:
        call, self._call = self._call, None
        if call is not None and call.transfer is self:
            call.transfer = None

    def _blind(self, key: str, request: Request) -> None:
        call = self._call
        assert call is not None
        decision = call.router.transferred(self.transferor.party, self.transferee.party, key)
        call.explain(decision)
        if isinstance(decision, Reject):
            status, why = decision.status, decision.why
            if not goes_on(call, self.transferee, decision.key, status, why, self.handed_over):
                self.failed(status, decision.reason)
            return
        if not isinstance(decision, Ring):
            hand_over(call, self.transferee, decision, self.transferor, self.handed_over)
            return
        content = offer_of(self.transferee)
        hunt = call.begin_hunt(self.transferee, decision)
        referred_by = tuple(("Referred-By", value) for value in request.headers.get_all("Referred-By"))
        ring(call, hunt, decision, content, referred_by)

    def _attended(self, replaces: Replaces) -> None:
        call = self._call
        assert call is not None
        other = call.host.leg_with(replaces, self.transferor.party)
        second: TransferCall | None = other.user if other is not None else None  # type: ignore[assignment]  # a Call
        if other is None or second is None or other is self.transferor:
            call.tell("the transfer fails: the other call is over")
            self.failed(481)
            return
        target = second.peer_of(other)
        if target is not None and second is not call:
            self._merge(call, second, other, target)
        elif other.state == CALLING and other.is_caller and second.hunt is not None:
            self._adopt(call, second, second.hunt)
            other.reject(487, "Request Terminated")
            second.drop(other, 487, "transferred while it rang")
            second.end("transferred while it rang")
        elif call.host.services.take_place(call, self.transferee, second, self.handed_over):
            second.end("transferred")
        else:
            call.tell("the transfer fails: nobody is left in the other call")
            self.failed(481)

    def _adopt(self, call: TransferCall, second: TransferCall, hunt: Hunt) -> None:
        """The target still rings: it rings for the transferee from now on."""
        self.is_adopted = True
        second.hunt = None
        call.adopt_hunt(hunt, self.transferee)
        for leg in hunt.legs:
            second.drop(leg, 0, "transferred while it rang")
            leg.name = call.next_name()
            call.add(leg)
        call.wait(ADOPTED_S)
        call.playing.ringing(self.transferee)

    def _merge(self, call: TransferCall, second: TransferCall, other: Leg, target: Leg) -> None:
        """Both calls of the transferor are up: what they leave behind talks."""
        second.talk = None
        second.drop(target, 200, "transferred")
        other.end()
        second.drop(other, 200, "transferred")
        second.end("transferred")
        call.adopt(target)
        self.transferee.media.part()
        call.talk = (self.transferee, target)
        self.succeeded()
        call.linger()
        bridge(call, self.transferee, target)


def bridge(call: TransferCall, x: Leg, y: Leg) -> None:
    """Renegotiate until two legs that agreed on their media with others hear one another (RFC 3725 §4.4).

    `y` is offered what `x` can do, then `x` what `y` answered; where that fits nothing, `y` makes the offer.
    """
    domain = call.host.domain

    def is_past() -> bool:
        """Whoever leaves tells the call himself."""
        return call.peer_of(x) is not y or x.state != UP or y.state != UP

    def x_answered(status: int, _answer: Content | None) -> None:
        if is_past():
            return
        if status >= 300:
            translate(status)
        else:
            call.connect(x, y)

    def y_answered(status: int, answer: Content | None) -> None:
        if is_past():
            return
        if status >= 300 or answer is None:
            y.reoffer(None, y_offered, introduce(x.party, y.party, domain), persistent=True)
            return
        call.connect(x, y)
        x.reoffer(with_direction(answer), x_answered, introduce(y.party, x.party, domain), persistent=True)

    def translate(status: int) -> None:
        """They have no codec in common, or one takes no offer of the other's: the PBX speaks with both."""

        def done(again: int, answer: Content | None) -> None:
            if is_past():
                return
            if again >= 300 or answer is None or x.media.sound_endpoint is None:
                call.end(f"renegotiation after a transfer was answered {status}")
                return
            call.connect(x, y)
            if x.media.is_held:  # by who has left
                x.reoffer(own_offer(), spoke, persistent=True)

        def spoke(_status: int, _answer: Content | None) -> None:
            if not is_past():
                call.join(x, y)

        y.reoffer(own_offer(), done, introduce(x.party, y.party, domain), persistent=True)

    def y_offered(status: int, offer: Content | None) -> None:
        if is_past():
            return
        if status >= 300 or offer is None:
            translate(status)
            return

        def answered(status: int, answer: Content | None) -> None:
            if is_past():
                return
            if status >= 300 or answer is None:
                y.keep()
                translate(status)
                return
            y.acknowledge(answer)
            call.connect(x, y)

        if x.pending is not None:  # it waits for `y`, and `y` for what `x` says to its offer
            call.leg_withdrew(x)
            x.refuse(491, "Request Pending")
        x.reoffer(with_direction(offer), answered, introduce(y.party, x.party, domain), persistent=True)

    known = x.media.content
    if known is None:
        y_answered(488, None)
    else:
        y.reoffer(with_direction(known), y_answered, introduce(x.party, y.party, domain), persistent=True)


def hear(call: TransferCall, origin: Leg, leg: Leg) -> None:
    """Let a leg that is up hear the early media of who rings for it, in place of our ringing tone.

    It is not renegotiated with: the PBX translates, where that is needed, until somebody answers.
    """
    call.leave_booth()
    call.playing.stop(origin)
    origin.media.part()
    call.join(origin, leg)


def _refer_to(call: TransferCall, request: Request) -> SipUri:
    values = request.headers.get_all("Refer-To")
    if len(values) != 1:
        raise PeerError(400, "Exactly One Refer-To Is Needed")
    uri = parse_name_addr(values[0]).uri
    if isinstance(uri, OpaqueUri):
        if uri.scheme != "tel":
            raise PeerError(416, "Unsupported URI Scheme")
        if not call.host.is_here(uri):
            raise PeerError(404, "Not Served Here")
        uri = SipUri("sip", user_of(uri), call.host.domain)  # RFC 3261 §19.1.6
    if (uri.params.get("method") or "INVITE").upper() != "INVITE":
        raise PeerError(501, "Only INVITE Can Be Referred")
    if not uri.user:
        raise PeerError(400, "Refer-To Names Nobody")
    return uri
