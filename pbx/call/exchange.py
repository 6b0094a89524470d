"""The exchange: SIP stack, registrar and all calls as one machine. Steps in, effects out."""

from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import UTC, datetime
from math import inf
from operator import attrgetter
from typing import Any, Final

from pbx.address import hostport
from pbx.call.admission import Admission
from pbx.call.adrift import Adrift
from pbx.call.authentication import Gatekeeper
from pbx.call.busy_lamps import BusyLamps
from pbx.call.call import Call
from pbx.call.effects import Note, SaveLogins
from pbx.call.endpoints import Endpoints
from pbx.call.hunt import Hunt
from pbx.call.identity import called_user
from pbx.call.invites import Invites
from pbx.call.leg import Leg
from pbx.call.locks import Locks
from pbx.call.logins import Login, Logins
from pbx.call.mailbox_lamps import MailboxLamps
from pbx.call.messages import pass_message
from pbx.call.metering import Metering
from pbx.call.occupancy import Occupancy
from pbx.call.party import Party
from pbx.call.passing import Passing
from pbx.call.qualify import Qualifier
from pbx.call.registrations import Registrations
from pbx.call.ringing import Ringing
from pbx.call.routing import Router
from pbx.call.services import Services
from pbx.call.sound import Sound
from pbx.call.subscriptions import Subscriptions
from pbx.call.tracer import Tracer
from pbx.call.trunks import Trunks
from pbx.call.world import CurrentWorld
from pbx.deadlines import Deadlines
from pbx.entropy import Entropy
from pbx.errors import PbxError, PeerError, UsageError
from pbx.media.orders import (
    Digit,
    EndpointClosed,
    EndpointFailed,
    Event,
    Played,
    Recorded,
    Silent,
    StatsRead,
    WorkerRestarted,
)
from pbx.office.snapshot import Office
from pbx.rtp.port_pool import PortPool
from pbx.rules.decision import Reject, Ring
from pbx.rules.number import is_dialled_here
from pbx.rules.still_world import StillWorld
from pbx.sdp.offer_answer import SrtpPolicy
from pbx.sip.attempts import AttemptLimiter
from pbx.sip.capabilities import ALLOW, SUPPORTED, sips_not_allowed, wants_tls
from pbx.sip.dialog import DialogId
from pbx.sip.digest import Authenticator
from pbx.sip.fields import Replaces
from pbx.sip.flow import Flow
from pbx.sip.location import LocationService
from pbx.sip.message import Request, Response
from pbx.sip.overload import Kind
from pbx.sip.parser import MalformedMessageError
from pbx.sip.refusal import Refusal
from pbx.sip.stack import SipStack
from pbx.sip.stateless import Beginning
from pbx.sip.transaction.key import TransactionKey
from pbx.sip.transaction.timers import Timers
from pbx.sip.transaction.types import Send
from pbx.sip.uri import OpaqueUri, SipUri, host_of, user_of

_soonest: Final = attrgetter("soonest")

EPOCH: Final = datetime(2026, 1, 1, tzinfo=UTC)  # where nobody tells the time


@dataclass(frozen=True, slots=True)
class Settings:
    """What the exchange needs of pbx.toml."""

    domain: str
    srtp: SrtpPolicy = "optional"
    max_calls: int = 500
    calls_per_second: int = 0
    failed_auth: int = 10
    data: str = "data"


class Exchange:
    """Everything between the sockets.

    `is_ours` tells our own host names; `own_address` our address and port for a flow, as its peer sees it.
    """

    def __init__(
        self,
        settings: Settings,
        office: Office,
        entropy: Entropy,
        ports: PortPool,
        is_ours: Callable[[str], bool],
        own_address: Callable[[Flow], tuple[str, int]],
        calendar: Callable[[], datetime] = lambda: EPOCH,
    ) -> None:
        self.domain = settings.domain
        self.entropy = entropy
        self.office = office
        self.calls: dict[str, Call] = {}
        self.stack = SipStack(self, entropy, own_address, Timers())
        self.adrift = Adrift(self.stack)
        self.location = LocationService()
        self.qualifier = Qualifier(self.stack, self.location, settings.domain)
        self.passing = Passing()
        self.sound = Sound(self.order)
        self.logins = Logins()
        self.locks = Locks()
        self.services = Services(self, settings.data)
        self.occupancy = Occupancy()
        self.metering = Metering(self, calendar)
        self.world = CurrentWorld(
            self.stack,
            calendar,
            entropy,
            self.location,
            self.occupancy,
            self.metering,
            self.logins,
            self.locks,
        )
        self.endpoints = Endpoints(self.stack, entropy, ports, self.calls, self.note)
        self.router = Router(lambda: self.office, self.world)
        self.tracer = Tracer()
        self.tracer.watch(_debugged(office))
        self.is_stopping = False
        self.has_to_see_keys = False  # that phones press in a call: the kernel would hide them
        self.admission = Admission(
            lambda: self.office,
            self._is_known,
            self.calls,
            self.warn,
            settings.max_calls,
            settings.calls_per_second,
        )
        self._is_host_ours = is_ours
        self._gate = Gatekeeper(
            Authenticator(settings.domain, entropy.secret(32)),
            AttemptLimiter(settings.failed_auth),
            lambda: self.office,
            self.is_ours,
            self.location,
            self.note,
        )
        self.trunks = Trunks(
            self.stack, lambda: self.office, self.is_ours, self.location.is_registered_from, self.hurt
        )
        self.ringing = Ringing(self, self.stack, self.location, self.trunks, settings.srtp, own_address)
        self.lamps = MailboxLamps(self.stack, self.location, self.domain, lambda: self.office, self.hurt)
        self.busy_lamps = BusyLamps(self.stack, self.calls, self.domain, lambda: self.office, self.hurt)
        packages = (self.lamps, self.busy_lamps)
        self.subscriptions = Subscriptions(self.stack, self._gate, lambda: self.office, packages, self.hurt)
        self._invites = Invites(self, self._gate)
        self._registrations = Registrations(self, self._gate)
        self._deadlines: tuple[Deadlines[Any], ...] = (
            *(self.stack.timers, self.stack.layer.deadlines),
            *(self.location.deadlines, self.qualifier.deadlines, self.admission.refusals.deadlines),
            self.metering.ledger.deadlines,
        )

    # --- steps ---------------------------------------------------------------------------------------------

    @property
    def deadline(self) -> float | None:
        """When `expire` wants to be called next."""
        first = min(map(_soonest, self._deadlines))
        return first if first < inf else None

    def expire(self, now: float) -> list[Any]:
        self.stack.expire(now)
        self._registrations.ended(self.location.expire(now), "expired")
        self.qualifier.expire(now)
        self.admission.expire(now)
        self.metering.expire(now)
        return self._take()

    def receive(self, data: bytes, flow: Flow, now: float) -> list[Any]:
        if self.tracer.is_on:
            self.tracer.received(data, flow, now)
        self.stack.receive(data, flow, now)
        return self._take()

    def screen_batch(
        self, batch: Sequence[tuple[bytes, Flow]], wait_s: float, now: float
    ) -> tuple[list[Send], list[tuple[Callable[..., list[Any]], bytes, Flow]]]:
        """Datagrams that have waited for so long, in overload.

        Returns:
            What is answered at once, and the steps for all others, in their order.
        """
        self.waited(wait_s)
        if self.tracer.is_on or not self.stack.is_screening:  # a trace shows all that comes in
            return [], [(self.receive, data, flow) for data, flow in batch]
        answers, passed = self.stack.screen_batch(batch, now)
        steps = (self.receive, self._receive_screened)
        return answers, [(steps[is_screened], data, flow) for data, flow, is_screened in passed]

    def _receive_screened(self, data: bytes, flow: Flow, now: float) -> list[Any]:
        self.stack.receive(data, flow, now, is_screened=True)
        return self._take()

    def receive_message(self, message: Request | Response, flow: Flow, now: float) -> list[Any]:
        if self.tracer.is_on:
            self.tracer.received(message, flow, now)
        self.stack.receive_message(message, flow, now)
        return self._take()

    def receive_malformed(self, error: MalformedMessageError, flow: Flow, now: float) -> list[Any]:
        self.stack.receive_malformed(error, flow, now)
        return self._take()

    def end_window(self, least_s: float) -> bool:
        """What came in had to wait for its turn, at least for so long, in the last overload.WINDOW_S.

        Returns:
            There is overload: `screen_batch` wants to see what comes next.
        """
        is_overload = self.admission.end_window(least_s)
        self.stack.is_screening = self.admission.overload.sheds(Kind.STRANGER)
        return is_overload

    def waited(self, wait_s: float) -> None:
        """So long has waited what comes next."""
        overload = self.admission.overload
        overload.wait_s = wait_s
        self.stack.is_screening = overload.sheds(Kind.STRANGER)  # who else is turned away waits longer

    def flow_lost(self, flow: Flow, why: str, now: float) -> list[Any]:
        self.stack.now = now
        self.trunks.lost(flow, why)
        self.stack.flow_lost(flow, why, now)
        if not self.is_stopping:  # registrations outlive the server, which closes the connections itself now
            self._registrations.ended(self.location.flow_lost(flow), why)
            for leg in self.all_legs():
                leg.cut(flow)
            self.subscriptions.cut(flow)
        return self._take()

    def keeps(self, flow: Flow) -> bool:
        """A registration or a call lives on this connection."""
        if self.location.by_flow(flow) or self.subscriptions.uses(flow) or self.trunks.uses(flow):
            return True
        return any(leg.dialog is not None and leg.flow == flow for leg in self.all_legs())

    def start(self, now: float) -> list[Any]:
        """The sockets are open: register with the carriers."""
        self.stack.now = now
        self.trunks.start()
        return self._take()

    def resolved(self, number: int, flows: Sequence[Flow], why: str, now: float) -> list[Any]:
        """The answer to a `Resolve`: the ways to a carrier's server, the best first, or why there is none."""
        self.stack.now = now
        self.trunks.resolved(number, flows, why)
        return self._take()

    def media_event(self, event: Event, now: float) -> list[Any]:
        """A media worker reports."""
        self.stack.now = now
        if isinstance(event, EndpointClosed):
            self.endpoints.gone(event.endpoint, event.stats)
        elif isinstance(event, EndpointFailed):
            self.endpoints.failed(event)
        elif isinstance(event, Recorded):
            self.sound.recorded(event)
        elif isinstance(event, WorkerRestarted):
            text = "call {call}: its media worker was replaced: {why}"
            for call_id in event.calls:
                if call_id in self.calls:
                    self.note(text, call=call_id, why=event.why)
        elif (found := self.endpoints.leg_of(event.endpoint)) is not None:
            call, leg = found
            if isinstance(event, Digit):
                call.key(leg, event)
            elif isinstance(event, Played):
                call.played(leg, event)
            elif isinstance(event, StatsRead):
                call.measured(leg, event.stats)
            else:
                call.silent(leg, isinstance(event, Silent))
        return self._take()

    def rendered(self, number: int, stem: str | None, now: float) -> list[Any]:
        """A sound that was asked for by `Render` is there; None: it cannot be made."""
        self.stack.now = now
        self.sound.rendered(number, stem)
        return self._take()

    def answered(self, number: int, answer: Any, now: float) -> list[Any]:
        """The answer to a `Question`."""
        self.stack.now = now
        self.sound.answered(number, answer)
        return self._take()

    def swap_office(self, office: Office, now: float) -> list[Any]:
        """A new office is in force from the next call on."""
        self.stack.now = now
        before, self.office = self.office, office
        self._registrations.swap_office(before, office)
        self.subscriptions.swap_office()
        self.trunks.swap_office()
        self.occupancy.swap_office({extension.key for extension in office.extensions})
        self.tracer.watch(_debugged(office))
        self.metering.ledger.refresh(now)  # limits may have changed
        self._logged_out(self.logins.swap_office(office), "the office does not allow it any more")
        return self._take()

    def swap_caller_ids(self, approved: Mapping[str, Set[str]]) -> None:
        """The numbers of others that extensions, by key, may show: requests for them were approved."""
        self.world.approved = approved

    def world_at(self, now: float) -> StillWorld:
        """What is so at the moment, for who asks about calls that nobody makes."""
        self.stack.now = now
        return self.world.still(self.office)

    def expire_logins(self, calendar: datetime, now: float) -> list[Any]:
        """End the logins at hot-desk phones that have lasted long enough; `calendar` is the time in UTC."""
        self.stack.now = now
        settings = self.office.settings
        ended = self.logins.expire(settings.hot_desk_logout, settings.timezone, calendar)
        self._logged_out(ended, "its time is over")
        return self._take()

    def _logged_out(self, ended: tuple[Login, ...], why: str) -> None:
        for login in ended:
            text = "{member} is logged out at {device}: {why}"
            self.note(text, member=login.member, device=login.device, why=why)
        if ended:
            self.stack.out.append(SaveLogins(self.logins.all))

    def mailbox_changed(self, mailbox: str, new: int, saved: int, now: float) -> list[Any]:
        """A mailbox, by its extension's key, holds so many new and saved messages: the lamps show it."""
        self.stack.now = now
        self.lamps.mailbox_changed(mailbox, new, saved)
        return self._take()

    def stop(self, now: float) -> list[Any]:
        """Take no new call and end those that are up, in order."""
        self.stack.now = now
        self.is_stopping = True
        self.subscriptions.stop()
        self.trunks.stop()
        for call in tuple(self.calls.values()):
            call.end("the server is stopping", 503, (("Reason", 'SIP;cause=503;text="Server is stopping"'),))
        return self._take()

    @property
    def is_quiet(self) -> bool:
        """No call, no dialog, no recording and no registration of ours is left."""
        return not self.calls and not self.stack.dialogs and self.sound.is_quiet and self.trunks.is_quiet

    def all_legs(self) -> Iterator[Leg]:
        """Of all calls."""
        return (leg for call in self.calls.values() for leg in call.legs)

    def _take(self) -> list[Any]:
        if self.busy_lamps.is_watched:
            self.busy_lamps.stepped()
        out, self.stack.out = self.stack.out, []
        if self.tracer.is_on:
            self.tracer.stepped(out, self.calls.values(), self.stack.now)
        return out

    # --- requests outside of dialogs -----------------------------------------------------------------------

    def _is_known(self, flow: Flow) -> bool:
        """Whether a phone is registered there, or a carrier sends from there."""
        return self.location.has_flow(flow) or self.trunks.are_at(flow.peer)

    def screen(self, beginning: Beginning, flow: Flow) -> Refusal | None:
        """From the stack."""
        return self.admission.screen(beginning, flow, self.stack.now)

    def challenge(self, request: Request, flow: Flow) -> Refusal | None:
        """From the stack."""
        if not self.is_here(request.parsed_uri) or request.headers.first.get("Max-Forwards") == "0":
            return None
        if request.method == "INVITE" and self.trunks.recognise(request, flow) is not None:
            return None
        return self._gate.challenge(request, flow, self.stack.now, is_emergency=self._is_for_help(request))

    def receive_request(self, request: Request, key: TransactionKey, flow: Flow) -> None:
        """From the stack."""
        method = request.method
        if not self.is_here(request.parsed_uri):
            why = "{method} for {uri} from {peer} refused: neither the domain nor an address of this server"
            fields = {"method": method, "uri": request.uri, "peer": hostport(*flow.peer)}
            self.stack.out.append(Note("debug", why, fields))
            raise PeerError(404 if method != "REGISTER" else 403, "Not Served Here")
        if method not in ("OPTIONS", "REGISTER") and request.max_forwards == 0:
            raise PeerError(483, "Too Many Hops")
        if wants_tls(request) and not flow.is_secure and not self._is_for_help(request):
            raise sips_not_allowed(self.stack.own_host(flow))
        if method == "REGISTER":
            self._registrations.receive(request, key, flow)
        elif method == "INVITE":
            self._invites.receive(request, key, flow)
        elif method == "OPTIONS":
            extra = (("Allow", ALLOW), ("Accept", "application/sdp"), ("Supported", SUPPORTED))
            self.stack.respond_once(request, key, 200, extra=extra)  # anybody may ask: nothing is kept
        elif method == "MESSAGE":
            sender = self._gate.admit(request, flow, self.stack.now)
            pass_message(self, sender, request, key)
        elif method == "SUBSCRIBE":
            self.subscriptions.subscribe(request, key, flow)
        elif method == "REFER":  # a phone calls whom its own user wants
            raise PeerError(403, "Forbidden")
        else:
            raise PeerError(481, "Call/Transaction Does Not Exist")

    def is_ours(self, host: str) -> bool:
        """The configured domain, or any address of this server (product §2)."""
        if host == self.domain:
            return True
        host = host.lower().rstrip(".")
        return host == self.domain or self._is_host_ours(host)

    def is_here(self, uri: SipUri | OpaqueUri) -> bool:
        """Whether whom a URI names is to be called here; a tel: URI may say among which numbers it is."""
        if isinstance(uri, SipUri):
            return self.is_ours(uri.host)
        host = host_of(uri)
        if host and not host.startswith("+"):
            return self.is_ours(host)
        is_local = is_dialled_here(self.office, host) or self.admission.is_emergency(user_of(uri))
        return uri.scheme == "tel" and is_local

    def _is_for_help(self, request: Request) -> bool:
        return request.method == "INVITE" and self.admission.is_emergency(called_user(request))

    # --- what a call asks for ------------------------------------------------------------------------------

    def redirect(self, router: Router, hunt: Hunt, leg: Leg, response: Response) -> Ring | Reject | None:
        """Whom a 3xx of a phone names, if he has not been tried in this hunt, or why he is not rung."""
        refusal = None
        for contact in response.contacts:
            uri = contact.uri
            user = user_of(uri)
            if not user or user in hunt.tried or leg.party.is_outside or not self.is_here(uri):
                continue
            is_forwarded = hunt.key not in ("", leg.party.key) or leg in hunt.sent_on
            decision = router.redirected(leg.party, hunt.origin.party, user, is_forwarded=is_forwarded)
            if isinstance(decision, Ring):
                hunt.tried.add(user)
                return decision
            refusal = decision
        return refusal

    def leg_with(self, replaces: Replaces, party: Party | None) -> Leg | None:
        """The leg whose dialog a Replaces header names (RFC 3891 §3), if it is one of `party`'s extension."""
        leg = self.stack.dialogs.get(DialogId(replaces.call_id, replaces.to_tag, replaces.from_tag))
        if not isinstance(leg, Leg) or (party is not None and leg.party.key != party.key):
            return None
        return leg

    def may_move(self, leg: Leg, request: Request, key: TransactionKey, flow: Flow) -> bool:
        """A request inside a dialog from another address than before has to prove who sends it, unless the
        device is registered from there: its Contact may name yet another address."""
        if leg.party.is_outside:
            # Some carriers' media servers speak for themselves, from the address in their Contact or route.
            dialog = leg.dialog
            is_known = dialog is not None and flow.peer[0] in dialog.hosts
            if is_known or self.trunks.sends(*leg.party.carrier, flow):
                return True
            raise PeerError(403, "Forbidden")
        if any(
            binding.flow.peer[0] == flow.peer[0]
            for binding in self.location.bindings(leg.party.device, self.stack.now)
        ):
            return True
        try:
            sender = self._gate.admit(request, flow, self.stack.now)
        except Refusal as refusal:
            self.stack.respond(request, key, refusal.status, refusal.reason, extra=refusal.headers)
            return False
        if sender.device.username != leg.party.device:
            raise PeerError(403, "Forbidden")
        return True

    def call_ended(self, call: Call) -> None:
        """From the call."""
        self.calls.pop(call.id, None)
        self.admission.ended(call)
        if self.tracer.is_on:
            self.tracer.ended(call, self.stack.now)
        self.note("call {call} ended: {why}", call=call.id, why=call.record.why)
        self.endpoints.call_ended(call)

    def broke(self, error: PbxError) -> None:
        """A request outside of any call could not be served."""
        self.hurt("a request", error)

    def hurt(self, what: str, error: PbxError) -> None:
        """Something failed on our side, or on the peer's beyond repair: for the log."""
        level = "critical" if isinstance(error, UsageError) else "error"
        self.stack.out.append(Note(level, "{what} failed: {why}", {"what": what, "why": str(error)}))

    def note(self, text: str, **fields: object) -> None:
        """A milestone for the log."""
        self.stack.out.append(Note("info", text, fields))

    def warn(self, text: str, **fields: object) -> None:
        """What an administrator should look at, in the log."""
        self.stack.out.append(Note("warn", text, fields))

    def time(self) -> float:
        return self.stack.now

    def order(self, order: Any) -> None:
        self.stack.out.append(order)


def _debugged(office: Office) -> list[str]:
    """The keys of the extensions whose calls are traced."""
    return [extension.key for extension in office.extensions if extension.debug]
