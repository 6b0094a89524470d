"""INFO (RFC 6086) and MESSAGE (RFC 3428) from one leg to the other.

Keys pressed come by INFO as application/dtmf-relay or application/dtmf: no RFC, but many phones do it.
"""

from collections.abc import Callable
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
ACCEPT: Final = (("Accept", f"{RELAY}, {PLAIN}"),)
DIALOG_IS_GONE: Final = (408, 481)  # that of the other side, not the one that the request came by
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


def refuse(stack: SipStack, request: Request, key: TransactionKey) -> None:
    """There is nobody to pass it on to: the PBX itself takes keys only, and no package (RFC 6086 §4.2.2).

    Not by 481, which would end the dialog (RFC 5057 §5.1).
    """
    if request.method == "INFO" and "Info-Package" in request.headers:
        stack.respond(request, key, 469, extra=(("Recv-Info", ""),))
    elif request.method == "INFO" and (not request.body or digit_of(request) is not None):
        stack.respond(request, key, 200)
    else:
        stack.respond(request, key, 415, extra=ACCEPT if request.method == "INFO" else ())


def pass_on(
    stack: SipStack, other: Leg, request: Request, key: TransactionKey, done: Callable[[], None]
) -> None:
    """Send the other side what was sent to us; how it answers goes back, when it has `done` so."""
    extra = tuple((name, value) for name in PASSED for value in request.headers.get_all(name))

    def answered(response: Response) -> None:
        if response.status >= 200:
            done()
            is_gone = response.status in DIALOG_IS_GONE
            status, reason = (500, "") if is_gone else (response.status, response.reason)
            stack.respond(request, key, status, reason)
            if response.status == 481:  # §12.2.1.2; a phone that only knows no INFO may say nothing: 408
                other.lose(f"{request.method} answered 481")

    other.send(other.make_request(request.method, extra, request.body), answered)
