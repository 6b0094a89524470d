"""All trunks and gateways: where calls can go, and which requests come from them."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final

from pbx.call.carrier import Carrier, Resolve
from pbx.call.effects import Note
from pbx.call.from_outside import TrunkSender, recognise
from pbx.call.party import Kind
from pbx.errors import PbxError
from pbx.office.gateway import Gateway
from pbx.office.snapshot import Office
from pbx.office.trunk import Trunk
from pbx.sip.credentials import Credentials
from pbx.sip.flow import Flow
from pbx.sip.message import Request, Response
from pbx.sip.stack import SipStack

GIVE_UP_S: Final = 5.0  # how long one target of a trunk may be silent to an INVITE before the next is tried

Key = tuple[Kind, str]


class Trunks:
    """What the exchange knows of the world outside.

    Nothing is sent before `start`.
    """

    def __init__(
        self,
        stack: SipStack,
        office: Callable[[], Office],
        is_ours: Callable[[str], bool],
        is_shared: Callable[[str], bool],
        hurt: Callable[[str, PbxError], None],
    ) -> None:
        """Make it.

        Args:
            is_ours: whether a host is the office's domain or an address of this server.
            is_shared: whether a phone is registered from an address.
            hurt: is told of failures on our side.
        """
        self._stack, self._office = stack, office
        self._is_ours, self._is_shared, self.hurt = is_ours, is_shared, hurt
        self._carriers: dict[Key, Carrier] = {}
        self._leaving: dict[Carrier, Carrier | None] = {}  # and who waits for its place
        self._asked: dict[int, Carrier] = {}
        self._number = 0
        self._is_started = False
        self._take_over()

    # --- life ----------------------------------------------------------------------------------------------

    def start(self) -> None:
        """The sockets are open."""
        self._is_started = True
        for carrier in self._carriers.values():
            carrier.start()

    def swap_office(self) -> None:
        """The office has changed: what is new begins, what is gone ends."""
        self._take_over()

    def stop(self) -> None:
        """End all registrations; they are over when `is_quiet`."""
        for key in tuple(self._carriers):
            self._leave(self._carriers.pop(key), None)

    @property
    def is_quiet(self) -> bool:
        """No registration is about to be ended."""
        return not self._leaving

    def resolved(self, number: int, flows: Sequence[Flow], why: str) -> None:
        """The answer to `Resolve`: the ways to the server, the best first, or why there is none."""
        carrier = self._asked.pop(number, None)
        if carrier is not None:
            carrier.resolved(flows, why)

    def lost(self, flow: Flow, why: str) -> None:
        """A connection closed, or something could not be sent; to be told before the stack is."""
        for carrier in tuple(self._carriers.values()):
            carrier.lost(flow, why)

    # --- calls out -----------------------------------------------------------------------------------------

    def usable(self, names: Sequence[str]) -> list[str]:
        """Those of `names` to be tried, in their order: who is up; all of them when nobody is."""
        known = [name for name in names if ("trunk", name) in self._carriers]
        return [name for name in known if self._carriers["trunk", name].is_up] or known

    def flows(self, name: str, kind: Kind) -> Sequence[Flow]:
        """The ways to a trunk, the best first: one for `Leg.invite`, the others as its alternatives."""
        carrier = self._carriers.get((kind, name))
        return carrier.flows if carrier is not None else ()

    def credentials(self, name: str, kind: Kind) -> Credentials | None:
        """For `Leg.credentials`: new ones for each leg that we call by."""
        carrier = self._carriers.get((kind, name))
        if carrier is None or not carrier.to.username:
            return None
        return Credentials(carrier.to.username, carrier.to.password)

    def credentials_of_caller(self, to: TrunkSender) -> Credentials | None:
        """The same for a leg that came from there.

        By UDP its INVITE may be forged and its Contact a stranger's, who would challenge our BYE and guess
        the password from its answer: only the carrier's own places are answered.
        """
        carrier = self._carriers.get((to.kind, to.name))
        if carrier is None or not carrier.to.username:
            return None
        own = partial(self.sends, to.kind, to.name)
        return Credentials(carrier.to.username, carrier.to.password, own)

    def is_full(self, name: str, calls: int) -> bool:
        """Whether a trunk with so many calls in progress, in and out, takes no other."""
        trunk = self._office().trunk(name)
        return trunk is not None and 0 < trunk.max_calls <= calls

    def answered(self, name: str, response: Response, kind: Kind) -> None:
        """An INVITE to it was answered.

        408 and 503 of our own making, which have no To tag, say that nobody is there; those of a carrier may
        speak of the number that was called.
        """
        carrier = self._carriers.get((kind, name))
        if carrier is None:
            return
        if response.status in (408, 503) and not response.to.tag:
            carrier.failed(response)
        elif response.status == 408 or 500 <= response.status < 600:
            carrier.refused(response)
        else:
            carrier.heard()

    # --- calls in ------------------------------------------------------------------------------------------

    def recognise(self, request: Request, flow: Flow) -> TrunkSender | None:
        """Which trunk or gateway sends a request outside of dialogs; None: whoever it is must prove it."""
        if not self._carriers:
            return None
        sources = [carrier.source for carrier in self._carriers.values()]
        sender = recognise(request, flow, sources, self._office(), self._is_ours, self._is_shared)
        if sender is not None:
            self._carriers[sender.kind, sender.name].heard()
        return sender

    def sends(self, kind: Kind, name: str, flow: Flow) -> bool:
        """Whether a request inside a dialog may come from this trunk or gateway by `flow`."""
        carrier = self._carriers.get((kind, name))
        return carrier is not None and carrier.source.rank(flow, is_device=False, is_shared=False) > 0

    def are_at(self, peer: tuple[str, int]) -> bool:
        """Whether a trunk or gateway is at a place: there the office is believed without a password."""
        return any(carrier.source.has(peer) for carrier in self._carriers.values())

    def uses(self, flow: Flow) -> bool:
        """Whether a carrier reaches us by this connection."""
        return any(
            each.registration is not None and each.registration.flow == flow
            for each in self._carriers.values()
        )

    def status(self, calls: Mapping[Key, int]) -> list[dict[str, Any]]:
        """A row for each, times in seconds, with how many calls are in progress."""
        return [carrier.status(calls.get(key, 0)) for key, carrier in self._carriers.items()]

    # --- what a carrier asks for ---------------------------------------------------------------------------

    def look_up(self, carrier: Carrier) -> None:
        """Find where its server is."""
        self._number += 1
        self._asked = {number: each for number, each in self._asked.items() if each is not carrier}
        self._asked[self._number] = carrier
        self._stack.out.append(Resolve(self._number, carrier.to.server))

    def changed(self, carrier: Carrier) -> None:
        """Tell the log."""
        if carrier.state in ("unknown", "registering"):
            return
        fields = {"kind": carrier.kind, "name": carrier.to.name, "state": carrier.state, "why": carrier.error}
        text = "{kind} {name} is {state}" + (": {why}" if carrier.error else "")
        level = "warn" if carrier.state in ("down", "refused", "unregistered") else "info"
        self._stack.out.append(Note(level, text, fields))

    def gone(self, carrier: Carrier) -> None:
        """Its registration has ended: who has its place may register."""
        successor = self._leaving.pop(carrier, None)
        if successor is not None:
            successor.register()

    # --- inside --------------------------------------------------------------------------------------------

    def _take_over(self) -> None:
        office = self._office()
        wanted: dict[Key, Trunk | Gateway] = {("trunk", each.name): each for each in office.trunks}
        wanted |= {("gateway", each.name): each for each in office.gateways}
        before, self._carriers = self._carriers, {}
        for key, to in wanted.items():
            was = before.pop(key, None)
            if was is not None and _login(was.to) == _login(to):
                was.change(to)
                self._carriers[key] = was
                continue
            carrier = self._carriers[key] = Carrier(self._stack, self, to)
            if not self._is_started:
                continue
            if was is not None:
                # Both may be the same account at the same server: first out, then in.
                carrier.start(may_register=False)
                self._leave(was, carrier)
            else:
                carrier.start()
        for gone in before.values():
            self._leave(gone, None)

    def _leave(self, carrier: Carrier, successor: Carrier | None) -> None:
        self._leaving[carrier] = successor
        carrier.stop()


def _login(to: Trunk | Gateway) -> tuple[object, ...]:
    return to.server, to.username, to.password, isinstance(to, Trunk) and to.registers
