"""SRTP with SDES: what each policy takes and gives, and when keys change."""

import pytest

from pbx.errors import UsageError
from pbx.sdp import errors
from pbx.sdp.content import hold, make_content
from pbx.sdp.crypto import SrtpKeys, parse_crypto
from pbx.sdp.errors import SdpError
from tests.sdp.builders import (
    PORT_A,
    PORT_B,
    PORT_C,
    attributes,
    audio,
    key,
    m_lines,
    sdp,
    side,
    stream,
    video,
)

CM80, CM32, GCM = "AES_CM_128_HMAC_SHA1_80", "AES_CM_128_HMAC_SHA1_32", "AEAD_AES_256_GCM"
GOOD, BROKEN = f"crypto:1 {CM80} {key()}", f"crypto:1 {CM80} inline:AAAA"
MKI, OPEN = f"crypto:1 {CM80} {key()}|1:4", f"crypto:1 {CM80} {key()} UNENCRYPTED_SRTP"

# profile, attributes -> by policy: "plain", "secure" or "no"
TAKEN = {
    "AVP": ("RTP/AVP", [], "plain", "plain", "no"),
    "AVPF": ("RTP/AVPF", [], "plain", "plain", "no"),
    "SAVP": ("RTP/SAVP", [GOOD], "no", "secure", "secure"),
    "SAVPF": ("RTP/SAVPF", [GOOD], "no", "secure", "secure"),
    "AVP with a key": ("RTP/AVP", [GOOD], "plain", "secure", "secure"),
    "AVP with a broken key": ("RTP/AVP", [BROKEN], "plain", "plain", "no"),
    "SAVP without a crypto attribute": ("RTP/SAVP", [], "no", "no", "no"),
    "SAVP with a broken key": ("RTP/SAVP", [BROKEN], "no", "no", "no"),
    "SAVP with an empty crypto attribute": ("RTP/SAVP", ["crypto"], "no", "no", "no"),
    "SAVP with an MKI": ("RTP/SAVP", [MKI], "no", "no", "no"),
    "SAVP without encryption": ("RTP/SAVP", [OPEN], "no", "no", "no"),
    "SAVP, the second key is good": (
        "RTP/SAVP",
        [BROKEN, GOOD.replace(":1", ":2")],
        "no",
        "secure",
        "secure",
    ),
}
POLICIES = ("off", "optional", "required")
MATRIX = [
    pytest.param(policy, profile, crypto, outcome, id=f"{name}, {policy}: {outcome}")
    for name, (profile, crypto, *outcomes) in TAKEN.items()
    for policy, outcome in zip(POLICIES, outcomes, strict=True)
]


@pytest.mark.parametrize(("policy", "profile", "crypto", "outcome"), MATRIX)
def test_offers_by_policy(policy, profile, crypto, outcome):
    a = side(policy)
    body = sdp(*audio("8", *crypto, protocol=profile))
    if outcome == "no":
        with pytest.raises(SdpError) as refused:
            a.receive_offer(body)
        assert (refused.value.status, refused.value.code) == (488, errors.INCOMPATIBLE_TRANSPORT)
        return
    a.receive_offer(body)
    answered = a.make_answer(make_content(), [PORT_A])
    assert m_lines(answered) == [f"audio {PORT_A.rtp_port} {profile} 8"]
    ours = [each for each in attributes(answered) if each.startswith("crypto:")]
    assert len(ours) == (outcome == "secure")
    assert (stream(a).srtp is not None) == (outcome == "secure")


def test_an_insecure_line_beside_a_secure_one_is_refused_alone():
    a = side("required")
    content = a.receive_offer(sdp(*audio("8", GOOD, protocol="RTP/SAVP"), *video()))
    assert [line.rejected for line in content.lines] == [False, True]


def test_the_answer_echoes_the_tag_with_our_key():
    a = side()
    offer = sdp(*audio("8", f"crypto:7 {GCM} {key(GCM)}", f"crypto:8 {CM80} {key()}", protocol="RTP/SAVP"))
    a.receive_offer(offer)
    said = next(
        each for each in attributes(a.make_answer(make_content(), [PORT_A])) if each.startswith("crypto")
    )
    ours = parse_crypto(said.removeprefix("crypto:"))
    assert (ours.tag, ours.suite) == (7, GCM)
    assert stream(a).srtp == SrtpKeys(GCM, ours.key, b"k" * 44)


# policy, asked -> the profile we offer, or None for a misuse
OFFERED = {
    "optional": ("optional", None, "RTP/AVP"),
    "optional, asked": ("optional", True, "RTP/SAVP"),
    "required": ("required", None, "RTP/SAVP"),
    "required, asked": ("required", True, "RTP/SAVP"),
    "required, against it": ("required", False, None),
    "off": ("off", None, "RTP/AVP"),
    "off, against it": ("off", True, None),
}


@pytest.mark.parametrize(("policy", "asked", "profile"), OFFERED.values(), ids=OFFERED)
def test_offers_of_ours(policy, asked, profile):
    b = side(policy)
    if profile is None:
        with pytest.raises(UsageError):
            b.make_offer(make_content(), [PORT_B], srtp=asked)
        assert b.state == "stable"
        return
    offered = b.make_offer(make_content(), [PORT_B], srtp=asked)
    assert m_lines(offered) == [f"audio {PORT_B.rtp_port} {profile} 8 0 101"]
    keys = [each for each in attributes(offered) if each.startswith("crypto:")]
    assert len(keys) == (5 if profile == "RTP/SAVP" else 0)


ANSWERS = {
    "our first": ("RTP/SAVP", f"crypto:1 {CM80} {key()}", CM80),
    "our second": ("RTP/SAVP", f"crypto:2 {CM32} {key()}", CM32),
    "a session parameter that we may ignore": ("RTP/SAVP", f"{GOOD} WSH=64", CM80),
    "the profile of plain RTP, but with a key": ("RTP/AVP", GOOD, CM80),
    "no key": ("RTP/SAVP", "x", None),
    "a broken key": ("RTP/SAVP", BROKEN, None),
    "a suite that we did not offer under that tag": ("RTP/SAVP", f"crypto:1 {CM32} {key()}", None),
    "a tag that we did not offer": ("RTP/SAVP", f"crypto:9 {CM80} {key()}", None),
    "plain RTP": ("RTP/AVP", "x", None),
}


@pytest.mark.parametrize(("profile", "crypto", "suite"), ANSWERS.values(), ids=ANSWERS)
def test_answers_to_a_secure_offer(profile, crypto, suite):
    b = side("required", suites=(CM80, CM32))
    b.make_offer(make_content(), [PORT_B])
    answer = sdp(*audio("8", crypto, protocol=profile))
    if suite is None:
        with pytest.raises(SdpError):
            b.receive_answer(answer)
        assert b.streams() == ()
        return
    b.receive_answer(answer)
    assert stream(b).srtp.suite == suite
    assert stream(b).srtp.remote == b"k" * 30


def test_plain_on_one_leg_and_secure_on_the_other():
    a, b = side("optional"), side("required", 2)
    b.make_offer(a.receive_offer(sdp(*audio("8"))), [PORT_B])
    answered = a.make_answer(b.receive_answer(sdp(*audio("8", GOOD, protocol="RTP/SAVP"))), [PORT_A])
    assert m_lines(answered) == [f"audio {PORT_A.rtp_port} RTP/AVP 8"]
    assert "crypto" not in answered.decode()
    assert stream(a).srtp is None
    assert stream(b).srtp is not None


def secure_b(seed: int = 2):
    b = side("optional", seed)
    b.make_offer(make_content(), [PORT_B], srtp=True)
    b.receive_answer(sdp(*audio("8", f"crypto:2 {CM32} {key()}", protocol="RTP/SAVP")))
    return b


class TestKeysInForce:
    """RFC 4568 §7.1.4: what does not change is not offered anew."""

    def test_a_later_offer_repeats_the_chosen_key_alone(self):
        b = secure_b()
        before = stream(b).srtp
        offered = b.make_offer(hold(make_content()), [PORT_B])
        (said,) = [each for each in attributes(offered) if each.startswith("crypto:")]
        assert parse_crypto(said.removeprefix("crypto:")).key == before.local
        assert said.startswith(f"crypto:2 {CM32} ")
        b.receive_answer(sdp(*audio("8", f"crypto:2 {CM32} {key()}", protocol="RTP/SAVP")))
        assert stream(b).srtp == before

    def test_a_new_port_gets_new_keys(self):
        b = secure_b()
        before = stream(b).srtp
        offered = b.make_offer(make_content(), [PORT_C])
        keys = [each for each in attributes(offered) if each.startswith("crypto:")]
        assert len(keys) == 5
        assert before.local not in [parse_crypto(each.removeprefix("crypto:")).key for each in keys]

    def test_our_key_stays_when_the_peer_offers_again(self):
        b = secure_b()
        before = stream(b).srtp
        b.receive_offer(sdp(*audio("8", f"crypto:1 {CM32} {key()}", protocol="RTP/SAVP")))
        b.make_answer(make_content(), [PORT_B])
        assert stream(b).srtp == before

    def test_also_when_the_peer_changes_its_key(self):
        b = secure_b()
        before = stream(b).srtp
        b.receive_offer(sdp(*audio("8", f"crypto:1 {CM32} {key(letter=b'n')}", protocol="RTP/SAVP")))
        b.make_answer(make_content(), [PORT_B])
        assert stream(b).srtp == SrtpKeys(CM32, before.local, b"n" * 30)

    def test_but_not_with_another_suite(self):
        b = secure_b()
        before = stream(b).srtp
        b.receive_offer(sdp(*audio("8", GOOD, protocol="RTP/SAVP")))
        b.make_answer(make_content(), [PORT_B])
        assert stream(b).srtp.suite == CM80
        assert stream(b).srtp.local != before.local

    def test_nor_where_the_line_is_of_a_new_kind(self):
        b = secure_b()
        before = stream(b).srtp
        offer = sdp(*video("98", f"crypto:1 {CM32} {key()}", protocol="RTP/SAVP"))
        b.make_answer(b.receive_offer(offer), [PORT_B])
        assert stream(b).srtp.local != before.local

    def test_nor_on_a_new_port(self):
        b = secure_b()
        before = stream(b).srtp
        b.receive_offer(sdp(*audio("8", f"crypto:1 {CM32} {key()}", protocol="RTP/SAVP")))
        b.make_answer(make_content(), [PORT_C])
        assert stream(b).srtp.local != before.local

    def test_a_line_added_to_a_secure_session_is_secure(self):
        b = secure_b()
        content = side().receive_offer(sdp(*audio("8"), *video()))
        offered = b.make_offer(content, [PORT_B, PORT_C])
        assert [line.split()[2] for line in m_lines(offered)] == ["RTP/SAVP", "RTP/SAVP"]

    def test_a_session_can_be_made_secure_and_plain_again(self):
        b = secure_b()
        offered = b.make_offer(make_content(), [PORT_B], srtp=False)
        assert m_lines(offered) == [f"audio {PORT_B.rtp_port} RTP/AVP 8 0 101"]
        assert "crypto" not in offered.decode()
        b.receive_answer(sdp(*audio("8")))
        assert stream(b).srtp is None
        offered = b.make_offer(make_content(), [PORT_B], srtp=True)
        assert m_lines(offered) == [f"audio {PORT_B.rtp_port} RTP/SAVP 8 0 101"]

    def test_encrypted_avp_stays_what_it_is(self):
        a = side()
        a.receive_offer(sdp(*audio("8", GOOD)))
        a.make_answer(make_content(), [PORT_A])
        offered = a.make_offer(hold(make_content()), [PORT_A])
        assert m_lines(offered) == [f"audio {PORT_A.rtp_port} RTP/AVP 8 0 101"]
        assert sum(each.startswith("crypto:") for each in attributes(offered)) == 1


def test_no_key_is_shown_by_what_we_hand_out():
    b = secure_b()
    assert "kkk" not in repr(b.streams())
