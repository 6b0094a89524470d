"""Small builders of messages, as bytes, text or objects."""

import re

from pbx.sip.headers import Headers
from pbx.sip.message import REASONS, Request, Response

SDP = (
    b"v=0\r\no=- 3001 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
    b"m=audio 20000 RTP/AVP 8 0 101\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:0 PCMU/8000\r\n"
    b"a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\na=ptime:20\r\na=sendrecv\r\n"
)


def make_request(
    method: str = "OPTIONS",
    uri: str = "sip:101@pbx.local",
    *,
    from_: str = "<sip:100@pbx.local>;tag=caller",
    to: str = "<sip:101@pbx.local>",
    call_id: str = "call-1@127.0.0.1",
    cseq: int = 1,
    branch: str = "z9hG4bK-1",
    via: str | None = None,
    body: bytes = b"",
    **headers: str,
) -> Request:
    """A request; further headers as keywords, "_" for "-": `Max_Forwards="0"` replaces the 70 there is."""
    request = Request(
        method,
        uri,
        Headers(
            [
                ("Via", via or f"SIP/2.0/UDP 127.0.0.1:5070;branch={branch};rport"),
                ("Max-Forwards", "70"),
                ("From", from_),
                ("To", to),
                ("Call-ID", call_id),
                ("CSeq", f"{cseq} {method}"),
            ]
        ),
        body,
    )
    for name, value in headers.items():
        request.headers.set(name.replace("_", "-"), value)
    return request


def make_invite(body: bytes = SDP, **options: str | int) -> Request:
    """An INVITE with an offer and a Contact; options as for `make_request`."""
    options = {"Contact": "<sip:100@127.0.0.1:5070>", **options}
    if body:
        options = {"Content_Type": "application/sdp", **options}
    return make_request("INVITE", body=body, **options)


def make_register(contact: str | None = "<sip:100@127.0.0.1:5070>", **options: str | int) -> Request:
    """A REGISTER of account 100; `contact` None is a query."""
    if contact is not None:
        options = {"Contact": contact, **options}
    options = {"uri": "sip:pbx.local", "to": "<sip:100@pbx.local>", **options}
    return make_request("REGISTER", **options)


def make_answer(request: Request, status: int = 200, to_tag: str = "callee", **headers: str) -> Response:
    """What a phone would answer; further headers as keywords."""
    response = Response(status, REASONS.get(status, "Unknown"), Headers(), b"")
    for name in ("Via", "From", "To", "Call-ID", "CSeq"):
        for value in request.headers.get_all(name):
            response.headers.add(name, value)
    if status > 100 and ";tag=" not in (request.headers.get("To") or ""):
        response.headers.set("To", f"{request.headers.get('To')};tag={to_tag}")
    for name, value in headers.items():
        response.headers.add(name.replace("_", "-"), value)
    return response


def make_response_text(status: int = 200, reason: str = "OK", method: str = "INVITE", **headers: str) -> str:
    """A response to `make_request(method)` as text."""
    request = make_request(method)
    response = make_answer(request, status, **headers)
    response.reason = reason
    return response.render().decode()


def read_credentials(value: str) -> dict[str, str]:
    """The parameters of an Authorization of ours (RFC 7616 §3.4), without quotes."""
    return {name: text.strip('"') for name, text in re.findall(r'(\w+)=("[^"]*"|[^",\s]+)', value)}
