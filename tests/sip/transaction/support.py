"""Messages, flows and the player for the tables of this folder."""

from pbx.sip.flow import Flow
from pbx.sip.headers import Headers
from pbx.sip.message import Request, Response, make_response

UDP = Flow("UDP", ("127.0.0.1", 5062), ("127.0.0.2", 5060))
TCP = Flow("TCP", ("127.0.0.1", 5062), ("127.0.0.2", 5060))
VIA = "SIP/2.0/UDP 127.0.0.1:5062;branch=z9hG4bKone"


def make_request(
    method: str = "INVITE",
    via: str = VIA,
    *,
    uri: str = "sip:bob@127.0.0.2",
    to: str = "<sip:bob@127.0.0.2>",
    from_: str = "<sip:ann@127.0.0.1>;tag=ann",
    call_id: str = "call@127.0.0.1",
    cseq: int = 1,
    extra: tuple[tuple[str, str], ...] = (),
) -> Request:
    headers = [("Via", via), ("Max-Forwards", "70"), ("From", from_), ("To", to), ("Call-ID", call_id)]
    return Request(method, uri, Headers([*headers, ("CSeq", f"{cseq} {method}"), *extra]), b"")


def answer(request: Request, status: int, to_tag: str | None = "bob") -> Response:
    return make_response(request, status, to_tag=to_tag if status > 100 else None)


def play(machine, script):
    """Call each (time, method, *arguments) of `script`; ("run") fires every timer that is due until then.

    Returns:
        What came out, as (time, effect).
    """
    told = []
    for now, name, *arguments in script:
        if name != "run":
            told += [(now, effect) for effect in getattr(machine, name)(*arguments, now)]
            continue
        while machine.deadline is not None and machine.deadline <= now:
            when = machine.deadline
            told += [(when, effect) for effect in machine.expire(when)]
    return told


def walk(make, state, enter, kind, given, table):
    """Bring a machine into `state` by the script `enter`, give it `kind`, compare with the figure's `table`.

    Returns:
        The effects, for a look at them.
    """
    machine = make()
    play(machine, enter)
    assert machine.state is state
    before = machine.deadline
    effects = machine._step(kind, 100.0, given)
    if kind in table[state]:
        assert machine.state is table[state][kind]
    else:
        assert machine.state is state
        assert machine.deadline == before
    return effects
