"""Calls drawn as ladders."""

import pytest

from pbx.app import ladder
from pbx.app.ladder import describe, draw

INVITE = "INVITE sip:101@pbx.local SIP/2.0\r\nCSeq: 1 INVITE\r\n\r\nv=0\r\n"
RINGING = "SIP/2.0 180 Ringing\r\nCSeq: 1 INVITE\r\n\r\n"


def message(leg: str, text: str, is_sent: bool, at: float) -> dict[str, object]:
    port = {"A": 5061, "B1": 5062, "B2": 5063}[leg]
    where = {"peer": f"192.0.2.9:{port}", "local": "192.0.2.1:5060", "transport": "UDP"}
    return {"leg": leg, "text": text, "is_sent": is_sent, "at": 1000.0 + at, **where}


def test_a_call_to_two_phones(monkeypatch):
    monkeypatch.setattr(ladder, "GAP", 28)
    lines = draw(
        [
            message("A", INVITE, False, 0.0),
            message("B1", INVITE, True, 0.002),
            message("B2", INVITE, True, 0.002),
            message("B2", RINGING, False, 1.5),
            message("A", RINGING, True, 1.501),
        ]
    )
    assert "\n" + "\n".join(line[4:] for line in lines) + "\n" == (
        """
        A                           PBX                         B1                          B2
        192.0.2.9:5061 UDP          192.0.2.1:5060              192.0.2.9:5062 UDP          192.0.2.9:5063 UDP
+0.000  |---- INVITE 101 (SDP) ---->|                           |                           |
+0.002  |                           |---- INVITE 101 (SDP) ---->|                           |
+0.002  |                           |------------------ INVITE 101 (SDP) ------------------>|
+1.500  |                           |<--------------- 180 Ringing to INVITE ----------------|
+1.501  |<- 180 Ringing to INVITE --|                           |                           |
"""
    )


DESCRIBED = {
    "a request without a user": ("REGISTER sip:pbx.local SIP/2.0\r\n\r\n", "REGISTER"),
    "a request of another scheme": ("INVITE tel:+65 SIP/2.0\r\n\r\n", "INVITE"),
    "a request that is barely one": ("X", "X"),
    "a response": (RINGING, "180 Ringing to INVITE"),
    "what a terminal would obey": ("INVITE sip:\x1b[2J@x SIP/2.0\r\n\r\n", "INVITE \\x1b[2J"),
}


@pytest.mark.parametrize(("text", "expected"), DESCRIBED.values(), ids=DESCRIBED)
def test_described(text, expected):
    assert describe(text) == expected


def test_nothing():
    assert list(draw([])) == ["no messages are kept of this"]
