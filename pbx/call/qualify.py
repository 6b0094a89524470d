"""OPTIONS to every registered phone: is it there, and how far away (RFC 3261 §11)."""

from functools import partial
from typing import Final

from pbx.call.quirks import may_be_asked
from pbx.deadlines import Deadlines
from pbx.sip.dialog import hop_to, next_hop
from pbx.sip.headers import Headers
from pbx.sip.location import Binding, LocationService
from pbx.sip.message import Request, Response
from pbx.sip.stack import SipStack

INTERVAL_S: Final = 60.0
FIRST_S: Final = 2.0  # after a registration; a phone is busy with its own requests until then


class Qualifier:
    """Asks the phones of each device, and keeps their round-trip times."""

    def __init__(self, stack: SipStack, location: LocationService, domain: str) -> None:
        self._stack = stack
        self._location = location
        self._domain = domain
        self.deadlines: Deadlines[str] = Deadlines()
        # Of each device that is asked regularly, by contact: seconds, None for a phone that is silent.
        self._trips: dict[str, dict[str, float | None]] = {}

    def watch(self, username: str) -> None:
        """A device has registered: ask it soon, then regularly while it stays registered."""
        if username in self._trips:
            return
        self._trips[username] = {}
        self.deadlines.set(username, self._stack.now + FIRST_S)

    def is_reachable(self, username: str, contact: str) -> bool | None:
        """Whether the phone answered last time; None before the first answer."""
        trips = self._trips.get(username, {})
        return None if contact not in trips else trips[contact] is not None

    def round_trip(self, username: str, contact: str) -> float | None:
        """How long the last answer took, in seconds; None: there is none."""
        return self._trips.get(username, {}).get(contact)

    def expire(self, now: float) -> None:
        for username in self.deadlines.pop_due(now):
            bindings = [
                each for each in self._location.bindings(username, now) if may_be_asked(each.user_agent)
            ]
            trips = self._trips.pop(username, {})
            if not bindings:
                continue
            asked = {each.contact for each in bindings}
            self._trips[username] = {contact: trip for contact, trip in trips.items() if contact in asked}
            for binding in bindings:
                self._ask(username, binding)
            # Spread over the interval, so that a thousand phones are not asked at once for ever.
            self.deadlines.set(username, now + INTERVAL_S * (0.9 + self._stack.entropy.below(200) / 1000))

    def _ask(self, username: str, binding: Binding) -> None:
        stack = self._stack
        headers = Headers(
            [
                ("Max-Forwards", "70"),
                *(("Route", route) for route in binding.path),
                ("From", f"<sip:pbx@{self._domain}>;tag={stack.entropy.token()}"),
                ("To", f"<{binding.contact}>"),
                ("Call-ID", stack.entropy.token()),
                ("CSeq", "1 OPTIONS"),
                ("Accept", "application/sdp"),
            ]
        )
        request = Request("OPTIONS", binding.contact, headers, b"")
        flow = hop_to(next_hop(binding.path, binding.contact), binding.flow, binding.behind_nat)
        request.headers.add("Contact", f"<{stack.own_uri(flow)}>")
        stack.send(request, flow, partial(self._answered, username, binding.contact, stack.now))

    def _answered(self, username: str, contact: str, asked_at: float, response: Response) -> None:
        if response.status < 200 or username not in self._trips:
            return
        is_there = response.status not in (408, 503)
        self._trips[username][contact] = self._stack.now - asked_at if is_there else None
