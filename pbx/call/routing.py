"""The rules' answers for parties of calls: who they are to the rules, and what becomes of what they dial."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from pbx.call.authentication import Sender
from pbx.call.leg import Leg
from pbx.call.party import Party
from pbx.call.world import CurrentWorld
from pbx.office.snapshot import Office
from pbx.rules.decision import AskPasscode, AskPin, Decision, DialDecision, Reject, Ring, Serve
from pbx.rules.dialled import decide_dialled, own_number, without_code
from pbx.rules.facts import Caller
from pbx.rules.features import PERSONAL
from pbx.rules.hot_desk import caller_of, is_logged_out
from pbx.rules.inbound import decide_inbound, decide_number
from pbx.rules.no_answer import decide_no_answer
from pbx.rules.outbound import decide_opened, decide_outside
from pbx.rules.redirect import decide_redirect


class Router:
    """What becomes of a call, now."""

    def __init__(self, office: Callable[[], Office], world: CurrentWorld) -> None:
        self._office, self._world = office, world

    def since(self, began_s: float) -> "Router":
        """The same for a call that began so many seconds ago."""
        return Router(self._office, self._world.since(began_s))

    def party(self, sender: Sender, *, is_private: bool = False) -> Party:
        """Who is behind a phone: its extension, or that of the member who is logged in there."""
        caller = caller_of(self._office(), self._world, sender.extension, sender.device)
        return Party(caller.key, caller.name, caller.device, is_private, member=caller.member)

    def hides(self, dialled: str) -> bool:
        """Whether who dials this is not to be shown."""
        return without_code(self._office(), dialled)[1]

    def behind(self, gateway: str) -> Party:
        """Who calls through a gateway: the first extension that is mapped to it."""
        extension = self._office().extension_behind(gateway)
        key, label = (gateway, "") if extension is None else (extension.key, extension.label)
        return Party(key, label, gateway=gateway)

    def visitor(self, party: Party, member: str) -> Party:
        """The party at a phone for one call of `member`, who has given his PIN."""
        extension = self._office().extension_of(member)
        if extension is None:
            return party
        return replace(party, key=extension.key, label=extension.label, member=member)

    def dialled(self, party: Party, dialled: str) -> DialDecision:
        """What becomes of what a phone or a gateway dials."""
        return decide_dialled(self._office(), self._world, caller(party), dialled)

    def opened(self, asked: AskPasscode) -> Ring | Reject:
        """What becomes of a call whose passcode was given."""
        return decide_opened(self._office(), self._world, asked)

    def called(self, party: Party, key: str) -> Decision:
        """What becomes of a call from anybody to a key."""
        return decide_inbound(self._office(), self._world, caller(party), key)

    def arrived(self, party: Party, numbers: Sequence[str]) -> tuple[Decision, str]:
        """What becomes of a call from outside, and to which number of ours it is.

        Args:
            numbers: what it may be to, the likeliest first.
        """
        office, decision = self._office(), None
        for text in numbers:
            decision = decide_number(office, self._world, caller(party), text)
            if not isinstance(decision, Reject) or decision.status != 404:
                return decision, text
        return decision or Reject(404, "Not Found", "no number is called"), ""

    def transferred(self, by: Party, party: Party, dialled: str) -> Decision:
        """What becomes of somebody whom `by` transfers: inside he comes as himself, outside it pays."""
        office, world = self._office(), self._world
        if by.trunk:
            return Reject(403, "Forbidden", "who calls from outside may not transfer")
        dialler = caller(by)
        decision = decide_dialled(office, world, dialler, dialled)
        if isinstance(decision, Reject) and is_logged_out(office, dialler):
            return decision
        if isinstance(decision, Ring) and decision.outside and decision.outside[0].is_emergency:
            return decision
        if office.target(dialled) is not None:
            return decide_inbound(office, world, caller(party), dialled)
        if number := own_number(office, dialler, dialled):
            return decide_number(office, world, caller(party), number)
        if not isinstance(decision, Ring):
            return _untransferable(decision)
        if not decision.outside or decision.outside[0].gateway:
            return decision
        outside = decide_outside(
            office, world, by.key, decision.outside[0].number, caller(party), cause="transfer"
        )
        if isinstance(outside, Reject):
            return outside
        return replace(decision, outside=(outside,))

    def no_answer(self, party: Party, key: str, status: int, why: str) -> Decision:
        """What becomes of a call to the extension `key` that nobody answered."""
        return decide_no_answer(self._office(), self._world, caller(party), key, status, why)

    def redirected(self, by: Party, party: Party, target: str, *, is_forwarded: bool) -> Ring | Reject:
        """What becomes of a call of `party` that the phone `by` sends on to `target` (302).

        Args:
            is_forwarded: the phone rings in place of another extension's.
        """
        office, world = self._office(), self._world
        if is_logged_out(office, caller(by)):
            return Reject(403, "Forbidden", f"nobody is logged in at {by.device}, which sends the call on")
        return decide_redirect(office, world, caller(party), by.key, target, is_forwarded=is_forwarded)

    def recorded(self, leg: Leg) -> str:
        """The key of a leg's extension, if its calls of this direction are to be recorded; else ""."""
        extension = self._office().extension(leg.party.key) if leg.party.device else None
        if extension is None or extension.record == "off":
            return ""
        return (
            extension.key if extension.record in ("all", "outbound" if leg.is_caller else "inbound") else ""
        )


def caller(party: Party) -> Caller:
    """A party as the rules see it."""
    is_ours = bool(party.device or party.gateway)
    return Caller(
        key=party.key if is_ours else "",
        device=party.device,
        number=party.number,
        name=party.label,
        trunk=party.trunk,
        gateway=party.gateway,
        member=party.member,
        is_private=party.is_private,
    )


def _untransferable(decision: DialDecision) -> Decision:
    """Nobody can be asked for a code in the middle of a transfer by REFER; and what a phone does for itself,
    such as forwarding its calls, it does not let another one do."""
    if isinstance(decision, (AskPasscode, AskPin)):
        why = f"{decision.why}; it cannot be asked for in a transfer"
        return Reject(403, "Forbidden", why, because=decision.because)
    if isinstance(decision, Serve) and decision.service in PERSONAL:
        return Reject(403, "Forbidden", f"{decision.why}, for who dials it and nobody else")
    return decision
