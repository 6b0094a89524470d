"""What becomes of a call that nobody answered (product §2, step 6)."""

from typing import Final

from pbx.office.extension import Extension
from pbx.office.snapshot import Office
from pbx.rules.decision import Decision, Reject, TakeMessage
from pbx.rules.facts import Caller, World
from pbx.rules.opinions import after, changed
from pbx.rules.reach import Reaching, away, busy, forward_outside, passed_on

LOOPS: Final = frozenset({482, 483})  # the one refusal that is no rejection: nothing goes on from here
IN_TIME: Final = "nobody answered in time"
REASONS: Final = {480: "Temporarily Unavailable", 486: "Busy Here"}


def decide_no_answer(
    office: Office, world: World, caller: Caller, key: str, status: int, why: str, *, has_next: bool = False
) -> Decision:
    """The action of an extension's no-answer settings.

    Args:
        status, why: what came of ringing: 486 when all were busy, 480 when nobody was there.
        has_next: it is a step of a virtual line that has a next one.
    """
    extension = office.extension(key)
    if extension is None:
        return Reject(status, REASONS.get(status, ""), f"{why}; nobody has the key {key} any more")
    if has_next:
        return Reject(status, REASONS.get(status, ""), f"{why}; the line goes on with its next step")
    if extension.type != "normal":
        settings = f"{key} is a call centre's, which has no no-answer action"
        return Reject(status, REASONS.get(status, ""), f"{why}; {settings}")
    is_quiet = extension.incoming.do_not_disturb and not extension.incoming.gateway
    setting = f"no-answer action of {key} is {extension.no_answer.action}"
    match extension.no_answer.action:
        case "voicemail":
            return TakeMessage(key, f"voicemail of {key}", (why, setting))
        case "notify":
            noted = f"{setting}: the missed call is noted and mailed"
            return Reject(480, REASONS[480], noted, is_noted=True, because=(why,))
        case "forward" if is_quiet:
            return after((why, setting), busy(f"do not disturb of {key} is on, so nobody is forwarded"))
        case "forward":
            return after((why, setting), _forward(office, world, caller, extension))
        case _:
            hang_up = busy if is_quiet or status == 486 else away
            decision = hang_up(f"{setting}: the call ends")
    return changed(decision, because=(why,), state="busy" if status == 486 else None)


def _forward(office: Office, world: World, caller: Caller, extension: Extension) -> Decision:
    """The number outside rings as long as it may, and then the call ends; the extension pays."""
    call = Reaching(office, world, caller, extension)
    decision = passed_on(extension, forward_outside(call, extension.no_answer.forward_to, "forwarding"))
    if isinstance(decision, Reject):
        return after((*decision.because, decision.why), away("the call ends"))
    return decision
