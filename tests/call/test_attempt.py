"""What else is offered to a callee who takes nothing of it."""

from dataclasses import replace

import pytest

from pbx.call.attempt import Attempt
from pbx.call.own_media import modest
from pbx.sdp.content import make_content
from pbx.sip.flow import Flow
from pbx.sip.headers import Headers
from pbx.sip.message import Request

FEW = make_content((8,))
MANY = modest(FEW)
FIRST = Attempt(
    Request("INVITE", "sip:101@192.0.2.9", Headers(), b""),
    Flow("UDP", ("192.0.2.9", 5060), ("192.0.2.1", 5060)),
    behind_nat=False,
    content=FEW,
)
SECURE = replace(FIRST, srtp=True, has_toggled_srtp=True)

NEXT = {
    "488: the other profile": (FIRST, 488, True, SECURE),
    "488 to SRTP: in the clear": (
        replace(FIRST, srtp=True),
        488,
        True,
        replace(FIRST, srtp=False, has_toggled_srtp=True),
    ),
    "488 again: the first profile, with more codecs": (
        SECURE,
        488,
        True,
        replace(FIRST, content=MANY, has_toggled_srtp=True),
    ),
    "488 where the profile is fixed: more codecs": (FIRST, 488, False, replace(FIRST, content=MANY)),
    "606: more codecs": (FIRST, 606, True, replace(FIRST, content=MANY)),
    "all has been tried": (replace(SECURE, content=MANY), 488, True, None),
    "nothing was offered": (replace(FIRST, content=None), 606, True, None),
    "busy": (FIRST, 486, True, None),
}


@pytest.mark.parametrize(("last", "status", "may_toggle_srtp", "expected"), NEXT.values(), ids=NEXT)
def test_after_a_refusal(last, status, may_toggle_srtp, expected):
    assert MANY != FEW
    assert last.after_refusal(status, may_toggle_srtp=may_toggle_srtp) == expected
