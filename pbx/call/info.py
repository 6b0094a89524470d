"""Keys pressed, told by INFO as application/dtmf-relay or application/dtmf: no RFC, but many phones do it."""

from typing import Final

from pbx.rtp.telephone_event import DIGITS
from pbx.sip.message import Request

RELAY: Final = "application/dtmf-relay"
PLAIN: Final = "application/dtmf"
LONGEST: Final = 512
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
