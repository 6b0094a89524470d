"""CPU of the transaction work of one B2BUA call: 13 messages, four transactions; parsing, rendering left out.

A-leg (server): INVITE, 100, 180, 200, ACK, BYE, 200. B-leg (client): INVITE, 180, 200, ACK, BYE, 200. The
layer's deadline is asked for after each message, as the driver does, and every transaction runs to its end.
"""

import gc
from contextlib import contextmanager
from time import process_time

from pbx.sip.flow import Flow
from pbx.sip.message import Request, Response, make_response
from pbx.sip.parser import parse_datagram, validate
from pbx.sip.transaction.layer import TransactionLayer
from pbx.sip.transaction.timers import Timers

CALLS = 40  # few enough to stay in the caches, as a message does that has just been parsed
ROUNDS = 100
PHONE = ("127.0.0.1", 5062)
SERVER = ("127.0.0.2", 5060)

REQUEST = """{method} sip:{to}@127.0.0.2 SIP/2.0\r
Via: SIP/2.0/{transport} 127.0.0.1:5062;branch=z9hG4bK{branch};rport\r
Max-Forwards: 70\r
From: "Ann Lee" <sip:100@127.0.0.2>;tag={tag}\r
To: <sip:{to}@127.0.0.2>{to_tag}\r
Call-ID: {call_id}\r
CSeq: {cseq} {method}\r
Contact: <sip:100@127.0.0.1:5062>\r
User-Agent: bench\r
Content-Length: 0\r
\r
"""


def make_request(method, call, transport, cseq, to_tag=""):
    text = REQUEST.format(
        method=method,
        transport=transport,
        branch=f"{call:x}{method.lower()}{cseq}",
        tag=f"t{call:x}",
        to="101",
        to_tag=to_tag,
        call_id=f"{call:x}@127.0.0.1",
        cseq=cseq,
    )
    return as_received(text.encode())


def as_received(data):
    message = parse_datagram(data)
    validate(message)
    return message


def answer(request, status, to_tag="bob"):
    return as_received(make_response(request, status, to_tag=to_tag).render())


def make_call(call, transport):
    """The messages of one call as the layer gets them, in order."""
    a, b = 2 * call, 2 * call + 1
    invite_a, ack_a = (make_request(method, a, transport, 1) for method in ("INVITE", "ACK"))
    bye_a = make_request("BYE", a, transport, 2, ";tag=bob")
    invite_b, bye_b = (
        make_request("INVITE", b, transport, 1),
        make_request("BYE", b, transport, 2, ";tag=bob"),
    )
    return (
        invite_a,
        answer(invite_a, 180),
        answer(invite_a, 200),
        ack_a,
        bye_a,
        answer(bye_a, 200),
        invite_b,
        answer(invite_b, 180),
        answer(invite_b, 200),
        bye_b,
        answer(bye_b, 200),
    )


def run_call(layer, messages, flow, now):
    invite_a, ringing_a, ok_a, ack_a, bye_a, bye_ok_a, invite_b, ringing_b, ok_b, bye_b, bye_ok_b = messages
    key_a = layer.receive(invite_a, flow, now)[-1].key
    _ = layer.deadline
    layer.send_request(invite_b, flow, now)
    _ = layer.deadline
    layer.receive(ringing_b, flow, now)
    _ = layer.deadline
    layer.respond(key_a, ringing_a, now)
    _ = layer.deadline
    layer.receive(ok_b, flow, now)
    _ = layer.deadline
    layer.respond(key_a, ok_a, now)
    _ = layer.deadline
    layer.receive(ack_a, flow, now)
    _ = layer.deadline
    key_a = layer.receive(bye_a, flow, now)[-1].key
    _ = layer.deadline
    layer.respond(key_a, bye_ok_a, now)
    _ = layer.deadline
    layer.send_request(bye_b, flow, now)
    _ = layer.deadline
    layer.receive(bye_ok_b, flow, now)
    _ = layer.deadline


def measure(transport):
    """Microseconds a call, the calls 20 ms apart."""
    flow = Flow(transport, PHONE, SERVER, transport != "UDP")
    calls = [make_call(number, transport) for number in range(CALLS)]
    with unrendered():
        return measure_calls(calls, flow)


def measure_calls(calls, flow):
    layer = TransactionLayer(Timers())
    gc.collect()
    began = process_time()
    now = 0.0
    for messages in calls:
        now += 0.02
        if layer.deadline is not None and layer.deadline <= now:
            layer.expire(now)
        run_call(layer, messages, flow, now)
    while layer.deadline is not None:
        layer.expire(layer.deadline)
    spent = process_time() - began
    assert len(layer) == 0
    return spent / CALLS * 1e6


@contextmanager
def unrendered():
    """Rendering costs nothing meanwhile: it is bench/parts/parse.py's matter."""
    real = Request.render, Response.render
    Request.render = Response.render = lambda _message: b""
    try:
        yield
    finally:
        Request.render, Response.render = real


def main():
    for transport in ("UDP", "TCP"):
        spent = sorted(measure(transport) for _ in range(ROUNDS))
        median = spent[ROUNDS // 2]
        print(f"13 messages of one call, {transport}   best {spent[0]:5.1f} µs, median {median:5.1f} µs")


if __name__ == "__main__":
    main()
