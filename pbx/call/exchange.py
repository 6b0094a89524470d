"""The exchange: SIP stack, registrar and all calls as one machine. Steps in, effects out."""

from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from pbx.call.admission import Admission
from pbx.call.authentication import Gatekeeper, Sender
from pbx.call.busy_lamps import BusyLamps
from pbx.call.call import Call
from pbx.call.dialling import start
from pbx.call.effects import Note, SaveBindings, SaveLogins, WriteRecord
from pbx.call.from_outside import TrunkSender, called_number, calling_number
from pbx.call.hunt import PRIVATE, Hunt
from pbx.call.identity import kept_headers, wants_privacy
from pbx.call.leg import CALLING, Leg
from pbx.call.leg_media import LegMedia
from pbx.call.locks import Locks
from pbx.call.logins import Login, Logins
from pbx.call.mailbox_lamps import MailboxLamps
from pbx.call.metering import Metering
from pbx.call.occupancy import Occupancy
from pbx.call.party import Party
from pbx.call.qualify import Qualifier
from pbx.call.replacement import replace
from pbx.call.ringing import Ringing, hop
from pbx.call.routing import Router
from pbx.call.services import Services
from pbx.call.sound import Sound
from pbx.call.subscriptions import Subscriptions
from pbx.call.tracer import Tracer
from pbx.call.trunks import Trunks
from pbx.call.world import CurrentWorld
from pbx.deadlines import Deadlines
from pbx.entropy import Entropy
from pbx.errors import MediaError, PbxError, PeerError, UsageError
from pbx.media.orders import (
    Digit,
    EndpointClosed,
    EndpointFailed,
    Played,
    Recorded,
    Resumed,
    Silent,
    StatsRead,
    WorkerRestarted,
)
from pbx.office.device import Device
from pbx.office.snapshot import Office
from pbx.rtp.port_pool import PortPool
from pbx.rules.decision import DialDecision, Reject, Ring, Serve
from pbx.rules.features import decide_feature
from pbx.rules.number import to_e164
from pbx.rules.still_world import StillWorld
from pbx.sdp.content import Content
from pbx.sdp.offer_answer import SrtpPolicy
from pbx.sip.attempts import AttemptLimiter
from pbx.sip.dialog import DialogId
from pbx.sip.digest import Authenticator
from pbx.sip.fields import parse_replaces
from pbx.sip.flow import Flow
from pbx.sip.location import LocationService
from pbx.sip.message import Request, Response
from pbx.sip.parser import MalformedMessageError
from pbx.sip.registrar import Registrar
from pbx.sip.stack import ALLOW, SUPPORTED, Beginning, Refusal, SipStack
from pbx.sip.transaction.key import TransactionKey
from pbx.sip.transaction.timers import Timers
from pbx.sip.uri import SipUri, parse_uri

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
        timers: Timers | None = None,
        calendar: Callable[[], datetime] = lambda: EPOCH,
    ) -> None:
        self.settings = settings
        self.domain = settings.domain
        self.entropy = entropy
        self.ports = ports
        self.office = office
        self.calls: dict[str, Call] = {}
        self.stack = SipStack(self, entropy, own_address, timers or Timers())
        self.location = LocationService()
        self.qualifier = Qualifier(self.stack, self.location, settings.domain)
        self.sound = Sound(self._emit)
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
        self.router = Router(lambda: self.office, self.world)
        self.tracer = Tracer()
        self.tracer.watch(_debugged(office))
        self.is_stopping = False
        self.has_to_see_keys = False  # that phones press in a call: the kernel would hide them
        self.admission = Admission(
            lambda: self.office,
            self.location,
            self.calls,
            self.warn,
            settings.calls_per_second,
        )
        self._is_host_ours = is_ours
        self._registrar = Registrar(self.location)
        self._gate = Gatekeeper(
            Authenticator(settings.domain, entropy.secret(32)),
            AttemptLimiter(settings.failed_auth),
            lambda: self.office,
            self.is_ours,
            self.location.is_registered_from,
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
        self._deadlines: tuple[Deadlines[Any], ...] = (
            *(self.stack.timers, self.stack.layer.deadlines),
            *(self.location.deadlines, self.qualifier.deadlines, self.admission.refusals.deadlines),
            self.metering.ledger.deadlines,
        )
        self._endpoints: dict[str, tuple[LegMedia, int]] = {}
        self._closing: dict[
            str, tuple[int, str]
        ] = {}  # endpoint -> port, and its call while that is still recorded
        self._records: dict[str, tuple[Call, set[str]]] = {}

    # --- steps ---------------------------------------------------------------------------------------------

    @property
    def deadline(self) -> float | None:
        """When `expire` wants to be called next."""
        first = None
        for deadlines in self._deadlines:
            when = deadlines.next
            if when is not None and (first is None or when < first):
                first = when
        return first

    def expire(self, now: float) -> list[Any]:
        self.stack.expire(now)
        self._unbound(self.location.expire(now), "expired")
        self.qualifier.expire(now)
        self.admission.expire(now)
        self.metering.expire(now)
        return self._take()

    def receive(self, data: bytes, flow: Flow, now: float) -> list[Any]:
        if self.tracer.is_on:
            self.tracer.received(data, flow, now)
        self.stack.receive(data, flow, now)
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
            There is overload: `waited` wants to know the wait of what comes next.
        """
        self.admission.overload.end_window(least_s)
        self.stack.is_screening = self.admission.overload.is_on
        return self.stack.is_screening

    def waited(self, wait_s: float) -> None:
        """So long has waited what comes next."""
        self.admission.overload.wait_s = wait_s

    def flow_lost(self, flow: Flow, why: str, now: float) -> list[Any]:
        self.stack.now = now
        self.trunks.lost(flow, why)
        self.stack.flow_lost(flow, why, now)
        if not self.is_stopping:  # registrations outlive the server, which closes the connections itself now
            self._unbound(self.location.flow_lost(flow), why)
        return self._take()

    def keeps(self, flow: Flow) -> bool:
        """A registration or a call lives on this connection."""
        if self.location.by_flow(flow) or self.subscriptions.uses(flow) or self.trunks.uses(flow):
            return True
        return any(
            leg.dialog is not None and leg.flow == flow for call in self.calls.values() for leg in call.legs
        )

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

    def media_event(self, event: Any, now: float) -> list[Any]:
        """A media worker reports."""
        self.stack.now = now
        if isinstance(event, EndpointClosed):
            self._endpoint_gone(event.endpoint, event)
        elif isinstance(event, EndpointFailed):
            self._endpoint_failed(event)
        elif isinstance(event, (Silent, Resumed)):
            found = self._leg_of(event.endpoint)
            if found is not None:
                found[0].silent(found[1], isinstance(event, Silent))
        elif isinstance(event, Recorded):
            self.sound.recorded(event)
        elif isinstance(event, (Digit, Played, StatsRead)):
            found = self._leg_of(event.endpoint)
            if found is None:
                pass
            elif isinstance(event, Digit):
                found[0].digit(found[1], event.digit)
            elif isinstance(event, StatsRead):
                found[0].measured(found[1], event.stats)
            else:
                found[0].played(found[1], event)
        elif isinstance(event, WorkerRestarted):
            for call_id in event.calls:
                if call_id in self.calls:
                    self.note(
                        "call {call}: its media worker was replaced: {why}", call=call_id, why=event.why
                    )
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
        """A new office is in force from the next call on.

        Phones whose device is gone are forgotten, and those whose password or transport changed: they have to
        register anew.
        """
        self.stack.now = now
        before, self.office = self.office, office
        for username in self.location.usernames():
            was, found = before.device(username), office.device(username)
            if found is None:
                why = "the device was removed"
            elif was is not None and _login(was[1]) != _login(found[1]):
                why = "its password or transport was changed"
            else:
                continue
            self.location.clear(username)
            self._unbound([username], why)
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

    def _emit(self, effect: Any) -> None:
        self.stack.out.append(effect)

    def _take(self) -> list[Any]:
        self.busy_lamps.stepped()
        out, self.stack.out = self.stack.out, []
        if self.tracer.is_on:
            self.tracer.stepped(out, self.calls.values(), self.stack.now)
        return out

    # --- requests outside of dialogs -----------------------------------------------------------------------

    def screen(self, beginning: Beginning, flow: Flow) -> Refusal | None:
        """From the stack."""
        return self.admission.screen(beginning, flow, self.stack.now)

    def challenge(self, request: Request, flow: Flow) -> Refusal | None:
        """From the stack."""
        if not self._is_for_us(request) or request.headers.first.get("Max-Forwards") == "0":
            return None
        if request.method == "INVITE" and self.trunks.recognise(request, flow) is not None:
            return None
        is_emergency = request.method == "INVITE" and self.admission.is_emergency(_user(request))
        return self._gate.challenge(request, flow, self.stack.now, is_emergency=is_emergency)

    def receive_request(self, request: Request, key: TransactionKey, flow: Flow) -> None:
        """From the stack."""
        method = request.method
        if not self._is_for_us(request):
            why = "{method} for {uri} from {peer} refused: neither the domain nor an address of this server"
            fields = {"method": method, "uri": request.uri, "peer": f"{flow.peer[0]}:{flow.peer[1]}"}
            self.stack.out.append(Note("debug", why, fields))
            raise PeerError(404 if method != "REGISTER" else 403, "Not Served Here")
        if request.max_forwards == 0 and method not in ("OPTIONS", "REGISTER"):
            raise PeerError(483, "Too Many Hops")
        if method == "REGISTER":
            self._register(request, key, flow)
        elif method == "INVITE":
            self._invite(request, key, flow)
        elif method == "OPTIONS":
            extra = (("Allow", ALLOW), ("Accept", "application/sdp"), ("Supported", SUPPORTED))
            self.stack.respond_once(request, key, 200, extra=extra)  # anybody may ask: nothing is kept
        elif method == "MESSAGE":
            self._message(request, key, flow)
        elif method == "SUBSCRIBE":
            self.subscriptions.subscribe(request, key, flow)
        else:
            raise PeerError(481, "Call/Transaction Does Not Exist")

    def is_ours(self, host: str) -> bool:
        """The configured domain, or any address of this server (product §2)."""
        host = host.lower().rstrip(".")
        return host == self.domain or self._is_host_ours(host)

    def _is_for_us(self, request: Request) -> bool:
        uri = request.parsed_uri
        return isinstance(uri, SipUri) and self.is_ours(uri.host)

    def _register(self, request: Request, key: TransactionKey, flow: Flow) -> None:
        sender = self._gate.admit(request, flow, self.stack.now)
        username = sender.device.username
        before = self._places(username)
        result = self._registrar.register(request, username, flow, self.stack.now)
        self.stack.respond(request, key, result.status, result.reason, extra=result.headers)
        if result.changed:
            self.stack.out.append(SaveBindings(username, self._places(username) != before))
        if self.tracer.is_on:
            self.tracer.registered(request.call_id, sender.extension.key, username, self.stack.now)
        self.qualifier.watch(username)
        self.lamps.registered(username, sender.extension.key)
        if self.location.is_registered(username, self.stack.now) != bool(before):
            self.note(
                "{user} {what} from {peer} over {transport}",
                user=username,
                what="unregistered" if before else "registered",
                peer=f"{flow.peer[0]}:{flow.peer[1]}",
                transport=flow.transport,
            )

    def _invite(self, request: Request, key: TransactionKey, flow: Flow) -> None:
        carrier = self.trunks.recognise(request, flow)
        dialled = _user(request)
        is_emergency = carrier is None and self.admission.is_emergency(dialled)
        sender = None
        if carrier is None:
            sender = self._gate.admit(request, flow, self.stack.now, is_emergency=is_emergency)
        if self.is_stopping:
            raise Refusal(503, "Service Unavailable", (("Retry-After", "10"),))
        if sender is None:
            assert carrier is not None
            self._invite_from_outside(request, key, flow, carrier)
            return
        is_private = wants_privacy(request) or self.router.hides(dialled)
        party = self.router.party(sender, is_private=is_private)
        replaces = request.headers.get("Replaces")
        old = self._replaced(replaces) if replaces is not None else self._picked_up(party, dialled)
        if old is None:  # else it takes a place in a call that is up
            beginning = Beginning("INVITE", dialled, True, request.call_id)
            self.admission.check(beginning, party.device, self.settings.max_calls, self.stack.now)
        call = old[0] if old is not None else Call(self, self._new_id(), party, dialled)
        leg, content = self._accept(call, party, self.ringing.policy(sender), (request, key, flow))
        # From here on the call answers the INVITE, also when something fails.
        try:
            if old is not None:
                replace(call, old[1], leg, content)
                return
            self.admission.began(party.device, call.id)
            self._begin(call, leg, content, self.router.dialled(party, dialled), request)
        except (PeerError, MediaError, UsageError) as error:
            leg.broke(error)

    def _invite_from_outside(
        self, request: Request, key: TransactionKey, flow: Flow, carrier: TrunkSender
    ) -> None:
        """A trunk, or a gateway, brings a call."""
        if request.headers.get("Replaces") is not None:
            raise PeerError(403, "Forbidden")
        numbers = called_number(request, carrier.to)
        # Only who is ours calls for help: no limit is passed by a number that is none of the office's.
        dialled = numbers[0] if numbers else ""
        beginning = Beginning("INVITE", dialled if carrier.is_gateway else "", True, request.call_id)
        self.admission.check(beginning, "", self.settings.max_calls, self.stack.now)
        if self.trunks.is_full(carrier.name, self.ringing.calls_over(carrier.name)):
            raise Refusal(503, "Service Unavailable", (("Retry-After", "10"),))
        party = self._outside_party(request, carrier)
        number = dialled
        if carrier.is_gateway:
            decision: DialDecision = self.router.dialled(party, dialled)
            number = ""
        else:
            decision, number = self.router.arrived(party, numbers)
        call = Call(self, self._new_id(), party, number or dialled)
        call.record.number = number
        policy: SrtpPolicy = "off" if self.settings.srtp == "off" else "optional"
        leg, content = self._accept(call, party, policy, (request, key, flow))
        leg.credentials = self.trunks.credentials(carrier.name, carrier.kind)
        try:
            self._begin(call, leg, content, decision, request)
        except (PeerError, MediaError, UsageError) as error:
            leg.broke(error)

    def _accept(
        self, call: Call, party: Party, policy: SrtpPolicy, received: tuple[Request, TransactionKey, Flow]
    ) -> tuple[Leg, Content | None]:
        name = call.next_name()
        leg = Leg(self.stack, call, name, party, self.ringing.media(call.id, name, received[2], policy))
        return leg, leg.accept(*received)

    def _begin(
        self, call: Call, leg: Leg, content: Content | None, decision: DialDecision, request: Request
    ) -> None:
        self.calls[call.id] = call
        call.add(leg)
        caller, callee = leg.party.key, call.record.callee
        self.note("call {call}: {caller} dials {callee}", call=call.id, caller=caller, callee=callee)
        kept = kept_headers(request, is_outside=leg.party.is_outside)
        start(call, leg, content, decision, kept)

    def _outside_party(self, request: Request, carrier: TrunkSender) -> Party:
        """Who calls from outside; nobody's name is `anonymous`."""
        if carrier.is_gateway:
            return self.router.behind(carrier.name)
        calling = calling_number(request)
        number = to_e164(calling.number, self.office.settings.country) or calling.number
        if self.office.target(number) is not None:  # it would be shown, and called back, as one of ours
            number = ""
        return Party(
            number or "anonymous",
            calling.name,
            is_private=calling.is_private or not number,
            number=number,
            trunk=carrier.name,
        )

    def _replaced(self, value: str) -> tuple[Call, Leg]:
        replaces = parse_replaces(value)
        leg = self.leg_with(value, None)
        if leg is None or not isinstance(leg.user, Call):
            raise PeerError(481, "Call/Transaction Does Not Exist")
        if replaces.is_early_only and leg.state != CALLING:
            raise PeerError(486, "Busy Here")
        return leg.user, leg

    def party(self, sender: Sender) -> Party:
        """Who is behind a phone."""
        return self.router.party(sender)

    def shown_caller(self, caller: Party, decision: Ring) -> Party:
        """Who calls, for the phones that a decision rings."""
        extension = self.office.extension(decision.shown_key) if decision.shown_key else None
        return caller if extension is None else Party(extension.key, extension.label)

    def _picked_up(self, party: Party, dialled: str) -> tuple[Call, Leg] | None:
        """The leg that rings with the extension whose call somebody wants, by `**` and its key or by `*8`."""
        if not dialled.startswith(("*", "#")):
            return None
        decision: DialDecision | None = decide_feature(self.office, dialled)
        if not isinstance(decision, Serve) or not decision.service.startswith("pick up"):
            return None
        decision = self.router.dialled(party, dialled)
        if not isinstance(decision, Serve):  # nobody is logged in at this phone, say
            return None
        keys = {decision.argument}
        if decision.service == "pick up in group":
            groups = [group.members for group in self.office.groups if party.key in group.members]
            keys = {key for members in groups for key in members} - {party.key}
        for call in self.calls.values():
            hunt = call.hunt
            if hunt is not None and hunt.origin.state == CALLING:
                for leg in hunt.legs:
                    if leg.party.key in keys and not leg.party.trunk:
                        return call, leg
        return None

    def _message(self, request: Request, key: TransactionKey, flow: Flow) -> None:
        """A message goes to every phone of the extension; the first to take it answers for all."""
        sender = self._gate.admit(request, flow, self.stack.now)
        party = self.router.party(sender, is_private=wants_privacy(request))
        decision = self.router.dialled(party, _user(request))
        if isinstance(decision, Reject):
            raise PeerError(decision.status, decision.reason)
        if not isinstance(decision, Ring):
            raise PeerError(404, "Nobody Reads Messages There")
        bindings = [b for name in decision.devices for b in self.location.bindings(name, self.stack.now)]
        if not bindings:
            raise PeerError(480, "Temporarily Unavailable")
        waiting = len(bindings)
        is_answered = False

        def answered(response: Response) -> None:
            nonlocal waiting, is_answered
            if response.status < 200 or is_answered:
                return
            waiting -= 1
            if response.status < 300 or not waiting:
                is_answered = True
                self.stack.respond(request, key, PRIVATE.get(response.status, response.status))

        for binding in bindings:
            passed = self.ringing.request_to(binding, "MESSAGE", party, _user(request), request)
            for name in ("Content-Type", "Content-Language", "Date", "Subject"):
                for value in request.headers.get_all(name):
                    passed.headers.add(name, value)
            passed.body = request.body
            self.stack.send(passed, hop(binding), answered)

    # --- what a call asks for ------------------------------------------------------------------------------

    def redirect(self, hunt: Hunt, leg: Leg, response: Response) -> Ring | Reject | None:
        """Whom a 3xx of a phone names, if he has not been tried in this hunt, or why he is not rung."""
        refusal = None
        for contact in response.contacts:
            uri = contact.uri
            if not isinstance(uri, SipUri) or not uri.user or uri.user in hunt.tried or leg.party.is_outside:
                continue
            if not self.is_ours(uri.host):
                continue
            is_forwarded = hunt.key not in ("", leg.party.key) or leg in hunt.sent_on
            decision = self.router.redirected(
                leg.party, hunt.origin.party, uri.user, is_forwarded=is_forwarded
            )
            if isinstance(decision, Ring):
                hunt.tried.add(uri.user)
                return decision
            refusal = decision
        return refusal

    def leg_with(self, replaces: str, party: Party | None) -> Leg | None:
        """The leg whose dialog a Replaces header names (RFC 3891 §3), if it is one of `party`'s extension."""
        parsed = parse_replaces(replaces)
        leg = self.stack.dialogs.get(DialogId(parsed.call_id, parsed.to_tag, parsed.from_tag))
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
            if is_known or self.trunks.sends(leg.party.trunk or leg.party.gateway, flow):
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
        """Keep the call until its last statistics are in, then write its record."""
        self.calls.pop(call.id, None)
        if self.tracer.is_on:
            self.tracer.ended(call, self.stack.now)
        open_endpoints = {name for name, (_, of) in self._closing.items() if of == call.id}
        open_endpoints |= {name for name in self._endpoints if name.startswith(f"{call.id}.")}
        self.note("call {call} ended: {why}", call=call.id, why=call.record.why)
        if open_endpoints:
            self._records[call.id] = (call, open_endpoints)
        else:
            self.stack.out.append(WriteRecord(call.record))

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

    # --- endpoints -----------------------------------------------------------------------------------------

    def time(self) -> float:
        return self.stack.now

    def order(self, order: Any) -> None:
        self.stack.out.append(order)

    def endpoint_opened(self, endpoint: str, media: LegMedia, rtp_port: int) -> None:
        self._endpoints[endpoint] = (media, rtp_port)

    def endpoint_closed(self, endpoint: str) -> None:
        _, port = self._endpoints.pop(endpoint)
        self._closing[endpoint] = (port, endpoint.split(".", 1)[0])

    def _endpoint_gone(self, endpoint: str, event: EndpointClosed | None) -> None:
        """The worker has closed it: its ports rest, its numbers go to the call's record."""
        known = self._closing.pop(endpoint, None)
        if known is None:
            return
        port, call_id = known
        self.ports.free(port, self.stack.now)
        waiting = self._records.get(call_id)
        call = waiting[0] if waiting is not None else self.calls.get(call_id)
        if call is not None and event is not None:
            call.keep_statistics(endpoint, event.stats)
        self._settle_record(call_id, endpoint)

    def _settle_record(self, call_id: str, endpoint: str) -> None:
        """One endpoint less to wait for."""
        waiting = self._records.get(call_id)
        if waiting is None:
            return
        waiting[1].discard(endpoint)
        if not waiting[1]:
            del self._records[call_id]
            self.stack.out.append(WriteRecord(waiting[0].record))

    def _endpoint_failed(self, event: EndpointFailed) -> None:
        if event.endpoint in self._closing:
            self._endpoint_gone(event.endpoint, None)
            return
        found = self._leg_of(event.endpoint)
        known = self._endpoints.get(event.endpoint)
        if known is None:
            return
        self.note("endpoint {endpoint} failed: {why}", endpoint=event.endpoint, why=event.why)
        media, port = known
        media.forget(event.endpoint)
        del self._endpoints[event.endpoint]
        self.ports.quarantine(port, self.stack.now)
        self._settle_record(event.endpoint.split(".", 1)[0], event.endpoint)
        if found is not None:
            reason = (("Reason", 'SIP;cause=503;text="Media failure"'),)
            found[0].end(f"no media: {event.why}", 503, reason)

    def _leg_of(self, endpoint: str) -> tuple[Call, Leg] | None:
        known = self._endpoints.get(endpoint)
        if known is None:
            return None
        call = self.calls.get(endpoint.split(".", 1)[0])
        # A leg that went over to another call while it rang keeps its endpoints' names until it is answered.
        calls = (call,) if call is not None else tuple(self.calls.values())
        return next(((call, leg) for call in calls for leg in call.legs if leg.media is known[0]), None)

    # --- inside --------------------------------------------------------------------------------------------

    def _places(self, username: str) -> set[tuple[str, Flow]]:
        """Where a device can be reached."""
        return {(each.contact, each.flow) for each in self.location.bindings(username, self.stack.now)}

    def _unbound(self, usernames: Iterable[str], why: str) -> None:
        for username in usernames:
            self.stack.out.append(SaveBindings(username))
            self.note("{user} unregistered: {why}", user=username, why=why)

    def _new_id(self) -> str:
        return self.entropy.token()


def _user(request: Request) -> str:
    uri = parse_uri(request.uri)
    return (uri.user or "") if isinstance(uri, SipUri) else ""


def _debugged(office: Office) -> list[str]:
    """The keys of the extensions whose calls are traced."""
    return [extension.key for extension in office.extensions if extension.debug]


def _login(device: Device) -> tuple[str, bool]:
    return device.ha1_sha256, device.tls
