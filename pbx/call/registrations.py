"""Phones that register, and what follows from where they are reached (RFC 3261 §10, RFC 5626 §5.3)."""

from collections.abc import Iterable, Iterator
from typing import Protocol

from pbx.address import hostport
from pbx.call.adrift import Adrift
from pbx.call.authentication import Gatekeeper
from pbx.call.effects import SaveBindings
from pbx.call.leg import Leg
from pbx.call.mailbox_lamps import MailboxLamps
from pbx.call.qualify import Qualifier
from pbx.call.subscriptions import Subscriptions
from pbx.call.tracer import Tracer
from pbx.office.device import Device
from pbx.office.snapshot import Office
from pbx.sip.flow import Flow
from pbx.sip.location import LocationService
from pbx.sip.message import Request
from pbx.sip.registrar import RegisterResult, Registrar
from pbx.sip.stack import SipStack
from pbx.sip.transaction.key import TransactionKey


class RegistrationsHost(Protocol):
    """The exchange."""

    stack: SipStack
    adrift: Adrift
    location: LocationService
    qualifier: Qualifier
    lamps: MailboxLamps
    subscriptions: Subscriptions
    tracer: Tracer

    def all_legs(self) -> Iterator[Leg]: ...
    def note(self, text: str, **fields: object) -> None: ...


class Registrations:
    """Takes REGISTERs, and tells whoever has to know that a phone is there, elsewhere or gone."""

    def __init__(self, host: RegistrationsHost, gate: Gatekeeper) -> None:
        self._host, self._gate = host, gate
        self._location = host.location
        self._registrar = Registrar(host.location)

    def receive(self, request: Request, key: TransactionKey, flow: Flow) -> None:
        """A REGISTER.

        Raises:
            PeerError: it is refused; nothing has changed.
        """
        host, stack = self._host, self._host.stack
        sender = self._gate.admit(request, flow, stack.now)
        username = sender.device.username
        result = self._registrar.register(request, username, flow, stack.now)
        stack.respond(request, key, result.status, result.reason, extra=result.headers)
        if result.changed:
            is_elsewhere = result.is_elsewhere
            stack.out.append(SaveBindings(username, is_elsewhere))
            if is_elsewhere:
                self._follow(username, result, flow)
        if host.tracer.is_on:
            host.tracer.registered(request.call_id, sender.extension.key, username, stack.now)
        host.qualifier.watch(username)
        host.lamps.registered(username, sender.extension.key)
        if bool(result.after) != bool(result.before):
            host.note(
                "{user} {what} from {peer} over {transport}",
                user=username,
                what="unregistered" if result.before else "registered",
                peer=hostport(*flow.peer),
                transport=flow.transport,
            )

    def ended(self, usernames: Iterable[str], why: str) -> None:
        """Bindings of these devices are gone, otherwise than by a REGISTER."""
        for username in usernames:
            self._host.stack.out.append(SaveBindings(username))
            self._host.note("{user} unregistered: {why}", user=username, why=why)

    def swap_office(self, before: Office, office: Office) -> None:
        """Phones whose device is gone, or has another password or transport, have to register anew."""
        for username in self._location.usernames():
            was, found = before.device(username), office.device(username)
            if found is None:
                why = "the device was removed"
            elif was is not None and _login(was[1]) != _login(found[1]):
                why = "its password or transport was changed"
            else:
                if was is not None and was[0].key != found[0].key:
                    self._host.lamps.registered(username, found[0].key)  # it has another mailbox
                continue
            self._location.clear(username)
            self.ended([username], why)

    # --- inside --------------------------------------------------------------------------------------------

    def _follow(self, username: str, result: RegisterResult, flow: Flow) -> None:
        """A phone has registered by another way than before: that leads to it in its calls, too.

        Its connection may have been lost, or its NAT have given it another port (RFC 5626 §5.3).
        """
        new = next((each for each in reversed(result.after) if each.flow == flow), None)
        if new is None:
            return
        gone = {each.flow for each in result.before} - {each.flow for each in result.after}
        for leg in (*self._host.all_legs(), *self._host.adrift.legs):
            way = leg.way
            if leg.party.device != username or way is None or way.peer[0] != flow.peer[0]:
                continue
            if leg.is_cut or way in gone:
                leg.move(flow, new.behind_nat)
        self._host.subscriptions.follow(username, gone, flow, new.behind_nat)


def _login(device: Device) -> tuple[str, bool]:
    return device.ha1_sha256, device.tls
