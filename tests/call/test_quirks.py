"""What particular phones cannot take."""

import pytest

from pbx.call.quirks import digest_algorithms, may_be_asked


@pytest.mark.parametrize(
    ("user_agent", "algorithms"),
    [
        ("baresip v1.0.0 (x86_64/linux)", ("MD5",)),
        ("baresip v3.10.1", ("SHA-256", "MD5")),
        ("Linphone-Desktop/5.1", ("SHA-256", "MD5")),
        ("Yealink SIP-T21P 34.72", ("MD5", "SHA-256")),
        ("", ("MD5", "SHA-256")),
    ],
)
def test_the_order_of_challenges_follows_the_phone(user_agent, algorithms):
    assert digest_algorithms(user_agent) == algorithms


@pytest.mark.parametrize(("user_agent", "asked"), [("Linphone/5", True), ("SIPp/Linux", False), ("", False)])
def test_who_is_asked_by_options(user_agent, asked):
    assert may_be_asked(user_agent) is asked
