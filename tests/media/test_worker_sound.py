"""The sound of a media worker that is a process: in real time, which the worker's own packets tell."""

import os
import signal
from pathlib import Path
from time import monotonic

import numpy as np
import pytest

from pbx.media import dtmf
from pbx.media.codecs import CODECS, make_decoder, make_encoder
from pbx.media.orders import (
    CloseEndpoint,
    Detect,
    Digit,
    EndpointClosed,
    Join,
    Mix,
    OpenEndpoint,
    Play,
    Played,
    Record,
    Recorded,
    SendDigit,
    SetRemote,
    SrtpKeys,
    StopPlay,
    StopRecord,
)
from pbx.media.samples import frame_size, silence
from pbx.media.wav import HEADER
from pbx.rtp.packet import Packet, unpack
from pbx.rtp.srtp import Srtp
from pbx.rtp.telephone_event import TelephoneEvent
from pbx.rtp.telephone_event import unpack as unpack_event
from pbx.store.sound_files import repair
from tests.support.rtp_phone import PATIENCE_S, V4, Phone, free_pair
from tests.support.sound import likeness, strength, tone, voice
from tests.support.stage import EVENTS, TYPES, write_sound
from tests.support.worker_process import Process

SRTP = SrtpKeys("AES_CM_128_HMAC_SHA1_80", b"\1" * 30, b"\2" * 30)
MUSIC = tone(440, 16_000, 0.4)
PART = 3_000  # of a tone's amplitude of 8,000: on a machine that is busy some packets come too late


class Talker(Phone):
    """A phone with a codec. It says 20 ms whenever it has heard 20 ms: the worker's clock is its own."""

    def __init__(self, worker, name, codec="PCMU", **more):
        super().__init__()
        self.worker, self.name, self.codec, self.rate_hz = worker, name, codec, CODECS[codec].rate_hz
        self.encoder, self.decoder = make_encoder(codec, self.rate_hz), make_decoder(codec, self.rate_hz)
        self.ssrc, self.sequence, self.timestamp = sum(map(ord, name)), 0, 0
        self.packets, self.sound = [], []
        self.srtp = Srtp(SrtpKeys(SRTP.suite, SRTP.remote, SRTP.local)) if more.get("srtp") else None
        self.target = V4, free_pair()
        chosen = ((TYPES[codec], codec),)
        agreed = {
            "codecs": chosen,
            "heard_codecs": chosen,
            "clock_rates": ((TYPES[codec], CODECS[codec].clock_hz), (EVENTS, 8_000)),
            "telephone_event": EVENTS,
        }
        worker.tell(
            OpenEndpoint(name, "call", V4, self.target[1]),
            SetRemote(name, self.address, **{**agreed, **more}),
        )
        worker.settle()  # what came before would find nobody

    def send(self, payload, payload_type, marker=False):
        self.sequence += 1
        data = Packet(payload_type, self.sequence, self.timestamp, self.ssrc, payload, marker).pack()
        self.rtp.sendto(data if self.srtp is None else self.srtp.protect(data), self.target)

    def say(self, samples):
        self.send(self.encoder.encode(samples), TYPES[self.codec])
        self.timestamp += CODECS[self.codec].frame_ticks

    def listen(self):
        """One packet more."""
        source = None
        while source != self.target:  # others test on this machine, too
            data, source = self.rtp.recvfrom(4096)
        packet = unpack(data if self.srtp is None else self.srtp.unprotect(data))
        self.packets.append(packet)
        if packet.payload_type == TYPES[self.codec]:
            self.sound.append(self.decoder.decode(packet.payload))
        return packet

    def talk(self, samples):
        """Hear and say this, in real time."""
        size = frame_size(self.rate_hz)
        for at in range(0, len(samples) - size + 1, size):
            self.listen()
            self.say(samples[at : at + size])

    @property
    def all_heard(self):
        return np.concatenate(self.sound)


@pytest.fixture(scope="module")
def worker():
    """One for all: what a test leaves in it would harm the next."""
    process = Process()
    process.settle()
    yield process
    assert process.end() == 0


@pytest.fixture
def talkers(worker):
    made = []

    def make(name, codec="PCMU", **more):
        made.append(Talker(worker, name, codec, **more))
        return made[-1]

    yield make
    for talker in made:
        worker.tell(CloseEndpoint(talker.name))
        talker.close()
    worker.settle()
    worker.forget()


@pytest.fixture
def music(tmp_path):
    return write_sound(tmp_path, MUSIC)


@pytest.mark.parametrize("codec", CODECS)
def test_a_sound_comes_in_steps_of_20_ms(worker, talkers, music, codec):
    phone = talkers("a", codec)
    worker.tell(Play("a", "p", music, loop=True))
    for _ in range(51):
        phone.listen()
    steps = np.diff([packet.timestamp_ticks for packet in phone.packets]) % 2**32
    assert set(steps) == {CODECS[codec].frame_ticks}
    assert {packet.payload_type for packet in phone.packets} == {TYPES[codec]}
    rate_hz = phone.rate_hz
    assert likeness(MUSIC[: 4_800 : 16_000 // rate_hz], phone.all_heard[: len(MUSIC)], rate_hz)[0] > 0.95


def test_a_peer_whose_ears_open_late_misses_nothing(worker, talkers, music):
    phone = talkers("a")
    worker.tell(Play("a", "p", music, lead_ms=200))
    for _ in range(20):
        phone.listen()
    heard = phone.all_heard
    assert not heard[: 200 * 8].any()
    assert likeness(MUSIC[:3_200:2], heard[200 * 8 :], 8_000)[0] > 0.95


def test_ended_replaced_stopped(worker, talkers, music):
    phone = talkers("a")
    worker.tell(Play("a", "one", music, loop=True), Play("a", "two", music))
    assert worker.events(Played) == Played("a", "one", "replaced")
    assert worker.events(Played) == Played("a", "two", "ended")
    worker.tell(Play("a", "three", music, loop=True), StopPlay("a"))
    assert worker.events(Played) == Played("a", "three", "stopped")
    worker.tell(Play("a", "four", "/none"))
    assert "No such file" in worker.events(Played).why
    assert phone.listen()


def test_over_a_call_and_the_call_goes_on(worker, talkers, music):
    a, b = talkers("a"), talkers("b")
    worker.tell(Join("a", "b"))
    worker.settle()
    b.say(tone(800, 8_000, 0.02))
    assert a.listen().ssrc == b.ssrc
    worker.tell(Play("a", "p", music, loop=True))
    worker.settle()
    for at in range(15):
        assert a.listen().ssrc != b.ssrc
        b.say(tone(800, 8_000, 0.02))
        a.say(tone(300, 8_000, 0.02))
        assert b.listen().sequence == at + 1
    worker.tell(StopPlay("a"))
    assert worker.events(Played) == Played("a", "p", "stopped")
    b.say(tone(800, 8_000, 0.02))
    while a.listen().ssrc != b.ssrc:
        pass
    worker.settle()
    a.hears_nothing()


def test_a_filler_and_what_the_holding_phone_plays(worker, talkers, music):
    a, b = talkers("a"), talkers("b")
    worker.tell(Join("a", "b"), Play("a", "one", music, loop=True, is_filler=True))
    b.say(silence(160))
    assert a.listen().ssrc != b.ssrc  # after a while
    worker.tell(Play("b", "clock", music, loop=True))
    worker.tell(StopPlay("a"), Play("a", "two", music, loop=True, is_filler=True))
    assert worker.events(Played).play == "one"
    b.talk(tone(800, 8_000, 0.5))
    assert worker.events(Played) == Played("a", "two", "not needed")


@pytest.mark.parametrize("codec", ["PCMU", "G722"])
def test_a_message_until_silence(worker, talkers, tmp_path, codec):
    phone, path = talkers("a", codec), tmp_path / "message.wav"
    worker.tell(Record("a", "r", str(path), silence_s=1.5))
    phone.talk(np.concatenate((tone(500, phone.rate_hz, 0.8), silence(phone.rate_hz * 2))))
    recorded = worker.events(Recorded)
    assert (recorded.recording, recorded.why) == ("r", "silence")
    assert recorded.seconds > 1.0  # and longer, where the machine was too busy to be on time
    assert repair(path) == pytest.approx(recorded.seconds)
    kept = np.frombuffer(path.read_bytes()[HEADER.size :], np.int16)
    assert strength(kept, phone.rate_hz, 500) > PART


def test_a_message_until_it_is_full(worker, talkers, tmp_path):
    phone, path = talkers("a"), tmp_path / "message.wav"
    worker.tell(Record("a", "r", str(path), max_s=0.5))
    phone.talk(voice(8_000, 0.7))
    assert worker.events(Recorded) == Recorded("a", "r", 0.5, "full")
    assert repair(path) == 0.5


def test_both_sides_of_a_call_in_their_channels(worker, talkers, tmp_path, music):
    a, b, path = talkers("a"), talkers("b"), tmp_path / "call.wav"
    worker.tell(Join("a", "b"), Record("a", "r", str(path), "b"))
    clock = talkers("clock")
    worker.tell(Play("clock", "p", music, loop=True))
    left, right = tone(500, 8_000, 0.8), tone(900, 8_000, 0.8)
    for at in range(0, len(left), 160):
        clock.listen()
        a.say(left[at : at + 160])
        b.say(right[at : at + 160])
        assert (a.listen().ssrc, b.listen().ssrc) == (b.ssrc, a.ssrc)
    worker.tell(StopRecord("a", "r"))
    assert worker.events(Recorded).why == "stopped"
    kept = np.frombuffer(path.read_bytes()[HEADER.size :], np.int16).reshape(-1, 2)
    for side, own, others in ((0, 500, 900), (1, 900, 500)):
        assert strength(kept[:, side], 8_000, own) > PART
        assert strength(kept[:, side], 8_000, others) < PART / 4


def test_keys_of_the_peer_as_events_and_as_tones(worker, talkers):
    phone = talkers("a")
    for packet in [TelephoneEvent(5, at > 2, 10, 160 * (at + 1)).pack() for at in range(5)] * 2:
        phone.send(packet, EVENTS)
    assert worker.events(Digit) == Digit("a", "5", 0)
    worker.tell(Detect("a"))
    heard = []
    while not heard:  # pressed again, where the machine was too busy to be on time
        phone.talk(np.concatenate((silence(1_600), dtmf.make_digit("9", 160), silence(3_200))))
        heard = worker.so_far(Digit)
    assert set(heard) == {Digit("a", "9")}  # and not the 5 again


def test_keys_towards_the_peer_as_events_and_as_tones(worker, talkers):
    events, tones = talkers("a"), talkers("b", telephone_event=None)
    worker.tell(SendDigit("a", "7", 100), SendDigit("b", "7", 100))
    got = []
    while len(got) < 7:
        packet = events.listen()
        if packet.payload_type == EVENTS:
            got.append(unpack_event(packet.payload))
    assert {event.digit for event in got} == {"7"}
    assert [event.end for event in got] == [False] * 4 + [True] * 3
    detector, heard = dtmf.Detector(), []
    while not heard:
        tones.listen()
        heard = detector.feed(tones.sound[-1])
    assert heard == ["7"]


def test_two_without_a_common_codec(worker, talkers):
    a, b = talkers("a", "PCMU"), talkers("b", "G722")
    worker.tell(Mix("a", "call"), Mix("b", "call"))
    of_a, of_b = tone(500, 8_000, 1.0), tone(900, 16_000, 1.0)
    for at in range(50):
        a.listen()
        a.say(of_a[at * 160 : at * 160 + 160])
        b.say(of_b[at * 320 : at * 320 + 320])
        b.listen()
    assert strength(a.all_heard, 8_000, 900) > PART
    assert strength(b.all_heard, 16_000, 500) > PART


def test_three_in_a_room(worker, talkers):
    phones = [talkers(name) for name in "abc"]
    worker.tell(*(Mix(name, "room") for name in "abc"))
    said = [tone(hertz, 8_000, 0.8, peak=4_000) for hertz in (500, 800, 1_100)]
    for at in range(0, 6_400, 160):
        for phone, its in zip(phones, said, strict=True):
            phone.listen()
            phone.say(its[at : at + 160])
    for number, phone in enumerate(phones):
        for other, hertz in enumerate((500, 800, 1_100)):
            found = strength(phone.all_heard, 8_000, hertz)
            assert found < PART / 4 if other == number else found > PART / 2


def test_echo(worker, talkers):
    phone = talkers("a", "G722")
    worker.tell(Mix("a", "echo", echo=True))
    phone.talk(tone(500, 16_000, 0.8))
    assert strength(phone.all_heard, 16_000, 500) > PART


def test_srtp(worker, talkers, tmp_path):
    phone, path = talkers("a", srtp=SRTP), tmp_path / "file.wav"
    worker.tell(Mix("a", "echo", echo=True), Record("a", "r", str(path)))
    phone.talk(tone(500, 8_000, 0.8))
    worker.tell(CloseEndpoint("a"))
    assert worker.events(Recorded).why == "closed"
    kept = np.frombuffer(path.read_bytes()[HEADER.size :], np.int16)
    for heard in (phone.all_heard, kept):
        assert strength(heard, 8_000, 500) > PART


def test_closed_in_every_state_nothing_stays_open(worker, talkers, tmp_path, music):
    states = (
        lambda at: [Play("a", "p", music, loop=True)],
        lambda at: [Join("a", "b"), Play("a", "p", music, is_filler=True)],
        lambda at: [Join("a", "b"), Record("a", "r", str(tmp_path / f"{at}.wav"), "b"), SendDigit("b", "1")],
        lambda at: [Mix("a", "room"), Mix("b", "room", muted=True), Detect("a")],
        lambda at: [
            Mix("a", "room", echo=True),
            Play("a", "p", music),
            Record("b", "r", str(tmp_path / f"{at}.wav")),
        ],
    )
    talkers("first")
    worker.tell(Record("first", "r", str(tmp_path / "first.wav")), StopRecord("first", "r"))
    worker.events(Recorded)  # the thread is there from now on
    folder = Path(f"/proc/{worker.popen.pid}/fd")

    def count_open():
        """But for the sounds in the cache, which keeps one file for each."""
        return sum(not str(each.resolve()).endswith(".pcm") for each in folder.iterdir())

    before = count_open()
    for at in range(5 * len(states)):
        phones = talkers("a"), talkers("b")
        worker.tell(*states[at % len(states)](at))
        worker.settle()
        for phone in phones:
            phone.say(tone(440, 8_000, 0.02))
        worker.tell(CloseEndpoint("a"), CloseEndpoint("b"))
        for name in "ab":
            assert worker.events(EndpointClosed).endpoint == name
        for phone in phones:
            phone.close()
    late = monotonic() + PATIENCE_S
    while count_open() != before:  # the last file is closed by the thread, soon
        worker.settle()
        assert monotonic() < late


def test_the_core_s_end_closes_and_recordings_are_finished(tmp_path):
    worker = Process()
    files = [tmp_path / f"{name}.wav" for name in "abc"]
    phones = [Talker(worker, name) for name in "abc"]
    worker.tell(*(Record(name, "r", str(path)) for name, path in zip("abc", files, strict=True)))
    for at in range(20):
        for phone in phones:
            phone.listen()
            phone.say(voice(8_000, 0.4)[at * 160 : at * 160 + 160])
    for phone in phones:
        phone.close()
    assert worker.end() == 0
    for path in files:
        said = int.from_bytes(path.read_bytes()[40:44], "little") / 16_000
        assert said == repair(path) >= 0.3


def test_a_worker_that_is_killed_leaves_all_but_the_last_seconds(tmp_path):
    worker, path = Process(), tmp_path / "file.wav"
    phone = Talker(worker, "a")
    worker.tell(Record("a", "r", str(path)))
    late = monotonic() + PATIENCE_S
    while not path.exists() or path.stat().st_size < 16_000:  # a second
        phone.talk(voice(8_000, 0.8))
        assert monotonic() < late
    os.kill(worker.popen.pid, signal.SIGKILL)
    worker.popen.wait(PATIENCE_S)
    worker.control.close()
    phone.close()
    assert repair(path) >= 1.0
