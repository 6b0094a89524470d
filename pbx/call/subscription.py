"""One subscription, seen from the notifier (RFC 6665 §4.2): who is told of what, and for how long.

At most one NOTIFY is on its way, so that they arrive in order; changes meanwhile become one more NOTIFY, that
tells the state of that later moment.
"""

from collections.abc import Callable
from enum import Enum
from typing import Final, Protocol

from pbx.call.authentication import Sender
from pbx.errors import PbxError, PeerError
from pbx.sip.dialog import Dialog
from pbx.sip.fields import parse_event
from pbx.sip.flow import Flow
from pbx.sip.headers import Extra
from pbx.sip.message import Request, Response
from pbx.sip.refusal import Refusal
from pbx.sip.stack import SipStack
from pbx.sip.transaction.key import TransactionKey

SHORTEST_S: Final = 60
LONGEST_S: Final = 3600  # and what is granted to a phone that does not ask for a time
# Answers to a NOTIFY that end the subscription (RFC 5057 §5.1, RFC 6665 §4.2.2); others, as a 500, do not.
FATAL: Final = frozenset({404, 405, 408, 410, 416, 480, 481, 482, 483, 484, 485, 489, 501, 503, 604})

State = Enum("State", "IDLE WAITING NOTIFYING BEHIND CLOSING LAST OVER")
Input = Enum("Input", "CHANGED SLOT SUBSCRIBED ENDED DELIVERED REFUSED")


class Subscribers(Protocol):
    """All subscriptions, as a package sees them."""

    def changed(self, package: str, resource: str) -> None: ...
    def has(self, package: str, username: str, peer: tuple[str, int]) -> bool: ...


class Package(Protocol):
    """An event package: what can be subscribed to (RFC 6665 §7.2)."""

    subscribers: Subscribers  # set by who keeps them
    name: str
    content_type: str
    gap_s: float  # between two NOTIFYs of a subscription that changes cause

    def watch(self, is_watched: bool) -> None:
        """From now on there are subscriptions, or none."""
        ...

    def resource_for(self, sender: Sender, user: str) -> str:
        """What `sender` means by the user part of the Request-URI, "" included.

        Raises:
            PeerError: there is no such thing, or it is not for the sender.
        """
        ...

    def body(self, resource: str, version: int) -> bytes:
        """The whole state; `version` counts a subscription's NOTIFYs from 0."""
        ...


class Host(Protocol):
    """Who keeps all subscriptions."""

    stack: SipStack

    def admit(self, request: Request, flow: Flow) -> Sender: ...
    def next_slot(self, subscription: "Subscription") -> float: ...
    def ended(self, subscription: "Subscription") -> None: ...
    def hurt(self, what: str, error: PbxError) -> None: ...


class Subscription:
    """A dialog over which one device is told of one thing."""

    def __init__(
        self,
        host: Host,
        package: Package,
        resource: str,
        sender: Sender,
        request: Request,
        flow: Flow,
        tag: str,
    ) -> None:
        self.package, self.resource, self.sender = package, resource, sender
        self.dialog = Dialog.of_uas(request, tag, flow)
        self.state = State.IDLE
        self.sent_at = float("-inf")
        self._host, self._stack = host, host.stack
        self._event = parse_event(request.headers.get("Event") or "")
        self._expires_at = 0.0
        self._version = 0
        self._why = ""  # it ended
        self._stack.dialogs[self.dialog.id] = self

    # --- from outside --------------------------------------------------------------------------------------

    def begin(self, seconds: int) -> None:
        """It has been accepted, for so long; 0 = tell once (§4.4.3)."""
        self._last_until(seconds)

    def changed(self) -> None:
        """What it is about has changed."""
        self._step(Input.CHANGED)

    def end(self, why: str) -> None:
        """Tell the subscriber that it is over; `why` is a reason of §4.2.2."""
        if self.is_open:
            self._why = why
            self._set("expire", None)
            self._step(Input.ENDED)

    def drop(self) -> None:
        """Forget it without a word."""
        if self.state != State.OVER:
            self.state = State.OVER
            self._close()

    @property
    def is_open(self) -> bool:
        """Whether it can be refreshed."""
        return self.state in (State.IDLE, State.WAITING, State.NOTIFYING, State.BEHIND)

    # --- from the stack ------------------------------------------------------------------------------------

    def receive_request(self, request: Request, key: TransactionKey, flow: Flow) -> None:
        """A refresh, or the end of it (§4.2.1.3). Nobody is believed without credentials of the device."""
        if request.method != "SUBSCRIBE":
            raise Refusal(405, "Method Not Allowed", (("Allow", "SUBSCRIBE"),))
        if not self.is_open:
            raise PeerError(481, "Subscription Does Not Exist")
        sender = self._host.admit(request, flow)
        if sender.device.username != self.sender.device.username:
            raise PeerError(403, "Forbidden")
        event = parse_event(request.headers.get("Event") or "")
        if (event.package, event.id) != (self._event.package, self._event.id):
            raise PeerError(489, "Bad Event")
        self.dialog.check_order(request)
        seconds = granted(request)
        self.dialog.refresh_target(request, flow)
        self._stack.respond(request, key, 200, extra=self.answer(seconds))
        self._last_until(seconds)

    def receive_ack(self, request: Request) -> None:
        """There is no INVITE that it could mean."""

    def expire(self, timer: str) -> None:
        if timer == "expire":
            self.end("timeout")
        else:
            self._step(Input.SLOT)

    def broke(self, error: PbxError) -> None:
        """A step failed half way."""
        who = self.sender.device.username
        self._host.hurt(f"the subscription of {who} to {self.package.name} of {self.resource}", error)
        self.drop()

    def answer(self, seconds: int) -> Extra:
        """The headers of the 200 to a SUBSCRIBE."""
        return (("Expires", str(seconds)), ("Contact", self._contact()))

    # --- the machine ---------------------------------------------------------------------------------------

    def _step(self, what: Input) -> None:
        row = TRANSITIONS.get((self.state, what))
        if row is not None:  # else it has no meaning any more
            action, self.state = row
            if action is not None:
                action(self)

    def _wait(self) -> None:
        """Notify in the next slot, at once when that is now."""
        when = self._host.next_slot(self)
        if when <= self._stack.now:
            self._step(Input.SLOT)
        else:
            self._set("slot", when)

    def _notify(self) -> None:
        left = max(0, round(self._expires_at - self._stack.now))
        self._send(f"active;expires={left}", self.package.body(self.resource, self._version))

    def _notify_last(self) -> None:
        body = self.package.body(self.resource, self._version) if self._why == "timeout" else b""
        self._send(f"terminated;reason={self._why}", body)

    def _send(self, state: str, body: bytes) -> None:
        self._set("slot", None)
        self._version += 1
        self.sent_at = self._stack.now
        request = self.dialog.make_request("NOTIFY")
        request.headers.extend(
            (("Contact", self._contact()), ("Event", self._event.render()), ("Subscription-State", state))
        )
        if body:
            request.headers.add("Content-Type", self.package.content_type)
        request.body = body
        hop = self.dialog.hop()
        self._stack.send(request, hop, self._answered, owner=self, by_this_flow=self.dialog.behind_nat)

    def _answered(self, response: Response) -> None:
        if response.status >= 200:
            self._step(Input.REFUSED if response.status in FATAL else Input.DELIVERED)

    def _close(self) -> None:
        for timer in ("slot", "expire"):
            self._set(timer, None)
        self._stack.dialogs.pop(self.dialog.id, None)
        self._host.ended(self)

    def _last_until(self, seconds: int) -> None:
        self._expires_at = self._stack.now + seconds
        if not seconds:
            self.end("timeout")
            return
        self._set("expire", self._expires_at)
        self._step(Input.SUBSCRIBED)

    def _set(self, timer: str, when: float | None) -> None:
        self._stack.timers.set((self, timer), when)

    def _contact(self) -> str:
        return f"<{self._stack.own_uri(self.dialog.hop())}>"


def granted(request: Request) -> int:
    """How many seconds a SUBSCRIBE gets; 0 ends it.

    Raises:
        Refusal: 423 with the least we take (§4.2.1.1).
    """
    asked = request.expires
    if asked is None:
        return LONGEST_S
    if 0 < asked < SHORTEST_S:
        raise Refusal(423, "Interval Too Brief", (("Min-Expires", str(SHORTEST_S)),))
    return min(asked, LONGEST_S)


Action = Callable[[Subscription], None]
_S = Subscription
TRANSITIONS: Final[dict[tuple[State, Input], tuple[Action | None, State]]] = {
    (State.IDLE, Input.CHANGED): (_S._wait, State.WAITING),
    (State.IDLE, Input.SUBSCRIBED): (_S._notify, State.NOTIFYING),
    (State.IDLE, Input.ENDED): (_S._notify_last, State.LAST),
    (State.WAITING, Input.SLOT): (_S._notify, State.NOTIFYING),
    (State.WAITING, Input.SUBSCRIBED): (_S._notify, State.NOTIFYING),
    (State.WAITING, Input.ENDED): (_S._notify_last, State.LAST),
    (State.NOTIFYING, Input.CHANGED): (None, State.BEHIND),
    (State.NOTIFYING, Input.SUBSCRIBED): (None, State.BEHIND),
    (State.NOTIFYING, Input.ENDED): (None, State.CLOSING),
    (State.NOTIFYING, Input.DELIVERED): (None, State.IDLE),
    (State.NOTIFYING, Input.REFUSED): (_S._close, State.OVER),
    (State.BEHIND, Input.ENDED): (None, State.CLOSING),
    (State.BEHIND, Input.DELIVERED): (_S._wait, State.WAITING),
    (State.BEHIND, Input.REFUSED): (_S._close, State.OVER),
    (State.CLOSING, Input.DELIVERED): (_S._notify_last, State.LAST),
    (State.CLOSING, Input.REFUSED): (_S._close, State.OVER),
    (State.LAST, Input.DELIVERED): (_S._close, State.OVER),
    (State.LAST, Input.REFUSED): (_S._close, State.OVER),
}
