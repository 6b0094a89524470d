"""What the PBX says to one peer and hears from it, packet by packet."""

from pathlib import Path

import numpy as np
import pytest

from pbx.media import dtmf
from pbx.media.codecs import CODECS
from pbx.media.orders import (
    Detect,
    Digit,
    Mix,
    Play,
    Played,
    Record,
    Recorded,
    SendDigit,
    StopPlay,
    StopRecord,
)
from pbx.media.samples import silence
from pbx.media.voice import LONGEST_MS, MOST_PRESSES, TAIL_S, WAIT_S
from pbx.rtp.telephone_event import unpack as unpack_event
from tests.support.sound import level_db, likeness, tone, voice
from tests.support.stage import EVENTS, TYPES, Stage, write_sound

MUSIC = tone(440, 16_000, 2.0)


@pytest.fixture
def stage():
    return Stage()


@pytest.fixture
def music(tmp_path):
    return write_sound(tmp_path, MUSIC)


def rest(stage, name):
    """Nothing of the studio is in this endpoint's way any more."""
    endpoint = stage.endpoints[name]
    return not stage.is_ticking(name) and endpoint._ear is None and endpoint._cover is None


class TestPlaying:
    def test_each_20_ms_one_packet_with_steady_numbers(self, stage, music):
        phone = stage.open("a")
        stage.order(Play("a", "p", music))
        stage.run(5.0)
        packets = phone.packets
        assert len(packets) == 250
        assert {np.diff([each.sequence for each in packets]).max() for _ in "1"} == {1}
        assert set(np.diff([each.timestamp_ticks for each in packets])) == {160}
        assert len({each.ssrc for each in packets}) == 1
        assert [at for at, each in enumerate(packets) if each.marker] == [0]
        assert stage.take(Played) == [Played("a", "p", "ended")]
        assert likeness(MUSIC[::2], phone.heard()[:16_000], 8_000)[0] > 0.99
        assert not phone.heard()[16_000:].any()  # then silence, for the peer has nobody else

    @pytest.mark.parametrize("codec", CODECS)
    def test_in_every_codec(self, stage, music, codec):
        phone = stage.open("a", codec)
        stage.order(Play("a", "p", music))
        stage.run(1.0)
        assert {each.payload_type for each in phone.packets} == {TYPES[codec]}
        assert set(np.diff([each.timestamp_ticks for each in phone.packets])) == {CODECS[codec].frame_ticks}
        rate_hz = CODECS[codec].rate_hz
        assert likeness(MUSIC[: 8000 : 16_000 // rate_hz], phone.heard(), rate_hz)[0] > 0.95

    def test_a_loop_until_stopped(self, stage, music):
        stage.open("a")
        stage.order(Play("a", "p", music, loop=True))
        stage.run(5.0)
        assert stage.take(Played) == []
        stage.order(StopPlay("a"), StopPlay("a"))
        assert stage.take(Played) == [Played("a", "p", "stopped")]

    def test_a_newer_one_replaces_it(self, stage, music):
        stage.open("a")
        stage.order(Play("a", "one", music), Play("a", "two", music))
        stage.run(3.0)
        assert stage.take(Played) == [Played("a", "one", "replaced"), Played("a", "two", "ended")]

    def test_no_such_sound_leaves_what_is_played(self, stage, music):
        stage.open("a")
        stage.order(Play("a", "one", music), Play("a", "two", "/none"))
        (failed,) = stage.take(Played)
        assert failed.play == "two"
        assert "No such file" in failed.why
        stage.run(3.0)
        assert stage.take(Played) == [Played("a", "one", "ended")]

    def test_thrown_away_before_another_codec_wants_it_it_is_over(self, stage, music):
        stage.open("a")
        stage.order(Play("a", "p", music, loop=True))
        stage.run(0.1)
        for rate_hz in (8_000, 16_000):
            Path(f"{music}-{rate_hz}.pcm").unlink()
        stage.run(0.1)
        assert stage.take(Played) == []
        stage.agree("a", "G722")
        stage.run(0.1)
        assert "No such file" in stage.take(Played)[0].why
        assert stage.failed == []

    def test_thousands_keep_no_files_open(self, stage, music):
        folder = Path("/proc/self/fd")
        before = len(list(folder.iterdir()))
        for at in range(50):
            stage.open(f"e{at}")
            stage.order(Play(f"e{at}", "p", music, loop=True))
        stage.run(0.1)
        assert len(list(folder.iterdir())) <= before + 1

    @pytest.mark.parametrize("codecs", [(), ((18, "G729"),)], ids=["none", "unknown"])
    def test_without_a_codec_it_is_over_and_no_key_keeps_the_clock_busy(self, stage, music, codecs):
        stage.open("a")
        stage.open("b")
        stage.join("a", "b")
        stage.order(SendDigit("a", "1"))
        stage.run(0.06)
        stage.order(Play("a", "p", music), SendDigit("a", "2"))
        stage.agree("a", "PCMU", codecs=codecs)
        stage.run(0.04)
        assert [event.why for event in stage.take(Played)] == ["no codec that the PBX knows was agreed on"]
        assert rest(stage, "a")

    def test_another_codec_and_payload_type_in_the_middle(self, stage, music):
        phone = stage.open("a")
        stage.order(Play("a", "p", music))
        stage.run(0.5)
        stage.agree("a", "OPUS", codecs=((96, "OPUS"),), heard_codecs=((111, "OPUS"),))
        stage.run(0.5)
        stage.agree("a", "G722")
        stage.run(0.5)
        assert [each.payload_type for each in phone.packets] == [0] * 25 + [96] * 25 + [9] * 25
        assert {np.diff([each.sequence for each in phone.packets]).max() for _ in "1"} == {1}
        assert stage.failed == []

    def test_another_codec_under_the_same_payload_type(self, stage):
        phone = stage.open("a", "PCMU", codecs=((96, "PCMU"),))
        stage.order(Mix("a", "room"))
        stage.run(0.5)
        stage.agree("a", "PCMA", codecs=((96, "PCMA"),))
        stage.run(0.5)
        assert {each.payload for each in phone.packets[-20:]} == {CODECS["PCMA"].silence}

    def test_a_held_peer_gets_nothing_and_time_goes_on(self, stage, music):
        phone = stage.open("a")
        stage.order(Play("a", "p", music))
        stage.agree("a", "PCMU", may_send=False)
        stage.run(1.0)
        assert phone.packets == []
        stage.agree("a", "PCMU")
        stage.run(1.5)
        assert stage.take(Played) == [Played("a", "p", "ended")]

    def test_one_stream_whatever_comes_and_goes(self, stage, music):
        phone, _ = stage.open("a"), stage.open("b")
        stage.join("a", "b")
        for _ in range(3):
            stage.order(Play("a", "p", music))
            stage.run(0.1)
            stage.order(StopPlay("a"))
            stage.run(0.9)
            assert rest(stage, "a")
        packets = phone.packets
        assert len({each.ssrc for each in packets}) == 1
        assert [each.sequence - packets[0].sequence for each in packets] == list(range(15))
        spurts = [each.timestamp_ticks - packets[0].timestamp_ticks for each in packets[::5]]
        assert spurts == pytest.approx([0, 8_000, 16_000], abs=160)  # a second apart
        assert [at for at, each in enumerate(packets) if each.marker] == [0, 5, 10]

    def test_a_stall_is_made_up_for_and_a_long_one_is_not(self, stage, music):
        phone = stage.open("a")
        stage.order(Play("a", "p", music))
        stage.run(0.1)
        stage.now += 0.06
        stage.run(0.02)
        assert len(phone.packets) == 5 + 3 + 1
        stage.now += 10.0
        stage.run(0.02)
        assert len(phone.packets) <= 11


HOLDING = {
    "its own music": (tone(500, 8_000, 0.5), True),
    "silence": (silence(4_000), False),
    "a quiet room": (tone(200, 8_000, 0.5, peak=20), False),
}


class TestOverACall:
    @pytest.fixture
    def call(self, stage):
        a, b = stage.open("a"), stage.open("b")
        stage.join("a", "b")
        stage.run(0.2, a=tone(300, 8_000, 0.2), b=tone(300, 8_000, 0.2))
        return a, b

    def test_the_peer_hears_the_sound_alone_and_then_the_other_again(self, stage, call, music):
        a, b = call
        before = len(a.packets)
        stage.order(Play("a", "p", music))
        stage.run(2.0, a=tone(700, 8_000, 2.0), b=tone(300, 8_000, 2.0))
        played = a.packets[before:]
        assert b.ssrc not in {each.ssrc for each in played[1:]}
        assert len(b.packets) == 110  # who plays something to a does not keep a from being heard
        stage.run(0.2, b=tone(300, 8_000, 0.2))
        assert {each.ssrc for each in a.packets[-9:]} == {b.ssrc}
        assert stage.take(Played) == [Played("a", "p", "ended")]
        assert rest(stage, "a")

    def test_a_filler_waits_and_then_plays(self, stage, call, music):
        a, _ = call
        before = len(a.packets)
        stage.order(Play("a", "music", music, loop=True, is_filler=True))
        stage.run(WAIT_S - 0.04)
        assert len(a.packets) == before
        stage.run(1.0)
        assert len(a.packets) > before + 45

    @pytest.mark.parametrize(("said", "gives_way"), HOLDING.values(), ids=HOLDING)
    def test_a_filler_gives_way_to_what_the_holding_phone_plays(self, stage, call, music, said, gives_way):
        a, b = call
        stage.order(Play("a", "music", music, loop=True, is_filler=True))
        stage.run(1.0, b=said)
        expected = [Played("a", "music", "not needed")] if gives_way else []
        assert stage.take(Played) == expected
        assert rest(stage, "a") == gives_way
        stage.run(0.1, b=tone(500, 8_000, 0.1))
        assert (a.packets[-1].ssrc == b.ssrc) == gives_way

    def test_a_filler_does_not_give_way_to_what_was_said_before_the_hold_and_comes_late(
        self, stage, call, music
    ):
        a, b = call
        stage.order(Play("a", "music", music, loop=True, is_filler=True))
        stage.run(TAIL_S - 0.04, b=tone(500, 8_000, TAIL_S))
        before = len(a.packets)
        stage.run(1.0)
        assert stage.take(Played) == []
        assert len(a.packets) > before + 25
        assert b.ssrc not in {each.ssrc for each in a.packets[before:]}

    @pytest.mark.parametrize("payload_type", [13, EVENTS], ids=["comfort noise", "a key"])
    def test_a_filler_does_not_give_way_to_what_is_no_sound(self, stage, call, music, payload_type):
        stage.order(Play("a", "music", music, loop=True, is_filler=True))
        for _ in range(5):
            call[1].send(b"\x40\x0a\x00\xa0", payload_type)
            stage.run(0.2)
        assert stage.take(Played) == []

    def test_a_filler_gives_way_to_a_codec_that_nobody_here_knows(self, stage, call, music):
        stage.order(Play("a", "music", music, loop=True, is_filler=True))
        stage.run(TAIL_S)
        call[1].send(b"\x01\x02", 18)
        stage.run(0.1)
        assert stage.take(Played) == [Played("a", "music", "not needed")]

    def test_the_other_side_hangs_up_in_the_middle(self, stage, call, music):
        a, _ = call
        stage.order(Play("a", "p", music))
        stage.run(0.5)
        stage.close("b")
        stage.run(3.0)
        assert stage.take(Played) == [Played("a", "p", "ended")]
        assert a.packets[-1].payload == CODECS["PCMU"].silence

    def test_who_is_in_a_room_hears_its_joined_peer_by_the_room_alone(self, stage, call):
        a, _ = call
        stage.order(Mix("a", "room"), Mix("b", "room"))
        stage.run(1.0, b=tone(500, 8_000, 1.0))
        assert len({each.ssrc for each in a.packets[-40:]}) == 1
        assert level_db(a.heard()[-1600:]) > -20


class TestKeys:
    def events(self, phone, payload_type=EVENTS):
        return [each for each in phone.packets if each.payload_type == payload_type]

    def test_as_events(self, stage):
        phone = stage.open("a")
        stage.run(0.02)
        stage.order(SendDigit("a", "5", 100), SendDigit("a", "#", 100))
        stage.run(1.0)
        told = [(each.timestamp_ticks, unpack_event(each.payload)) for each in self.events(phone)]
        assert [event.digit for _, event in told] == ["5"] * 7 + ["#"] * 7
        assert [event.duration_ticks for _, event in told[:7]] == [160, 320, 480, 640, 800, 800, 800]
        assert [event.end for _, event in told[:7]] == [False] * 4 + [True] * 3
        assert len({at for at, _ in told}) == 2
        assert [at for at, each in enumerate(self.events(phone)) if each.marker] == [0, 7]
        assert np.diff([each.sequence for each in phone.packets]).max() == 1

    def test_under_the_type_that_the_peer_wants(self, stage):
        phone = stage.open("a", telephone_event_send=96)
        stage.order(SendDigit("a", "5"))
        stage.run(0.5)
        assert len(self.events(phone, 96)) == 10
        assert not self.events(phone)

    def test_in_the_clock_of_events_though_the_peers_number_means_another_codec_to_us(self, stage):
        phone = stage.open("a", telephone_event_send=96, clock_rates=((96, 48_000), (EVENTS, 8_000)))
        stage.order(SendDigit("a", "5", 100))
        stage.run(0.5)
        assert unpack_event(self.events(phone, 96)[-1].payload).duration_ticks == 800

    @pytest.mark.parametrize("clock_hz", [8_000, 48_000])
    def test_beside_opus_in_the_clock_that_was_agreed_on(self, stage, clock_hz):
        phone = stage.open("a", "OPUS", clock_rates=((111, 48_000), (EVENTS, clock_hz)))
        stage.order(SendDigit("a", "5", 100))
        stage.run(0.5)
        assert unpack_event(self.events(phone)[-1].payload).duration_ticks == clock_hz // 10

    @pytest.mark.parametrize("codec", CODECS)
    def test_as_tones_where_no_events_are_agreed_on(self, stage, codec):
        phone = stage.open("a", codec, events=None)
        for digit in "1590":
            stage.order(SendDigit("a", digit))
        stage.run(1.5)
        heard = phone.heard()
        narrow = heard if len(heard) % 160 == 0 and CODECS[codec].rate_hz == 8_000 else heard[::2]
        detector = dtmf.Detector()
        assert "".join(detector.feed(narrow[: len(narrow) // 160 * 160])) == "1590"

    def test_another_rate_in_the_middle_of_a_tone(self, stage):
        phone = stage.open("a", "PCMU", events=None)
        stage.order(SendDigit("a", "5", 400))
        stage.run(0.1)
        stage.agree("a", "G722", events=None)
        stage.run(0.2)
        assert dtmf.Detector().feed(phone.heard("G722")[::2]) == ["5"]
        stage.agree("a", "PCMU", events=None)
        stage.run(0.5)
        assert stage.failed == []
        assert {each.payload_type for each in phone.packets} == {0, 9}

    def test_over_a_call_the_other_is_covered_and_heard_again(self, stage):
        a, b = stage.open("a"), stage.open("b")
        stage.join("a", "b")
        stage.run(0.2, b=voice(8_000, 0.2))
        stage.order(SendDigit("a", "5"))
        stage.run(0.5, b=voice(8_000, 0.5))
        assert len(self.events(a)) == 10
        assert a.packets[-1].ssrc == b.ssrc
        assert rest(stage, "a")

    @pytest.mark.parametrize("digit", ["", "X", "12", "a"])
    def test_what_is_no_key_is_not_pressed(self, stage, digit):
        stage.open("a")
        stage.order(SendDigit("a", digit))
        stage.run(0.1)
        assert stage.failed == []

    @pytest.mark.parametrize(("asked_ms", "sent_ms"), [(-5, 40), (0, 40), (10**12, LONGEST_MS)])
    def test_neither_too_short_nor_for_ever(self, stage, asked_ms, sent_ms):
        phone = stage.open("a")
        stage.order(SendDigit("a", "5", asked_ms))
        stage.run(LONGEST_MS / 1000 + 1)
        assert unpack_event(self.events(phone)[-1].payload).duration_ticks == sent_ms * 8
        assert self.events(phone)[-1].payload == self.events(phone)[-3].payload

    def test_more_than_anybody_presses_are_not_kept(self, stage):
        stage.open("a")
        stage.order(*[SendDigit("a", "5")] * 1000)
        assert len(stage.studio._voices["a"]._presses) == MOST_PRESSES


class TestHearing:
    """What a recording of one peer holds."""

    def record(self, stage):
        stage.order(Record("a", "r", "/file"))
        return stage.files.made[-1]

    def end(self, stage):
        stage.close("a")
        (event,) = stage.take(Recorded)
        return stage.files.made[-1], event

    @pytest.mark.parametrize("codec", CODECS)
    def test_in_every_codec(self, stage, codec):
        stage.open("a", codec)
        self.record(stage)
        rate_hz = CODECS[codec].rate_hz
        said = voice(rate_hz, 2.0)
        stage.run(2.2, a=said)
        writer, event = self.end(stage)
        assert (writer.rate_hz, event.seconds) == (rate_hz, pytest.approx(2.2, abs=0.03))
        assert likeness(said, writer.side(), rate_hz)[0] > 0.9

    @pytest.mark.parametrize("ptime_ms", [10, 30, 60])
    def test_whatever_the_packet_time(self, stage, ptime_ms):
        phone, said = stage.open("a"), voice(8_000, 3.0)
        self.record(stage)
        size, now = 8 * ptime_ms, 0.0
        law = CODECS["PCMU"]
        encoder = phone.encoder._law
        for at in range(0, len(said), size):
            phone.send(encoder(said[at : at + size].tobytes(), 2), law.payload_type)
            phone.timestamp += size
            now += ptime_ms / 1000
            while stage.now < 100.0 + now - 1e-6:
                stage.pass_time()
        stage.run(0.3)
        writer, _ = self.end(stage)
        assert likeness(said, writer.side(), 8_000)[0] > 0.95

    def test_by_another_payload_type_than_it_is_told_in(self, stage):
        stage.open("a", "OPUS", codecs=((96, "OPUS"),))
        self.record(stage)
        said = voice(16_000, 1.0)
        stage.run(1.2, a=said)
        writer, _ = self.end(stage)
        assert likeness(said, writer.side(), 16_000)[0] > 0.9

    def test_a_payload_type_that_means_another_codec_from_now_on(self, stage):
        phone = stage.open("a", "PCMU", heard_codecs=((96, "PCMU"),), clock_rates=())
        self.record(stage)
        first, second = tone(500, 8_000, 1.0), tone(900, 8_000, 1.0)
        for at in range(0, 8_000, 160):
            phone.say(first[at : at + 160], payload_type=96)
            stage.run()
        stage.agree("a", "PCMA", heard_codecs=((96, "PCMA"),), clock_rates=())
        phone.use("PCMA")
        for at in range(0, 8_000, 160):
            phone.say(second[at : at + 160], payload_type=96)
            stage.run()
        stage.run(0.2)
        writer, _ = self.end(stage)
        assert likeness(second[:4000], writer.side()[-7_000:], 8_000)[0] > 0.95

    def test_another_source(self, stage):
        phone, said = stage.open("a"), voice(8_000, 3.0)
        self.record(stage)
        stage.run(1.0, a=said)
        phone.ssrc, phone.sequence, phone.timestamp = 9, 60_000, 5
        stage.run(1.2, a=said[8_000:])
        writer, _ = self.end(stage)
        assert likeness(said[8_000:14_000], writer.side()[8_000:], 8_000)[0] > 0.95

    def test_a_network_that_shakes_loses_little(self, stage):
        phone, said, rng = stage.open("a"), voice(8_000, 4.0), np.random.default_rng(1)
        self.record(stage)
        arrivals = []
        for at in range(200):
            arrivals.append((at * 0.02 + rng.exponential(0.03), at))
        waiting = sorted(arrivals)
        for step in range(260):
            while waiting and waiting[0][0] <= step * 0.02:
                at = waiting.pop(0)[1]
                phone.sequence, phone.timestamp = 100 + at, 160 * at
                phone.say(said[at * 160 : at * 160 + 160])
            stage.run()
        writer, _ = self.end(stage)
        assert likeness(said[16_000:], writer.side(), 8_000)[0] > 0.7
        assert stage.failed == []

    def test_keys_and_comfort_noise_are_no_losses(self, stage):
        phone, said = stage.open("a"), voice(8_000, 1.0)
        self.record(stage)
        stage.run(0.5, a=said)
        buffer = stage.studio._voices["a"]._playout.buffer
        for payload_type in (EVENTS, 13, 127):
            phone.send(b"\x01\x0a\x00\xa0", payload_type)
        stage.run(0.5, a=said[4_000:])
        assert buffer.lost == 0
        assert buffer is stage.studio._voices["a"]._playout.buffer

    @pytest.mark.parametrize("packet", [b"\xbf\x00" + bytes(10), b"\x80\x09" + bytes(20)])
    def test_rubbish(self, stage, packet):
        phone = stage.open("a", clock_rates=())
        self.record(stage)
        phone.stage.net.arrive(phone.port, ("192.0.2.1", phone.port), packet, now=stage.now)
        stage.run(0.1)
        assert stage.failed == []

    def test_what_nobody_wants_is_not_decoded(self, stage, music):
        stage.open("a")
        stage.open("b")
        stage.order(Play("a", "p", music, loop=True), SendDigit("b", "1"))
        stage.run(1.0, a=voice(8_000, 1.0), b=voice(8_000, 1.0))
        assert [stage.studio._voices[name]._playout for name in "ab"] == [None, None]

    def test_what_a_muted_one_says_neither(self, stage):
        stage.open("a")
        stage.open("b")
        stage.order(Mix("a", "room", muted=True), Mix("b", "room"))
        stage.run(0.5, a=voice(8_000, 0.5), b=voice(8_000, 0.5))
        heard = {name: stage.studio._voices[name]._playout is not None for name in "ab"}
        assert heard == {"a": False, "b": True}
        stage.order(Mix("a", "room"), Mix("b", "room", muted=True))
        stage.run(0.5, a=voice(8_000, 0.5))
        assert level_db(stage.phones["b"].heard()[-3200:]) > -40

    def test_nothing_stale_is_heard_when_somebody_listens_again(self, stage):
        stage.open("a")
        self.record(stage)
        stage.run(0.5, a=tone(440, 8_000, 0.5))
        stage.order(StopRecord("a", "r"))
        assert stage.take(Recorded)
        stage.run(5.0)
        self.record(stage)
        stage.run(1.0)
        writer, _ = self.end(stage)
        assert not writer.side().any()


class TestTones:
    def test_keys_that_are_heard(self, stage):
        stage.open("a", "G722", events=None)
        stage.order(Detect("a"))
        said = np.concatenate(
            [
                silence(3_200),
                *(each for digit in "19#" for each in (dtmf.make_digit(digit, 100, 16_000), silence(1_600))),
            ]
        )
        stage.run(len(said) / 16_000 + 0.3, a=said)
        assert [event.digit for event in stage.take(Digit)] == list("19#")

    @pytest.mark.parametrize("late_ms", [40, 80, 120, 300])
    @pytest.mark.parametrize("codec", CODECS)
    def test_a_worker_that_is_late_hears_all_that_waits_in_its_socket(self, stage, codec, late_ms):
        phone = stage.open("a", codec, events=None)
        stage.order(Detect("a"))
        rate_hz = CODECS[codec].rate_hz
        keys = "112358#*0D" * 4
        pressed = (
            each for key in keys for each in (dtmf.make_digit(key, 80, rate_hz), silence(rate_hz // 10))
        )
        frames = np.concatenate((silence(rate_hz // 10), *pressed, silence(rate_hz // 5)))
        frames = frames.reshape(-1, rate_hz // 50)
        for at in range(0, len(frames), 4 + late_ms // 20):
            for frame in frames[at : at + 4]:
                stage.run(a=frame)
            waiting = frames[at + 4 : at + 4 + late_ms // 20]
            stage.now = round(stage.now + len(waiting) * 0.02, 6)
            for frame in waiting:  # one from each socket, then the clock is looked at
                phone.say(frame)
                stage.due = stage.studio.tick(stage.now)
        stage.run(0.3)
        assert "".join(event.digit for event in stage.take(Digit)) == keys

    def test_ordered_twice_it_does_not_begin_anew(self, stage):
        stage.open("a", events=None)
        stage.order(Detect("a"))
        said = np.concatenate((silence(1_600), dtmf.make_digit("5", 400), silence(1_600)))
        for at in range(0, len(said), 1_600):
            stage.order(Detect("a"))
            stage.run(0.2, a=said[at : at + 1_600])
        stage.run(0.3)
        assert [event.digit for event in stage.take(Digit)] == ["5"]

    def test_off_again_and_off_where_it_never_was(self, stage):
        stage.open("a", events=None)
        stage.open("b", events=None)
        stage.join("a", "b")
        stage.order(Detect("b", on=False))
        assert rest(stage, "b")
        stage.order(Detect("a"))
        stage.run(0.1, a=voice(8_000, 0.1))
        stage.order(Detect("a", on=False))
        assert rest(stage, "a")
