"""Rooms, picking up in a group, and calls that extensions have recorded, with real phones."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from pbx.media.prompt import Number
from tests.phones.conftest import Workshop
from tests.phones.support.office import TestDevice, extension_toml
from tests.phones.support.phone import Answering, Phone
from tests.phones.support.server import PbxServer, running
from tests.phones.support.sound import judge_tone, write_wav
from tests.phones.support.talk import connect, hang_up, hear_each_other
from tests.phones.support.voices import PHRASES, dial, matches, recordings, share_of, wait_heard
from tests.phones.support.waiting import wait_until

OUTBOUND, INBOUND, ALL = "310", "311", "312"  # what of their calls is recorded
COLLEAGUES = ("320", "321")  # of group 600


def office() -> str:
    """Phones, a group, rooms with and without a PIN; whoever is recorded is told so."""
    parts = [
        '[office]\nname = "Voices"\ncountry = "SG"\ntimezone = "Asia/Singapore"\nannounce_recording = true\n',
        '[[member]]\nemail = "owner@voices.example"\nname = "Olga"\naccount = "owner"\n',
        *(extension_toml(number) for number in (*range(100, 112), *COLLEAGUES)),
        extension_toml(OUTBOUND, 'record = "outbound"'),
        extension_toml(INBOUND, 'record = "inbound"'),
        extension_toml(ALL, 'record = "all"'),
        f'[[group]]\nkey = "600"\nlabel = "Sales"\nmembers = {list(COLLEAGUES)}\n',
        '[[room]]\nkey = "700"\npin = "1234"\n[[room]]\nkey = "701"\n',
    ]
    return "\n".join(parts)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PbxServer]:
    yield from running(tmp_path_factory.mktemp("rooms"), office())


def phone_of(shop: Workshop, server: PbxServer, key: str, program: str = "pjsua", **options: object) -> Phone:
    return shop.registered(program, TestDevice(key, key).account(server.address), **options)


@pytest.fixture
def silence(tmp_path: Path) -> Path:
    """For a microphone: only the PBX is heard then."""
    return write_wav(tmp_path / "silence.wav", np.zeros(16000), 16000)


def test_a_room_with_a_pin_tells_who_comes_and_goes(server: PbxServer, shop: Workshop, silence: Path):
    first, second = (shop.registered("pjsua", server.account(), microphone=silence) for _ in range(2))
    calls = [dial(phone, "700") for phone in (first, second)]
    first.wait_for("the question", lambda: first.ear(calls[0]).seconds() > 1.0)
    first.dtmf(calls[0], "1234#")
    second.dtmf(calls[1], "9999#")
    wait_heard(server, second, calls[1], PHRASES.say("room-wrong-pin"))
    wait_heard(server, first, calls[0], PHRASES.say("room-alone"))
    start = first.ear(calls[0]).seconds()
    second.dtmf(calls[1], "1234#")
    wait_heard(server, second, calls[1], PHRASES.fill("room-others", Number(1)))
    wait_heard(server, first, calls[0], PHRASES.say("room-joined"), start)
    second.hangup(calls[1])
    wait_heard(server, first, calls[0], PHRASES.say("room-left"), start)
    first.hangup(calls[0])


def test_a_room_is_locked_by_who_came_first(server: PbxServer, shop: Workshop, silence: Path):
    first = shop.registered("pjsua", server.account(), microphone=silence)
    late = shop.registered("linphone", server.account(), microphone=silence)
    call = dial(first, "701")
    wait_heard(server, first, call, PHRASES.say("room-alone"))
    first.dtmf(call, "2")
    wait_heard(server, first, call, PHRASES.say("room-now-locked"))
    visit = dial(late, "701")
    wait_heard(server, late, visit, PHRASES.say("room-is-locked"))
    late.ear(visit).wait_bursts(425.0, 0.75, 2, late.ear(visit).seconds() - 0.5)  # busy
    late.wait_ended(visit)
    first.hangup(call)


def test_who_is_muted_is_not_heard_until_he_wants_to(server: PbxServer, shop: Workshop):
    first, second = shop.registered("pjsua", server.account()), shop.registered("baresip", server.account())
    calls = [dial(phone, "701") for phone in (first, second)]

    def is_heard() -> bool:
        return share_of(second, calls[1], first.tone) > 0.2

    wait_until("the first is heard", is_heard)
    start = first.ear(calls[0]).seconds()
    first.dtmf(calls[0], "1")
    wait_until("he is not heard any more", lambda: share_of(second, calls[1], first.tone) < 0.01)
    assert share_of(first, calls[0], second.tone) > 0.2
    first.wait_for("the end of what is said about it", lambda: first.ear(calls[0]).seconds() > start + 2.5)
    first.dtmf(calls[0], "1")
    wait_until("he is heard again", is_heard)
    for phone, call in zip((first, second), calls, strict=True):
        phone.hangup(call)


def test_a_call_in_the_group_is_picked_up(server: PbxServer, shop: Workshop):
    caller = shop.registered("pjsua", server.account())
    ringing, colleague = (phone_of(shop, server, key) for key in COLLEAGUES)
    stranger = shop.registered("pjsua", server.account())
    ringing.answering(Answering(180))
    call = caller.dial(COLLEAGUES[0])
    rung = ringing.wait_incoming()
    nothing = dial(stranger, "*8")
    wait_heard(server, stranger, nothing, PHRASES.say("pickup-nothing"))
    picked = dial(colleague, "*8")
    caller.wait_established(call)
    ringing.wait_ended(rung)
    hear_each_other((caller, call), (colleague, picked), 1.0)
    hang_up((caller, call), (colleague, picked))


def recorded(server: PbxServer, caller: Phone, callee: Phone, seconds: float, is_told: bool) -> Path | None:
    """Let two talk so long, and wait until both are told that they are recorded, or hear that they are not.

    Returns the file of their call, if it was recorded.
    """
    before = set(recordings(server))
    call, answered = connect(caller, callee)
    told = PHRASES.say("record-announcement")
    caller.ear(call).wait_tone(callee.tone, seconds)
    callee.ear(answered).wait_tone(caller.tone, seconds)
    for phone, its in ((caller, call), (callee, answered)):
        if is_told:
            wait_heard(server, phone, its, told)
        else:
            assert matches(server, phone, its, told) < 0.5
    is_going = bool(list((server.folder / "data/recordings").rglob("*.part")))
    hang_up((caller, call), (callee, answered))
    if is_going:
        wait_until("the recording is kept", lambda: set(recordings(server)) - before)
    new = set(recordings(server)) - before
    return new.pop() if new else None


def test_calls_are_recorded_as_the_extensions_want_it(server: PbxServer, shop: Workshop):
    out, into, both = (phone_of(shop, server, key) for key in (OUTBOUND, INBOUND, ALL))
    path = recorded(server, out, into, 2.5, is_told=True)
    assert path is not None
    samples, rate = soundfile.read(path, dtype="int16")
    assert samples.shape[1] == 2
    for channel, own, other in ((samples[:, 0], out, into), (samples[:, 1], into, out)):
        assert judge_tone(channel, rate, own.tone).share > 0.5  # torn, if this machine is busy
        assert judge_tone(channel, rate, own.tone).seconds > 1.0
        assert judge_tone(channel, rate, other.tone).seconds == 0.0
    assert recorded(server, into, out, 0.5, is_told=False) is None
    for caller, callee in ((both, out), (into, both)):
        assert recorded(server, caller, callee, 0.5, is_told=True) is not None
