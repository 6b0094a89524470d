"""The PBX as a party: voicemail, mailbox, echo, rooms, with real phones that speak, hear and press keys."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from pbx.media.dtmf import make_digit
from pbx.media.prompt import Digits, Duration
from pbx.media.rendering import Renderer
from tests.phones.conftest import Workshop, require
from tests.phones.support.office import PLAIN, TestDevice, extension_toml
from tests.phones.support.phone import Answering
from tests.phones.support.pjsua_phone import PjsuaPhone
from tests.phones.support.server import PbxServer, running
from tests.phones.support.sipp import call_all
from tests.phones.support.sound import judge_tone, read_wav, write_wav
from tests.phones.support.talk import connect, hang_up, hear_each_other
from tests.phones.support.voices import (
    PHRASES,
    dial,
    is_recording,
    messages,
    recordings,
    share_of,
    wait_heard,
    wait_said,
)
from tests.phones.support.waiting import wait_until

PHONES = PLAIN[:70]
BOXES = range(200, 220)  # extensions without any phone: their voicemail answers at once


def office() -> str:
    """Phones, mailboxes, rooms."""
    parts = [
        '[office]\nname = "Voices"\ncountry = "SG"\ntimezone = "Asia/Singapore"\n',
        '[[member]]\nemail = "owner@voices.example"\nname = "Olga"\naccount = "owner"\npin = "7781"\n',
    ]
    taking = '[extension.no_answer]\naction = "voicemail"\ntimeout = 5\n'
    hello = '[extension.no_answer.greeting]\ntext = "Hello."\n'
    parts += [extension_toml(number, "", taking) for number in PHONES]
    parts += [extension_toml(number, "", taking + hello, has_phone=False) for number in BOXES]
    parts.append('[[room]]\nkey = "700"\n[[room]]\nkey = "701"\npin = "1234"\n')
    return "\n".join(parts)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PbxServer]:
    yield from running(tmp_path_factory.mktemp("voices"), office())


boxes = iter(BOXES)


@pytest.mark.parametrize("program", ["pjsua", "baresip", "linphone"])
def test_a_message_is_left_and_sounds_as_it_was_spoken(server: PbxServer, shop: Workshop, program: str):
    box = str(next(boxes))
    phone = shop.registered(program, server.account())
    call = dial(phone, box)
    wait_until("the beep", lambda: list((server.folder / "data/voicemail" / box).glob("*.part")))
    phone.wait_for("3 s of speaking", lambda: is_recording(server, box))
    phone.hangup(call)
    wait_until("the message is kept", lambda: messages(server, box))
    samples, rate = read_wav(messages(server, box)[0])
    assert len(samples) / rate >= 2
    verdict = judge_tone(samples, rate, phone.tone)
    print(verdict)
    assert verdict.share > 0.5, str(verdict)  # torn, if this machine is busy


def test_the_owner_hears_who_left_a_message_and_the_message(server: PbxServer, shop: Workshop):
    owner, caller = shop.registered("pjsua", server.account()), shop.registered("baresip", server.account())
    owner.answering(Answering(486))
    call = dial(caller, owner.account.username)
    wait_until("the beep", lambda: is_recording(server, owner.account.username))
    caller.hangup(call)
    wait_until("the message is kept", lambda: messages(server, owner.account.username))

    visit = dial(owner, "*97")
    wait_said(owner, visit, "you have 1 new message")
    start = owner.ear(visit).seconds()
    owner.dtmf(visit, "1")
    wait_said(owner, visit, "message 1", start)
    owner.ear(visit).wait_tone(caller.tone, 2.0)
    start = owner.ear(visit).seconds()
    owner.dtmf(visit, "7")
    wait_heard(server, owner, visit, PHRASES.say("vm-deleted"), start)
    owner.hangup(visit)
    wait_until("the message is deleted", lambda: not messages(server, owner.account.username))


@pytest.mark.parametrize(
    ("program", "method"),
    [("pjsua", "rfc4733"), ("pjsua", "info"), ("baresip", ""), ("linphone", "events"), ("linphone", "info")],
)
def test_keys_are_heard_and_said_back(server: PbxServer, shop: Workshop, program: str, method: str):
    options = {"keys": method} if program == "linphone" else {}
    phone = shop.registered(program, server.account(), **options)
    call = dial(phone, "*44")
    phone.wait_for("the introduction", lambda: phone.ear(call).seconds() > 1.0)
    start = phone.ear(call).seconds()
    if isinstance(phone, PjsuaPhone):
        phone.dtmf(call, "2580", method=method)
    else:
        phone.dtmf(call, "2580")
    wait_heard(server, phone, call, PHRASES.fill("keys-pressed", Digits("2580")), start)
    phone.hangup(call)


@pytest.mark.parametrize("program", ["linphone", "pjsua"])
def test_keys_are_heard_as_tones(server: PbxServer, shop: Workshop, tmp_path: Path, program: str):
    """From a phone that agreed on nothing else: linphone's microphone hears them, PJSIP makes them."""
    quiet = np.zeros(3 * 16000, np.int16)
    tones = [np.concatenate((make_digit(key, 100, 16000), np.zeros(1600, np.int16))) for key in "2580"]
    spoken = (quiet, *tones, quiet) if program == "linphone" else (quiet,)
    microphone = write_wav(tmp_path / "keys.wav", np.concatenate(spoken), 16000)
    phone = shop.registered(program, server.account(), keys="none", microphone=microphone)
    call = dial(phone, "*44")
    if isinstance(phone, PjsuaPhone):
        phone.wait_for("the introduction", lambda: phone.ear(call).seconds() > 1.0)
        phone.dtmf(call, "2580", method="tones")
    wait_heard(server, phone, call, PHRASES.fill("keys-pressed", Digits("2580")))
    assert "telephone-event" not in phone.sent("INVITE")[-1].text
    phone.hangup(call)


@pytest.mark.parametrize("program", ["pjsua", "baresip"])
def test_the_echo_is_heard(server: PbxServer, shop: Workshop, program: str):
    phone = shop.registered(program, server.account())
    call = dial(phone, "*43")
    phone.ear(call).wait_tone(phone.tone, 2.0)
    phone.hangup(call)


def test_the_measured_delay_of_the_echo_is_said(server: PbxServer, shop: Workshop):
    phone = shop.registered("pjsua", server.account())
    call = dial(phone, "*43")
    phone.ear(call).wait_tone(phone.tone, 2.0)
    # A phone reports some five seconds after our first report reached it.
    phone.wait_for("its report", lambda: phone.ear(call).seconds() > 12.0)
    start = phone.ear(call).seconds()
    phone.dtmf(call, "#")
    renderer = Renderer(None, server.folder / "data")
    # A packet time at least, a full jitter buffer at most: the loopback has no way to speak of.
    possible = [PHRASES.fill("echo-delay", Duration(ms / 1000)) for ms in range(20, 300)]
    said = wait_until("the delay is made a sound", lambda: list(filter(renderer.known, possible)))
    print(said)
    wait_heard(server, phone, call, said[-1], start)
    phone.wait_ended(call)


def test_three_in_a_room_hear_each_other_and_not_themselves(server: PbxServer, shop: Workshop):
    phones = [shop.registered("pjsua", server.account(codecs=(codec,))) for codec in ("PCMA", "G722", "PCMU")]
    calls = [dial(phone, "700") for phone in phones]
    for phone, call in zip(phones, calls, strict=True):
        for other in phones:
            if other is not phone:
                wait_until(
                    f"{phone.name} hears {other.name}",
                    lambda p=phone, c=call, o=other: share_of(p, c, o.tone) > 0.2,
                )
        # It would be a third; where a busy machine tears the others, the splinters are everywhere.
        assert share_of(phone, call, phone.tone) < 0.1
    for phone, call in zip(phones, calls, strict=True):
        phone.hangup(call)


@pytest.mark.parametrize(
    ("codecs", "program"),
    [
        (("PCMU", "G722"), "pjsua"),
        (("G722", "PCMU"), "pjsua"),
        (("PCMA", "PCMU"), "baresip"),
        (("PCMU", "opus"), "linphone"),
    ],
    ids=lambda value: value if isinstance(value, str) else "-".join(value),
)
def test_phones_without_a_common_codec_understand_each_other(
    server: PbxServer, shop: Workshop, codecs: tuple[str, str], program: str
):
    caller = shop.registered("pjsua", server.account(codecs=codecs[:1]))
    callee = shop.registered(program, server.account(codecs=codecs[1:]))
    call, answered = connect(caller, callee)
    hear_each_other((caller, call), (callee, answered), 1.5)
    assert call.codec.upper() == codecs[0].upper()
    if program == "pjsua":
        assert answered.codec.upper() == codecs[1].upper()
    hang_up((caller, call), (callee, answered))


def test_who_is_held_hears_the_music(server: PbxServer, shop: Workshop):
    holder = shop.registered("pjsua", server.account(), tone=1730.0)  # no note of the music is near it
    held = shop.registered("pjsua", server.account())
    call, its_call = connect(holder, held)
    hear_each_other((holder, call), (held, its_call), 0.5)
    holder.hold(call)
    start = held.ear(its_call).seconds() + 1.0
    wait_heard(server, held, its_call, PHRASES.music(), max(0.0, start - 1.5), part_s=2.0)
    held.wait_for("a while of it", lambda: held.ear(its_call).seconds() > start + 3.0)
    held.ear(its_call).assert_silent(holder.tone, start)
    holder.resume(call)
    hear_each_other((holder, call), (held, its_call), 1.0)
    hang_up((holder, call), (held, its_call))


def test_a_recording_has_each_side_in_its_channel(server: PbxServer, shop: Workshop):
    caller, callee = shop.registered("pjsua", server.account()), shop.registered("linphone", server.account())
    call, answered = connect(caller, callee)
    hear_each_other((caller, call), (callee, answered), 0.5)
    before = set(recordings(server))
    caller.dtmf(call, "*1")
    wait_until("it is being recorded", lambda: list((server.folder / "data/recordings").rglob("*.part")))
    start = caller.ear(call).seconds()
    caller.wait_for("a while", lambda: caller.ear(call).seconds() > start + 4.0)
    hang_up((caller, call), (callee, answered))
    wait_until("the recording is kept", lambda: set(recordings(server)) - before)
    (path,) = set(recordings(server)) - before
    samples, rate = soundfile.read(path, dtype="int16")
    assert samples.shape[1] == 2
    left, right = samples[:, 0], samples[:, 1]
    for channel, own, other in ((left, caller, callee), (right, callee, caller)):
        assert judge_tone(channel, rate, own.tone).share > 0.5  # torn, if this machine is busy
        assert judge_tone(channel, rate, own.tone).seconds > 2.0
        assert judge_tone(channel, rate, other.tone).seconds == 0.0


def test_attended_transfer_by_keys(server: PbxServer, shop: Workshop):
    first, second, third = (shop.registered("pjsua", server.account()) for _ in range(3))
    call, answered = connect(first, second)
    hear_each_other((first, call), (second, answered), 0.5)
    first.dtmf(call, "##2")
    wait_heard(server, first, call, PHRASES.say("transfer-dial"))
    third.answering(Answering(200))
    first.dtmf(call, third.account.username + "#")
    third_call = third.wait_incoming()
    third.wait_established(third_call)
    first.ear(call).wait_tone(third.tone, 1.0)
    third.ear(third_call).wait_tone(first.tone, 1.0)
    first.hangup(call)
    second.ear(answered).wait_tone(third.tone, 1.5, start_s=second.ear(answered).seconds())
    third.ear(third_call).wait_tone(second.tone, 1.5)
    second.hangup(answered)
    third.wait_ended(third_call)


def test_a_parked_call_is_told_where_and_fetched(server: PbxServer, shop: Workshop):
    first, second, third = (shop.registered("pjsua", server.account()) for _ in range(3))
    call, answered = connect(first, second)
    hear_each_other((first, call), (second, answered), 0.5)
    first.transfer(call, first.account.uri("*85"))
    wait_heard(server, first, call, PHRASES.fill("park-parked", Digits("71")))
    first.wait_ended(call)
    fetching = dial(third, "*8671")
    third.ear(fetching).wait_tone(second.tone, 1.5)
    second.ear(answered).wait_tone(third.tone, 1.5, start_s=second.ear(answered).seconds() - 2)
    third.hangup(fetching)
    second.wait_ended(answered)


def test_keys_by_info_arrive_as_events_at_the_other_phone(server: PbxServer, shop: Workshop):
    caller, callee = shop.registered("pjsua", server.account()), shop.registered("baresip", server.account())
    call, answered = connect(caller, callee)
    hear_each_other((caller, call), (callee, answered), 0.5)
    assert isinstance(caller, PjsuaPhone)
    caller.dtmf(call, "5", method="info")
    callee.wait_digits(answered, "5")
    hang_up((caller, call), (callee, answered))


def test_keys_by_info_as_single_characters(server: PbxServer, shop: Workshop, tmp_path: Path):
    """application/dtmf, as SIPp sends it (the phones send application/dtmf-relay)."""
    require("sipp")
    callee = shop.registered("pjsua", server.account())
    pairs = [(server.extensions.plain(), TestDevice(callee.account.username, callee.account.username))]
    result = call_all(
        tmp_path / "sipp", ("127.0.0.1", server.port), pairs, rate=1, hold_ms=1500, scenario="info_keys.xml"
    )
    assert result.successful == 1, result
    callee.wait_digits(callee.calls[0], "258#")


def test_a_ringing_phone_is_picked_up(server: PbxServer, shop: Workshop):
    caller, ringing, third = (shop.registered("pjsua", server.account()) for _ in range(3))
    ringing.answering(Answering(180))
    call = caller.dial(ringing.account.username)
    rung = ringing.wait_incoming()
    picked = dial(third, f"**{ringing.account.username}")
    caller.wait_established(call)
    ringing.wait_ended(rung)
    hear_each_other((caller, call), (third, picked))
    hang_up((caller, call), (third, picked))


def test_blind_transfer_by_keys(server: PbxServer, shop: Workshop):
    first, second, third = (shop.registered("pjsua", server.account()) for _ in range(3))
    call, answered = connect(first, second)
    third.answering(Answering(180))
    first.dtmf(call, "##2")
    wait_heard(server, first, call, PHRASES.say("transfer-dial"))
    first.dtmf(call, third.account.username + "#")
    third_call = third.wait_incoming()
    first.hangup(call)
    third.answer(third_call)
    third.wait_established(third_call)
    start = second.ear(answered).seconds()
    third.ear(third_call).wait_tone(second.tone, 1.5)
    second.ear(answered).wait_tone(third.tone, 1.5, start_s=start)
    third.hangup(third_call)
    second.wait_ended(answered)
