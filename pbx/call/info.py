"""INFO (RFC 6086) and MESSAGE (RFC 3428) from one leg to the other.

Keys pressed come by INFO as application/dtmf-relay or application/dtmf: no RFC, but many phones do it.
"""

from typing import Final

from pbx.call.leg import Leg
from pbx.rtp.telephone_event import DIGITS
from pbx.sip.message import Request, Response
from pbx.sip.stack import SipStack
from pbx.sip.transaction.key import TransactionKey

RELAY: Final = "application/dtmf-relay"
PLAIN: Final = "application/dtmf"
LONGEST: Final = 512
PASSED: Final = ("Content-Type", "Content-Disposition", "Info-Package")
_WORDS: Final = {"10": "*", "11": "#", "12": "A", "13": "B", "14": "C", "15": "D"}  # as event numbers, too


def digit_of(request: Request) -> str | None:
    """The key that an INFO tells of; None when it tells of none."""
    kind = (request.headers.get("Content-Type") or "").partition(";")[0].strip().lower()
    if kind not in (RELAY, PLAIN) or len(request.body) > LONGEST:
        return None
    text = request.body.decode("ascii", "replace").strip()
    if kind == RELAY:
        values = [line.partition("=")[2] for line in text.splitlines() if line.lower().startswith("signal")]
        text = values[0].strip() if values else ""
    text = _WORDS.get(text, text).upper()
    return text if len(text) == 1 and text in DIGITS else None


def pass_on(stack: SipStack, other: Leg, request: Request, key: TransactionKey) -> None:
    """Send the other side what was sent to us; how it answers goes back."""
    extra = tuple((name, value) for name in PASSED for value in request.headers.get_all(name))

    def answered(response: Response) -> None:
        if response.status >= 200:
            stack.respond(request, key, response.status, response.reason)

    other.send(other.make_request(request.method, extra, request.body), answered)
