"""The harness proves itself: phones that call each other directly, and a judge that can say no."""

import numpy as np
import pytest

from tests.phones.conftest import Workshop, require
from tests.phones.support.phone import Account, Answering, CallState
from tests.phones.support.sound import Ear, judge_tone, speech, speech_match, tone, write_wav

PAIRS = [("baresip", "pjsua"), ("pjsua", "baresip"), ("linphone", "pjsua"), ("baresip", "linphone")]


@pytest.mark.parametrize(("calling", "called"), PAIRS)
def test_two_phones_hear_each_other_without_a_server(direct: Workshop, calling: str, called: str):
    caller, callee = direct.make(calling), direct.make(called)
    call = caller.call(callee.contact)
    caller.wait_established(call)
    answered = callee.wait_incoming()
    caller.ear(call).wait_clean(callee.tone)
    callee.ear(answered).wait_clean(caller.tone)
    caller.hangup(call)
    callee.wait_ended(answered)


def test_a_silent_call_is_judged_silent(direct: Workshop, tmp_path):
    """The judge must be able to fail: the caller's microphone is silent, and is found to be."""
    silence = write_wav(tmp_path / "silence.wav", np.zeros(16000), 16000)
    mute, loud = direct.make("pjsua", microphone=silence), direct.make("pjsua")
    call = mute.call(loud.contact)
    answered = loud.wait_incoming()
    mute.ear(call).wait_tone(loud.tone)
    assert loud.ear(answered).seconds() > 0.5, "nothing was recorded at all"
    loud.ear(answered).assert_silent(mute.tone)
    with pytest.raises(AssertionError, match="in vain"):
        loud.ear(answered).wait_tone(mute.tone, timeout=0.3)
    with pytest.raises(AssertionError, match="not 1 s"):
        loud.ear(answered).assert_clean(mute.tone)


def test_a_phone_that_hears_itself_is_found_out(tmp_path):
    both = tone(400, 2, 8000) + tone(860, 2, 8000)
    echo = np.concatenate([tone(860, 2, 8000), tone(400, 1, 8000)])
    for name, sound in (("both.wav", both), ("echo.wav", echo)):
        path = write_wav(tmp_path / name, sound, 8000)
        with pytest.raises(AssertionError):
            Ear(lambda path=path: [path], "anybody", own_tone=400).assert_clean(860)


def test_holes_and_noise_are_measured():
    clean = judge_tone(tone(620, 2, 8000), 8000, 620)
    assert (clean.share, clean.holes) == (1.0, 0)
    torn = tone(620, 2, 8000)
    torn[4000:8000] = 0
    torn = judge_tone(torn, 8000, 620)
    assert torn.holes == 1
    assert torn.longest_hole_s == pytest.approx(0.5)
    assert torn.share == pytest.approx(0.75)
    noise = np.random.default_rng(1).normal(0, 6000, 16000)
    assert judge_tone(noise, 8000, 620).seconds == 0.0


def test_speech_is_recognised_and_other_speech_is_not():
    said, other = speech(1, 5, 8000), speech(2, 5, 8000)
    noise = np.random.default_rng(3).normal(0, 300, 8000 * 3)
    heard = np.roll(said, -1234)[: 8000 * 3] + noise
    assert speech_match(heard, said, 8000) > 0.5
    assert abs(speech_match(heard, other, 8000)) < 0.25


def test_transfer_hold_and_keys_without_a_server(direct: Workshop):
    """What the drivers tell each phone to do really happens between two of them."""
    caller, callee = direct.make("pjsua"), direct.make("pjsua")
    call = caller.call(callee.contact)
    answered = callee.wait_incoming()
    callee.ear(answered).wait_tone(caller.tone, 0.3)
    caller.dtmf(call, "159#")
    callee.wait_digits(answered, "159#")
    callee.hold(answered)
    caller.wait_for("held", lambda: call.direction == "recvonly")
    callee.resume(answered)
    caller.wait_for("resumed", lambda: call.direction == "sendrecv")
    third = direct.make("baresip")
    caller.transfer(call, third.contact)
    moved = third.wait_incoming()
    third.ear(moved).wait_tone(callee.tone)
    caller.wait_ended(call)


@pytest.mark.parametrize("status", [486, 603])
def test_a_refusal_is_seen_by_the_caller(direct: Workshop, status: int):
    caller, callee = direct.make("baresip"), direct.make("pjsua")
    callee.answering(Answering(status))
    call = caller.call(callee.contact)
    assert caller.wait_ended(call) == status


def test_encrypted_audio_without_a_server(direct: Workshop):
    caller = direct.make("baresip", Account(srtp="required"))
    callee = direct.make("pjsua", Account(srtp="required"))
    call = caller.call(callee.contact)
    answered = callee.wait_incoming()
    callee.ear(answered).wait_tone(caller.tone)
    caller.ear(call).wait_tone(callee.tone)
    assert answered.srtp == "SAVP"
    callee.hangup(answered)
    caller.wait_state(call, CallState.ENDED)


@pytest.mark.parametrize(("ci", "outcome"), [("true", pytest.fail.Exception), ("", pytest.xfail.Exception)])
def test_a_missing_program_fails_in_ci_and_is_named(monkeypatch: pytest.MonkeyPatch, ci: str, outcome: type):
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setenv("CI", ci)
    with pytest.raises(outcome, match="apt install baresip-core"):
        require("baresip")
