"""The sentences that most tests begin with."""

from tests.phones.support.phone import CallState, Phone, PhoneCall

LISTEN_S = 1.5


def connect(caller: Phone, callee: Phone, number: str = "") -> tuple[PhoneCall, PhoneCall]:
    """`caller` dials `callee` (or `number`, where that one rings); both are in the call when it returns."""
    before = len(callee.calls)
    call = caller.dial(number or callee.account.username)
    try:
        answered = callee.wait_incoming(number=before)
    except AssertionError as nothing:
        raise AssertionError(
            f"{nothing}; the caller is {call.state.value}, {call.status} {call.reason}"
        ) from None
    caller.wait_established(call)
    callee.wait_established(answered)
    return call, answered


def hear_each_other(
    one: tuple[Phone, PhoneCall], other: tuple[Phone, PhoneCall], seconds: float = LISTEN_S
) -> None:
    """Both hear the other's tone from now on, clean, and neither hears himself."""
    starts = [phone.ear(call).seconds() for phone, call in (one, other)]
    for (phone, call), (peer, _), start in zip((one, other), (other, one), starts, strict=True):
        phone.ear(call).wait_clean(peer.tone, seconds, start)


def hang_up(one: tuple[Phone, PhoneCall], other: tuple[Phone, PhoneCall]) -> None:
    """`one` hangs up, and both are out of the call."""
    phone, call = one
    peer, its_call = other
    phone.hangup(call)
    phone.wait_state(call, CallState.ENDED)
    peer.wait_state(its_call, CallState.ENDED)


def talked_s(call: PhoneCall) -> float:
    """How long the phone was in a call that is over."""
    return call.since[CallState.ENDED] - call.since[CallState.ESTABLISHED]
