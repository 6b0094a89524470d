"""What a caller's INVITE says besides goes on to the phone that it rings, but not what it hides."""

import pytest

from pbx.call.identity import kept_headers
from tests.support.messages import make_invite

SHOWN = {
    "who passed the call on": ("Diversion", "<sip:+6531112222@h>;reason=no-answer;counter=1;privacy=off"),
    "the same, without a word about privacy": ("Diversion", "<sip:+6531112222@h>;reason=unconditional"),
    "the way it came": ("History-Info", "<sip:1@h?Privacy=none>;index=1, <sip:2@h>;index=1.1;mp=1"),
    "an extension whose name is privacy": ("Diversion", '"privacy=full" <sip:100@h>;reason=unknown'),
}
HIDDEN = {
    "who passed it on": ("Diversion", '"Bo" <sip:+6531112222@h>;reason=unknown;counter=1;privacy=full'),
    "his number": ("Diversion", "<sip:+6531112222@h> ; Privacy = uri"),
    "his name": ("Diversion", '"Bo" <sip:+6531112222@h>;privacy="name"'),
    "one of two": ("Diversion", "<sip:1@h>;privacy=off, <sip:2@h>;privacy=full"),
    "a part of the way": ("History-Info", "<sip:1@h?Privacy=history>;index=1, <sip:2@h>;index=1.1;mp=1"),
    "it, among other headers": (
        "History-Info",
        "<sip:1@h?Reason=SIP%3Bcause%3D302&privacy=id%3BHistory>;index=1",
    ),
    "what cannot be read": ("Diversion", "<<"),
}


@pytest.mark.parametrize(("name", "value"), SHOWN.values(), ids=SHOWN)
def test_what_goes_on(name, value):
    assert kept_headers(make_invite(**{name.replace("-", "_"): value}), is_outside=True) == ((name, value),)


@pytest.mark.parametrize(("name", "value"), HIDDEN.values(), ids=HIDDEN)
def test_what_is_hidden(name, value):
    invite = make_invite(**{name.replace("-", "_"): value}, Subject="x")
    assert kept_headers(invite, is_outside=True) == (("Subject", "x"),)
