"""What reading and writing SIP messages costs, in microseconds of CPU, best of many runs: `make bench`."""

import json
from collections.abc import Callable
from time import process_time

from pbx.sip.fields import parse_name_addr, parse_via
from pbx.sip.headers import Headers
from pbx.sip.message import Request, make_response
from pbx.sip.parser import StreamParser, parse_datagram, validate

SDP = (
    b"v=0\r\no=- 3909216000 3909216000 IN IP4 192.0.2.4\r\ns=phone\r\nc=IN IP4 192.0.2.4\r\nt=0 0\r\n"
    b"m=audio 16000 RTP/AVP 9 8 0 101\r\na=rtcp:16001 IN IP4 192.0.2.4\r\na=rtpmap:9 G722/8000\r\n"
    b"a=rtpmap:8 PCMA/8000\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\n"
    b"a=fmtp:101 0-16\r\na=ptime:20\r\na=sendrecv\r\n"
)
HEADERS = [
    ("Via", "SIP/2.0/UDP 192.0.2.4:5060;rport;branch=z9hG4bKPj6d1c9f0a2b7e4583"),
    ("Max-Forwards", "70"),
    ("From", '"Alice Example" <sip:100@pbx.example.com>;tag=0f3b2a1c9d8e7f60'),
    ("To", "<sip:101@pbx.example.com>"),
    ("Contact", "<sip:100@192.0.2.4:5060;ob>"),
    ("Call-ID", "6b1f0c9d-2e3a-4f5b-8c7d-9e0f1a2b3c4d"),
    ("CSeq", "4711 INVITE"),
    ("Allow", "PRACK, INVITE, ACK, BYE, CANCEL, UPDATE, INFO, SUBSCRIBE, NOTIFY, REFER, MESSAGE, OPTIONS"),
    ("Supported", "replaces, 100rel, timer, norefersub"),
    ("Session-Expires", "1800"),
    ("Min-SE", "90"),
    ("User-Agent", "phone/1.0"),
    ("P-Asserted-Identity", "<sip:100@pbx.example.com>"),
    ("Content-Type", "application/sdp"),
    ("Content-Length", str(len(SDP))),
]


def best(action: Callable[[], object], count: int = 500, runs: int = 60) -> float:
    """Microseconds of one `action`."""

    def run() -> float:
        start = process_time()
        for _ in range(count):
            action()
        return process_time() - start

    return min(run() for _ in range(runs)) / count * 1e6


def main() -> None:
    invite = Request("INVITE", "sip:101@pbx.example.com", Headers(HEADERS), SDP)
    data = invite.render()
    request = parse_datagram(data)
    assert isinstance(request, Request)
    assert len(request.headers) == 15
    answer = make_response(request, 200, to_tag="9d8e7f600f3b2a1c")
    answer_data = answer.render()
    bye = Request(
        "BYE", "sip:101@192.0.2.5:5060", Headers([*HEADERS[:4], *HEADERS[5:6], ("CSeq", "4712 BYE")])
    )
    bye_data = bye.render()
    stream = StreamParser()

    def read_invite() -> None:
        message = parse_datagram(data)
        validate(message)

    figures = {
        f"INVITE of {len(data)} bytes: parse": best(lambda: parse_datagram(data)),
        "INVITE: render": best(invite.render),
        "INVITE: parse and validate": best(read_invite),
        "INVITE: parse from a stream": best(lambda: list(stream.feed(data))),
        "INVITE: build from 15 headers": best(lambda: Headers(HEADERS)),
        "200 OK: make": best(lambda: make_response(request, 200, to_tag="9d8e7f600f3b2a1c")),
        f"200 OK of {len(answer_data)} bytes: parse": best(lambda: parse_datagram(answer_data)),
        "200 OK: render": best(answer.render),
        f"BYE of {len(bye_data)} bytes: parse": best(lambda: parse_datagram(bye_data)),
        "Via": best(lambda: parse_via(HEADERS[0][1])),
        "From": best(lambda: parse_name_addr(HEADERS[2][1])),
    }
    print(json.dumps({name: round(value, 2) for name, value in figures.items()}, indent=2))


if __name__ == "__main__":
    main()
