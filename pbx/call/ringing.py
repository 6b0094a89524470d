"""Makes the B-legs of a decision: one for each place of each phone, and one for each number outside."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, Protocol

from pbx.call.attempt import Attempt
from pbx.call.authentication import Sender
from pbx.call.effects import EmergencyDialled
from pbx.call.hunt import Hunt
from pbx.call.identity import assert_identity, from_value
from pbx.call.leg import Leg, LegUser
from pbx.call.leg_media import LegMedia, MediaHost
from pbx.call.outside import contact_user, make_invite, order_codecs
from pbx.call.own_media import with_digits
from pbx.call.party import Kind, OutsideLeg, Party
from pbx.call.routing import Router
from pbx.call.trunks import GIVE_UP_S, Trunks
from pbx.entropy import Entropy
from pbx.errors import MediaError
from pbx.office.snapshot import Office
from pbx.office.trunk import Trunk
from pbx.rules.decision import Outside, Ring
from pbx.sdp.content import Content
from pbx.sdp.offer_answer import SrtpPolicy
from pbx.sip.dialog import hop_to, next_hop
from pbx.sip.flow import Flow
from pbx.sip.headers import Extra, Headers
from pbx.sip.location import Binding, LocationService
from pbx.sip.message import Request, Response
from pbx.sip.stack import UNREACHABLE, SipStack

MAX_FORWARDS: Final = 70
MOST_ALIKE: Final = 5  # calls that ring one number at once for one extension


def is_passing(status: int) -> bool:
    """A carrier that answers so has not reached anybody: the next one is tried (product §3)."""
    return status == 408 or 500 <= status < 600


class RingingHost(Protocol):
    """The exchange."""

    office: Office
    domain: str
    entropy: Entropy
    has_to_see_keys: bool

    @property
    def calls(self) -> Mapping[str, Any]: ...
    def note(self, text: str, **fields: object) -> None: ...
    @property
    def endpoints(self) -> MediaHost: ...
    @property
    def router(self) -> Router: ...
    def order(self, order: Any) -> None: ...


class RingingCall(LegUser, Protocol):
    """The call."""

    id: str

    def next_name(self) -> str: ...
    def add(self, leg: Leg) -> None: ...
    def drop(self, leg: Leg, status: int = 0, why: str = "") -> None: ...
    def tell(self, sentence: str) -> None:
        """For the record of the call."""
        ...


class Ringing:
    """What rings for somebody, and the way there.

    Args:
        shown: the address of ours that a flow's peer sees.
    """

    def __init__(
        self,
        host: RingingHost,
        stack: SipStack,
        location: LocationService,
        trunks: Trunks,
        srtp: SrtpPolicy,
        shown: Callable[[Flow], tuple[str, int]],
    ) -> None:
        self._host, self._stack, self._location, self._trunks = host, stack, location, trunks
        self._srtp, self._shown = srtp, shown

    def ring(
        self, call: RingingCall, hunt: Hunt, decision: Ring, content: Content | None, extra: Extra
    ) -> None:
        """Ring everybody whom the decision names.

        Raises:
            MediaError: there is no port, and so nothing rings.
        """
        senders = [*self._senders(decision.devices)]
        extensions = {sender.extension.key for sender in senders}
        hunt.begin(decision.key, content, extra, is_shared=len(extensions) + len(decision.outside) > 1)
        offered = with_digits(content) if content is not None else None
        legs = [
            (self._phone_leg(call, hunt, binding, sender, decision.why), binding, sender)
            for sender in senders
            for binding in self.places(sender.device.username)
            if binding.flow.is_secure or not sender.device.tls
        ]
        failed = ""  # not the error itself: its traceback would keep this frame, and that the error
        for leg, binding, sender in legs:
            request = self._invite(hunt, binding, decision, sender)
            secure = self.policy(sender) == "required"
            try:
                leg.invite(Attempt(request, hop(binding), binding.behind_nat, offered, secure))
            except MediaError as error:
                failed = str(error)
                self._give_up(call, hunt, leg, failed)
        for outside in decision.outside:
            try:
                self._ring_outside(call, hunt, outside, decision.why)
            except MediaError as error:
                failed = str(error)
        if failed and not hunt.legs:
            raise MediaError(failed)

    def dial_next(self, call: RingingCall, hunt: Hunt, leg: Leg, response: Response) -> bool:
        """A carrier could not take the call: is another one trying now?"""
        if leg.outside is None or leg.outside.number.gateway or not is_passing(response.status):
            return False
        others = leg.outside.others
        following = f'next is "{others[0]}"' if others else "there is no other"
        call.tell(f'trunk "{leg.outside.way}" {_in_words(response)}: {following}')
        if not others:
            return False
        self._host.note(
            "call {call}: trunk {trunk} answers {status} {reason}: on to the next",
            call=call.id,
            trunk=leg.outside.way,
            status=response.status,
            reason=response.reason,
        )
        try:
            return self._dial(call, hunt, leg.outside.number, others, leg.because)
        except MediaError as error:
            self._host.note("call {call}: {why}", call=call.id, why=str(error))
            return False

    def heard(self, leg: Leg, response: Response) -> None:
        """A carrier has answered an INVITE; that the next one is tried at once depends on it."""
        if leg.outside is not None:
            self._trunks.answered(leg.outside.way, response, _kind(leg.outside.number))

    # --- phones --------------------------------------------------------------------------------------------

    def places(self, username: str) -> list[Binding]:
        """Where a device can be called.

        A Contact or Path that leads to a carrier, for which the phone is not, would let who registers it call
        any number there in the name of the office, whatever the rules say.
        """
        found = []
        for binding in self._location.bindings(username, self._stack.now):
            there = hop(binding).peer
            if there[0] != binding.flow.peer[0] and self._trunks.are_at(there):
                text = "{user} does not ring at {contact}: a trunk or gateway is at {address}"
                self._host.note(text, user=username, contact=binding.contact, address=there[0])
            else:
                found.append(binding)
        return found

    def _senders(self, usernames: Iterable[str]) -> Iterator[Sender]:
        for username in usernames:
            found = self._host.office.device(username)
            if found is not None:
                yield Sender(*found)

    def _phone_leg(self, call: RingingCall, hunt: Hunt, binding: Binding, sender: Sender, why: str) -> Leg:
        name = call.next_name()
        media = self.media(call.id, name, binding.flow, self.policy(sender))
        leg = Leg(self._stack, call, name, self._host.router.party(sender), media)
        leg.because = why
        call.add(leg)
        hunt.add(leg)
        return leg

    def _give_up(self, call: RingingCall, hunt: Hunt, leg: Leg, why: str) -> None:
        hunt.legs.remove(leg)
        leg.cancel()
        call.drop(leg, 503, why)

    def _invite(self, hunt: Hunt, binding: Binding, decision: Ring, sender: Sender) -> Request:
        shown = self._shown_caller(hunt.origin.party, decision.shown_to(sender.device.username))
        called = decision.key or decision.group or sender.extension.key
        extra = (*assert_identity(shown, self._host.domain), *hunt.extra)
        return self.request_to(binding, "INVITE", shown, called, hunt.origin.opening, extra)

    def _shown_caller(self, caller: Party, key: str) -> Party:
        """Who calls, for a phone that sees the extension `key` instead; "" = him who calls."""
        extension = self._host.office.extension(key) if key else None
        return caller if extension is None else Party(extension.key, extension.label)

    def request_to(
        self,
        binding: Binding,
        method: str,
        caller: Party,
        key: str,
        origin: Request | None,
        extra: Extra = (),
    ) -> Request:
        """A request outside of dialogs to one phone, on behalf of `caller`."""
        domain, entropy = self._host.domain, self._host.entropy
        headers = Headers(
            [
                ("Max-Forwards", str(forwards_after(origin))),
                *(("Route", route) for route in binding.path),
                ("From", f"{from_value(caller, domain)};tag={entropy.token()}"),
                ("To", f"<sip:{key}@{domain}>"),
                ("Call-ID", f"{entropy.token()}{entropy.token()}"),
                ("CSeq", f"{1 + entropy.below(2**15)} {method}"),
                *extra,
            ]
        )
        return Request(method, binding.contact, headers, b"")

    # --- outside -------------------------------------------------------------------------------------------

    def _ring_outside(self, call: RingingCall, hunt: Hunt, number: Outside, why: str) -> None:
        hunt.is_outside = True
        if self._goes_round(number):
            text = "call {call}: {number} is rung for {key} {count} times already: calls go round in circles"
            self._host.note(text, call=call.id, number=number.number, key=number.payer, count=MOST_ALIKE)
            hunt.unreached = 482
            return
        if number.is_emergency:
            self._tell_staff(hunt.origin.party, number)
        self._dial(call, hunt, number, self._ways(call, number), why)

    def _tell_staff(self, party: Party, number: Outside) -> None:
        """Of an emergency call, by the extension whose phone it is, whoever is logged in there."""
        found = self._host.office.device(party.device)
        key = found[0].key if found is not None else party.key
        self._host.order(EmergencyDialled(key, party.device, number.number, number.shown.number))

    def _dial(self, call: RingingCall, hunt: Hunt, number: Outside, ways: Sequence[str], why: str) -> bool:
        """Call a number by the first of these ways that can be used now; False: there is none."""
        for at, way in enumerate(ways):
            leg = self._outside_leg(call, number, way, tuple(ways[at + 1 :]))
            if leg is not None:
                leg.because = why
                call.add(leg)
                hunt.add(leg)
                self._invite_outside(call, hunt, leg, number)
                return True
        hunt.unreached = 503
        return False

    def _outside_leg(
        self, call: RingingCall, number: Outside, way: str, others: tuple[str, ...]
    ) -> Leg | None:
        kind = _kind(number)
        flows = self._trunks.flows(way, kind)
        may_be_full = kind == "trunk" and not number.is_emergency
        if not flows or (may_be_full and self._trunks.is_full(way, self.calls_over(way))):
            why = "it is full" if flows else "where it is is not known"
            self._host.note("call {call}: not over {way}: {why}", call=call.id, way=way, why=why)
            call.tell(f'{kind} "{way}" is passed over: {why}')
            return None
        name = call.next_name()
        media = self.media(call.id, name, flows[0], self.carrier_policy)
        names = ("", way) if number.gateway else (way, "")
        party = Party(number.number, number=number.number, trunk=names[0], gateway=names[1])
        leg = Leg(self._stack, call, name, party, media)
        leg.outside = OutsideLeg(number, way, others)
        leg.credentials = self._trunks.credentials(way, kind)
        return leg

    def _invite_outside(self, call: RingingCall, hunt: Hunt, leg: Leg, number: Outside) -> None:
        assert leg.outside is not None
        office, way, origin = self._host.office, leg.outside.way, hunt.origin.opening
        to = office.gateway(way) if number.gateway else office.trunk(way)
        assert to is not None  # its flows are known
        content = hunt.content
        if content is not None and isinstance(to, Trunk):
            content = order_codecs(content, to.codecs)
        leg.contact_user = contact_user(to, number.shown)
        hops = origin.max_forwards if origin is not None else None
        request = make_invite(to, number, self._host.domain, self._host.entropy, hops)
        flows = self._trunks.flows(way, _kind(number))
        secure = flows[0].is_secure and self.carrier_policy != "off"
        try:
            leg.invite(Attempt(request, flows[0], False, content, secure, flows[1:], GIVE_UP_S))
        except MediaError as error:
            self._give_up(call, hunt, leg, str(error))
            raise

    def _goes_round(self, number: Outside) -> bool:
        """Whether a number is rung for its payer so often that it must lead back to us.

        Max-Forwards ends only circles in which nobody makes calls anew, as carriers do. With a second trunk
        to try after each refusal, such a circle would be gone round twice as often with each turn.
        """
        if number.is_emergency or number.gateway:
            return False
        alike = (
            leg.outside is not None and (leg.outside.number.number, leg.outside.number.payer)
            for call in self._host.calls.values()
            for leg in call.legs
            if leg.is_calling
        )
        return sum(each == (number.number, number.payer) for each in alike) >= MOST_ALIKE

    def calls_over(self, trunk: str) -> int:
        """How many calls use a trunk."""
        return sum(leg.party.trunk == trunk for call in self._host.calls.values() for leg in call.legs)

    def _ways(self, call: RingingCall, number: Outside) -> Sequence[str]:
        if number.gateway:
            return (number.gateway,)
        usable = self._trunks.usable(number.trunks)
        for name in number.trunks:
            if name not in usable:
                call.tell(f'trunk "{name}" is passed over: it is down')
        return usable

    @property
    def carrier_policy(self) -> SrtpPolicy:
        """Carriers choose: what phones of the office have to speak is another matter."""
        return "off" if self._srtp == "off" else "optional"

    # --- media ---------------------------------------------------------------------------------------------

    def policy(self, sender: Sender) -> SrtpPolicy:
        """Whether a phone has to speak SRTP."""
        return "required" if sender.device.tls else self._srtp

    def media(self, call: str, name: str, flow: Flow, policy: SrtpPolicy) -> LegMedia:
        """The media of a new leg."""
        media = LegMedia(
            self._host.endpoints,
            call,
            f"{call}.{name}",
            bind=flow.local[0],
            shown=self._shown(flow)[0],
            policy=policy,
            source=flow.peer[0],
        )
        media.has_digits = self._host.has_to_see_keys
        return media


def _kind(number: Outside) -> Kind:
    """What it is called by."""
    return "gateway" if number.gateway else "trunk"


def _in_words(response: Response) -> str:
    """How a carrier failed, after its name."""
    if response.reason == UNREACHABLE:
        return "cannot be reached"
    if response.status == 408:
        return "gives no answer"
    return f"answers {response.status} {response.reason}".rstrip()


def hop(binding: Binding) -> Flow:
    """The way to a phone."""
    return hop_to(next_hop(binding.path, binding.contact), binding.flow, binding.behind_nat)


def forwards_after(origin: Request | None) -> int:
    """Max-Forwards of what is sent on behalf of `origin`."""
    hops = origin.max_forwards if origin is not None else None
    return (MAX_FORWARDS if hops is None else min(hops, MAX_FORWARDS)) - 1
