"""INVITEs that open a dialog: from phones of the office, and from carriers and gateways (RFC 3261 §13.3)."""

from typing import Final, Protocol

from pbx.call.admission import Admission
from pbx.call.authentication import Gatekeeper
from pbx.call.call import Call
from pbx.call.call_host import CallHost
from pbx.call.dialling import start
from pbx.call.from_outside import TrunkSender, called_number, calling_number
from pbx.call.identity import called_user, kept_headers, wants_privacy
from pbx.call.leg import Leg
from pbx.call.party import Party
from pbx.call.replacement import picked_up, replace, replaced
from pbx.call.trunks import Trunks
from pbx.entropy import Entropy
from pbx.errors import MediaError, PeerError, UsageError
from pbx.office.snapshot import Office
from pbx.rules.decision import DialDecision
from pbx.rules.features import decide_feature
from pbx.rules.number import to_e164
from pbx.sdp.content import Content
from pbx.sdp.offer_answer import SrtpPolicy
from pbx.sip.flow import Flow
from pbx.sip.message import Request
from pbx.sip.refusal import Refusal
from pbx.sip.stateless import Beginning
from pbx.sip.transaction.key import TransactionKey

LONGEST_DIALLED: Final = 255  # characters: what the record of a call holds


class InvitesHost(CallHost, Protocol):
    """The exchange."""

    entropy: Entropy
    office: Office
    calls: dict[str, Call]
    admission: Admission
    trunks: Trunks
    is_stopping: bool


class Invites:
    """Makes calls of them, or refuses them."""

    def __init__(self, host: InvitesHost, gate: Gatekeeper) -> None:
        self._host, self._gate = host, gate

    def receive(self, request: Request, key: TransactionKey, flow: Flow) -> None:
        """An INVITE that opens a dialog.

        Raises:
            PeerError: it is refused; nothing has begun.
        """
        host = self._host
        carrier = host.trunks.recognise(request, flow)
        dialled = called_user(request)
        is_emergency = carrier is None and host.admission.is_emergency(dialled)
        sender = None
        if carrier is None:
            sender = self._gate.admit(request, flow, host.stack.now, is_emergency=is_emergency)
        if len(dialled) > LONGEST_DIALLED:
            raise PeerError(414, "Request-URI Too Long")
        if host.is_stopping:
            raise Refusal(503, "Service Unavailable", (("Retry-After", "10"),))
        if sender is None:
            assert carrier is not None
            self._receive_from_outside(request, key, flow, carrier)
            return
        is_private = wants_privacy(request) or host.router.hides(dialled)
        party = host.router.party(sender, is_private=is_private)
        replaces = request.headers.get("Replaces")
        old = replaced(host, replaces) if replaces is not None else picked_up(host, party, dialled)
        if old is None:  # else it takes a place in a call that is up
            beginning = Beginning("INVITE", dialled, True, request.call_id)
            host.admission.check(beginning, party.device, host.stack.now)
        call = old[0] if old is not None else Call(host, host.entropy.token(), party, dialled)
        leg, content = self._accept(call, party, host.ringing.policy(sender), (request, key, flow))
        # From here on the call answers the INVITE, also when something fails.
        try:
            if old is not None:
                replace(call, old[1], leg, content)
                return
            host.admission.began(party.device, call.id)
            self._begin(call, leg, content, host.router.dialled(party, dialled), request)
        except (PeerError, MediaError, UsageError) as error:
            leg.broke(error)

    def _receive_from_outside(
        self, request: Request, key: TransactionKey, flow: Flow, carrier: TrunkSender
    ) -> None:
        """A trunk, or a gateway, brings a call."""
        host = self._host
        if request.headers.get("Replaces") is not None:
            raise PeerError(403, "Forbidden")
        numbers = called_number(request, carrier.to)
        # Only who is ours calls for help: no limit is passed by a number that is none of the office's.
        dialled = numbers[0] if numbers else ""
        beginning = Beginning("INVITE", dialled if carrier.is_gateway else "", True, request.call_id)
        host.admission.check(beginning, "", host.stack.now)
        in_progress = 0 if carrier.is_gateway else host.ringing.calls_over(carrier.name)
        if host.trunks.is_full(carrier.name, in_progress):
            raise Refusal(503, "Service Unavailable", (("Retry-After", "10"),))
        party = self._outside_party(request, carrier)
        number = dialled
        if carrier.is_gateway:
            decision: DialDecision = host.router.dialled(party, dialled)
            number = ""
        else:
            decision, number = host.router.arrived(party, numbers)
        call = Call(host, host.entropy.token(), party, number or dialled)
        call.record.number = number
        leg, content = self._accept(call, party, host.ringing.carrier_policy, (request, key, flow))
        leg.credentials = host.trunks.credentials_of_caller(carrier)
        try:
            self._begin(call, leg, content, decision, request)
        except (PeerError, MediaError, UsageError) as error:
            leg.broke(error)

    def _accept(
        self, call: Call, party: Party, policy: SrtpPolicy, received: tuple[Request, TransactionKey, Flow]
    ) -> tuple[Leg, Content | None]:
        host = self._host
        name = call.next_name()
        leg = Leg(host.stack, call, name, party, host.ringing.media(call.id, name, received[2], policy))
        return leg, leg.accept(*received)

    def _begin(
        self, call: Call, leg: Leg, content: Content | None, decision: DialDecision, request: Request
    ) -> None:
        host = self._host
        host.calls[call.id] = call
        call.add(leg)
        caller, callee = leg.party.key, call.record.callee
        host.note("call {call}: {caller} dials {callee}", call=call.id, caller=caller, callee=callee)
        kept = kept_headers(request, is_outside=leg.party.is_outside)
        start(call, leg, content, decision, kept)

    def _outside_party(self, request: Request, carrier: TrunkSender) -> Party:
        """Who calls from outside; nobody's name is `anonymous`."""
        host = self._host
        if carrier.is_gateway:
            return host.router.behind(carrier.name)
        calling = calling_number(request)
        number = to_e164(calling.number, host.office.settings.country) or calling.number
        if host.office.target(number) is not None or decide_feature(host.office, number) is not None:
            number = ""  # it would be shown, and called back, as one of ours, or do what the code does
        return Party(
            number or "anonymous",
            calling.name,
            is_private=calling.is_private or not number,
            number=number,
            trunk=carrier.name,
        )
