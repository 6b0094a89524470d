"""Two phones hear each other through the server: each pair of programs, transport, codec, address family."""

import pytest

from tests.phones.conftest import Workshop
from tests.phones.support.phone import Answering, CallState, Transport
from tests.phones.support.server import PbxServer
from tests.phones.support.sound import speech, speech_match, write_wav
from tests.phones.support.talk import connect, hang_up, hear_each_other

PAIRS = [("baresip", "pjsua"), ("linphone", "pjsua"), ("baresip", "linphone")]
TRANSPORTS: list[Transport] = ["udp", "tcp", "tls"]
MIXED: list[tuple[str, Transport, str, Transport]] = [
    ("baresip", "udp", "pjsua", "tls"),
    ("pjsua", "tls", "baresip", "udp"),
    ("linphone", "tls", "pjsua", "tcp"),
    ("pjsua", "udp", "linphone", "tls"),
    ("baresip", "tls", "linphone", "udp"),
]


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize(("calling", "called"), PAIRS)
def test_both_hear_each_other(
    pbx: PbxServer, workshop: Workshop, calling: str, called: str, transport: Transport
):
    caller = workshop.registered(calling, pbx.account(transport))
    callee = workshop.registered(called, pbx.account(transport))
    call, answered = connect(caller, callee)
    hear_each_other((caller, call), (callee, answered))
    if transport == "tls" and "pjsua" in (calling, called):
        by_pjsua = call if calling == "pjsua" else answered
        assert by_pjsua.srtp == "SAVP"
    hang_up((caller, call), (callee, answered))


@pytest.mark.parametrize(("calling", "one", "called", "other"), MIXED)
def test_plain_and_encrypted_phones_hear_each_other(
    pbx: PbxServer, workshop: Workshop, calling: str, one: Transport, called: str, other: Transport
):
    """RTP on one side of the server, SRTP on the other."""
    caller = workshop.registered(calling, pbx.account(one))
    callee = workshop.registered(called, pbx.account(other))
    call, answered = connect(caller, callee)
    hear_each_other((caller, call), (callee, answered))
    hang_up((callee, answered), (caller, call))


@pytest.mark.parametrize("program", ["baresip", "pjsua", "linphone"])
@pytest.mark.parametrize("codec", ["PCMU", "PCMA", "G722"])
def test_a_codec_passes_through(pbx: PbxServer, workshop: Workshop, program: str, codec: str):
    caller = workshop.registered(program, pbx.account(codecs=(codec,)))
    callee = workshop.registered("pjsua", pbx.account(codecs=(codec,)))
    call, answered = connect(caller, callee)
    hear_each_other((caller, call), (callee, answered))
    assert answered.codec == codec
    hang_up((caller, call), (callee, answered))


def test_the_first_codec_that_both_have_is_used(pbx: PbxServer, workshop: Workshop):
    caller = workshop.registered("pjsua", pbx.account(codecs=("G722", "PCMU", "PCMA")))
    callee = workshop.registered("pjsua", pbx.account(codecs=("PCMA", "PCMU")))
    call, answered = connect(caller, callee)
    hear_each_other((caller, call), (callee, answered))
    assert call.codec == answered.codec
    assert call.codec in ("PCMU", "PCMA")
    hang_up((caller, call), (callee, answered))


def test_no_common_codec_is_488(pbx: PbxServer, workshop: Workshop):
    """The PBX translates between the codecs that it knows; GSM is none of them."""
    caller = workshop.registered("pjsua", pbx.account(codecs=("GSM",)))
    callee = workshop.registered("baresip", pbx.account(codecs=("G722",)))
    call = caller.dial(callee.account.username)
    assert caller.wait_ended(call) == 488


def test_speech_arrives_unchanged(pbx: PbxServer, workshop: Workshop, tmp_path):
    said, other = speech(1, 12, 16000), speech(2, 12, 16000)
    words = write_wav(tmp_path / "words.wav", said, 16000)
    caller = workshop.registered("pjsua", pbx.account(), microphone=words)
    callee = workshop.registered("pjsua", pbx.account())
    call, answered = connect(caller, callee)
    ear = callee.ear(answered)
    callee.wait_for("4 s of sound", lambda: ear.seconds() >= 4.0)
    hang_up((caller, call), (callee, answered))
    heard, rate = ear.heard(0.3)
    assert rate == 16000
    assert speech_match(heard, said, rate) > 0.5
    assert speech_match(heard, other, rate) < 0.3


@pytest.mark.parametrize(
    ("program", "suite"),
    [
        ("pjsua", "AES_CM_128_HMAC_SHA1_80"),
        ("pjsua", "AES_CM_128_HMAC_SHA1_32"),
        ("pjsua", "AES_256_CM_HMAC_SHA1_80"),
        ("linphone", "AES_256_CM_HMAC_SHA1_32"),
    ],
)
def test_a_cipher_suite_meets_another(pbx: PbxServer, workshop: Workshop, program: str, suite: str):
    """Each leg has a suite of its own (RFC 4568, 6188)."""
    caller = workshop.registered(program, pbx.account("tls"), suites=[suite])
    callee = workshop.registered("baresip", pbx.account("tls"))
    call, answered = connect(caller, callee)
    assert suite in caller.sent("INVITE ")[-1].body
    assert suite in caller.received("SIP/2.0 200")[-1].body
    hear_each_other((caller, call), (callee, answered), 0.8)
    hang_up((callee, answered), (caller, call))


def test_encryption_is_used_over_udp_when_both_offer_it(pbx: PbxServer, workshop: Workshop):
    """A phone may demand SRTP without TLS: the policy of the server is "optional"."""
    caller = workshop.registered("baresip", pbx.account(srtp="required"))
    callee = workshop.registered("pjsua", pbx.account(srtp="optional"))
    call, answered = connect(caller, callee)
    hear_each_other((caller, call), (callee, answered))
    hang_up((caller, call), (callee, answered))


@pytest.mark.parametrize(
    ("calling", "is_caller_v6", "called", "is_callee_v6"),
    [
        ("baresip", True, "baresip", True),
        ("baresip", True, "pjsua", False),
        ("pjsua", False, "baresip", True),
        ("linphone", True, "baresip", True),
    ],
)
def test_ipv6(
    pbx: PbxServer, workshop: Workshop, calling: str, is_caller_v6: bool, called: str, is_callee_v6: bool
):
    """IPv6 on both sides, and on one of them."""
    six = {"host": "::1", "server": pbx.address_v6, "domain": pbx.address_v6}
    caller = workshop.registered(calling, pbx.account(**(six if is_caller_v6 else {})))
    callee = workshop.registered(called, pbx.account(**(six if is_callee_v6 else {})))
    call, answered = connect(caller, callee)
    hear_each_other((caller, call), (callee, answered))
    hang_up((caller, call), (callee, answered))


@pytest.mark.parametrize("program", ["pjsua", "baresip"])
def test_early_media_is_heard_before_the_answer(pbx: PbxServer, workshop: Workshop, program: str):
    caller = workshop.registered(program, pbx.account())
    callee = workshop.registered("pjsua", pbx.account())
    callee.answering(Answering(183))
    call = caller.dial(callee.account.username)
    caller.wait_state(call, CallState.RINGING)
    caller.ear(call).wait_tone(callee.tone, 0.8)
    assert call.state is CallState.RINGING
    answered = callee.wait_incoming()
    callee.answer(answered)
    caller.wait_established(call)
    hear_each_other((caller, call), (callee, answered))
    hang_up((caller, call), (callee, answered))


def test_an_invite_without_an_offer(pbx: PbxServer, workshop: Workshop):
    """The 200 brings the offer, the ACK the answer (RFC 3261 §13.2.1)."""
    caller = workshop.registered("pjsua", pbx.account())
    callee = workshop.registered("baresip", pbx.account())
    call = caller.call(caller.account.uri(callee.account.username), offer=False)
    caller.wait_established(call)
    answered = callee.wait_incoming()
    callee.wait_established(answered)
    assert "m=audio" not in caller.sent("INVITE")[-1].body
    hear_each_other((caller, call), (callee, answered))
    hang_up((caller, call), (callee, answered))


def test_reliable_provisional_responses(pbx: PbxServer, workshop: Workshop):
    """RFC 3262, demanded on both sides."""
    caller = workshop.registered("pjsua", pbx.account(), prack="required")
    callee = workshop.registered("pjsua", pbx.account(), prack="required")
    callee.answering(Answering(200, after_s=0.3))
    call, answered = connect(caller, callee)
    hear_each_other((caller, call), (callee, answered))
    assert caller.sent("PRACK ")
    hang_up((caller, call), (callee, answered))


DIGITS = "159*0#"


@pytest.mark.parametrize(
    ("calling", "one", "called", "other"),
    [
        ("baresip", "udp", "pjsua", "udp"),
        ("linphone", "tcp", "pjsua", "tls"),
        ("pjsua", "udp", "linphone", "udp"),
        ("pjsua", "tls", "baresip", "udp"),
    ],
)
def test_keys_pass_as_telephone_events(
    pbx: PbxServer, workshop: Workshop, calling: str, one: Transport, called: str, other: Transport
):
    """RFC 4733, from one to the other."""
    caller = workshop.registered(calling, pbx.account(one))
    callee = workshop.registered(called, pbx.account(other))
    call, answered = connect(caller, callee)
    hear_each_other((caller, call), (callee, answered), 0.4)
    caller.dtmf(call, DIGITS)
    callee.wait_digits(answered, DIGITS)
    hang_up((caller, call), (callee, answered))


def test_keys_pass_as_info(pbx: PbxServer, workshop: Workshop):
    caller, callee = (workshop.registered("pjsua", pbx.account()) for _ in range(2))
    call, answered = connect(caller, callee)
    caller.dtmf(call, "12", method="info")
    callee.wait_digits(answered, "12")
    hang_up((caller, call), (callee, answered))


def test_a_message_within_a_call(pbx: PbxServer, workshop: Workshop):
    caller, callee = (workshop.registered("pjsua", pbx.account()) for _ in range(2))
    call, answered = connect(caller, callee)
    caller.message(call, "Good morning")
    callee.wait_for("the message", lambda: callee.messages == ["Good morning"])
    hang_up((caller, call), (callee, answered))
