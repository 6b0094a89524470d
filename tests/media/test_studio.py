"""The studio as a whole: what is there and what is gone, whose bug it is, how much a tick costs."""

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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
from pbx.media.room import Room
from pbx.media.samples import frame_size
from pbx.media.studio import PHASES
from pbx.rtp.telephone_event import TelephoneEvent
from tests.support.sound import tone, voice
from tests.support.stage import EVENTS, Stage, write_sound


@pytest.fixture
def stage():
    return Stage()


@pytest.fixture(scope="session")
def music(tmp_path_factory):
    return write_sound(tmp_path_factory.mktemp("sounds"), tone(440, 16_000, 0.5))


STATES = {
    "playing": [Play("a", "p", "MUSIC", loop=True)],
    "waiting to play": [Play("a", "p", "MUSIC", is_filler=True)],
    "recording": [Record("a", "r", "/file")],
    "recording both": [Record("a", "r", "/file", "b")],
    "recorded by the other": [Record("b", "r", "/file", "a")],
    "in a room": [Mix("a", "room"), Mix("b", "room")],
    "alone in a room": [Mix("a", "room", echo=True)],
    "detecting": [Detect("a")],
    "pressing": [SendDigit("a", "1"), SendDigit("a", "2")],
    "all at once": [
        Mix("a", "room"),
        Mix("b", "room"),
        Record("a", "r", "/file", "b"),
        Record("b", "s", "/other"),
        Detect("a"),
        Play("a", "p", "MUSIC"),
        SendDigit("a", "1"),
    ],
}


@pytest.mark.parametrize("is_joined", [False, True], ids=["alone", "joined"])
@pytest.mark.parametrize("orders", STATES.values(), ids=STATES)
def test_closed_in_the_middle_of_it(stage, music, orders, is_joined):
    for name in "ab":
        stage.open(name)
    if is_joined:
        stage.join("a", "b")
    for order in orders:
        stage.order(Play(*order_values(order, music)) if isinstance(order, Play) else order)
    stage.run(0.3, a=voice(8_000, 0.3), b=voice(8_000, 0.3))
    for name in "ab":
        stage.close(name)
        stage.run(0.1)
    assert len(stage.studio) == 0
    assert stage.due == float("inf")
    assert all(writer.is_closed for writer in stage.files.made)
    plays = {order.play for order in orders if isinstance(order, Play)}
    assert {event.play for event in stage.take(Played)} == plays
    recordings = {order.recording for order in orders if isinstance(order, Record)}
    assert {(event.recording, event.why) for event in stage.take(Recorded)} == {
        (each, "closed") for each in recordings
    }
    assert not stage.net.handlers


def order_values(order, music):
    return order.endpoint, order.play, music, order.loop, order.is_filler


def test_orders_for_who_is_gone_do_nothing(stage, music):
    gone = [
        *(Mix("a", "room"), Play("a", "p", music), StopPlay("a")),
        *(StopRecord("a", "r"), Detect("a"), SendDigit("a", "1")),
    ]
    stage.order(*gone)
    assert (len(stage.studio), stage.events) == (0, [])


def test_a_recording_of_who_is_gone_is_answered_all_the_same(stage):
    stage.order(Record("a", "r", "/file"))
    assert stage.take(Recorded) == [Recorded("a", "r", 0.0, "closed")]
    assert len(stage.studio) == 0


def test_what_was_never_begun_cannot_be_stopped(stage):
    stage.open("a")
    stage.order(StopPlay("a"), StopRecord("a", "r"))
    assert (len(stage.studio), stage.events) == (0, [])


def test_a_joined_call_is_left_alone_when_all_is_over(stage, music):
    stage.open("a")
    stage.open("b")
    stage.join("a", "b")
    stage.order(
        Play("a", "p", music),
        Record("a", "r", "/file", "b", 0.4),
        SendDigit("b", "1"),
        Detect("b"),
        Mix("b", "x"),
    )
    stage.order(Detect("b", on=False), Mix("b", ""))
    stage.run(1.5, a=voice(8_000, 1.5), b=voice(8_000, 1.5))
    assert not stage.is_ticking("a")
    assert not stage.is_ticking("b")
    assert stage.due == float("inf")
    assert stage.take(Recorded) == [Recorded("a", "r", 0.4, "full")]


def test_a_recording_of_two_ends_with_either(stage):
    for name in "abc":
        stage.open(name)
    stage.join("a", "b")
    stage.order(Record("a", "r", "/file", "b"), Record("c", "own", "/own"))
    stage.run(0.5)
    stage.close("b")
    assert stage.take(Recorded) == [Recorded("a", "r", 0.5, "closed")]
    stage.run(0.5)
    stage.close("a")
    assert [name for name in "abc" if stage.is_ticking(name)] == ["c"]


@pytest.mark.parametrize("other", ["b", "a"], ids=["gone", "the same"])
def test_a_recording_that_cannot_be(stage, other):
    stage.open("a")
    stage.order(Record("a", "r", "/file", other))
    assert stage.take(Recorded) == [Recorded("a", "r", 0.0, "the other side is gone")]
    assert len(stage.studio) == 0


def test_a_second_one_of_one_name_does_not_harm_the_first(stage):
    stage.open("a")
    stage.order(Record("a", "r", "/file"), Record("a", "r", "/file"))
    (failed,) = stage.take(Recorded)
    assert failed.seconds == 0.0
    stage.run(0.5)
    stage.order(StopRecord("a", "r"))
    assert stage.take(Recorded) == [Recorded("a", "r", 0.5, "stopped")]


def test_a_file_that_could_not_be_written_has_no_length(stage):
    stage.open("a")
    stage.order(Record("a", "r", "/file"))
    stage.files.made[0].trouble = "no space left on device"
    stage.run(0.5)
    stage.order(StopRecord("a", "r"))
    assert stage.take(Recorded) == [Recorded("a", "r", -1.0, "no space left on device")]


def test_when_the_core_is_gone_all_recordings_are_finished(stage):
    for name in "ab":
        stage.open(name)
        stage.order(Record(name, "r", "/file"))
    stage.run(0.5)
    stage.studio.close()
    assert [writer.is_closed for writer in stage.files.made] == [True, True]
    assert [event.seconds for event in stage.take(Recorded)] == [0.5, 0.5]


def test_a_bug_in_one_room_hurts_nobody_else(stage, music, monkeypatch):
    for name in "abcd":
        stage.open(name)
    stage.order(Mix("a", "bad"), Mix("b", "bad"), Mix("c", "good"), Play("d", "p", music, loop=True))
    stage.order(Record("a", "r", "/file"))
    tick = Room.tick

    def broken(room, now):
        if room.name == "bad":
            raise ZeroDivisionError("a bug")
        return tick(room, now)

    stage.run(0.1)
    monkeypatch.setattr(Room, "tick", broken)
    stage.run(0.5)
    assert [(name, str(error)) for name, error in stage.failed] == [("a", "a bug"), ("b", "a bug")]
    assert stage.take(Recorded)[0].why == "closed"
    assert sorted(stage.studio._voices) == ["c", "d"]
    assert len(stage.phones["d"].packets) == 30
    assert sorted(stage.studio._rooms) == ["good"]


def press(phone, code, timestamp):
    phone.timestamp = timestamp
    for at in range(3):
        phone.send(TelephoneEvent(code, at == 2, 10, 160 * (at + 1)).pack(), EVENTS, marker=at == 0)


class TestKeysOfThePeer:
    def test_each_once(self, stage):
        phone = stage.open("a")
        for code, timestamp in ((1, 800), (1, 4000), (11, 8000)):
            press(phone, code, timestamp)
            press(phone, code, timestamp)  # doubled
            stage.run(0.2)
        assert [event.digit for event in stage.take(Digit)] == ["1", "1", "#"]
        assert not stage.is_ticking("a")

    def test_another_source_counts_anew(self, stage):
        phone = stage.open("a")
        press(phone, 1, 1_000_000)
        phone.ssrc = 99
        press(phone, 1, 800)
        assert [event.digit for event in stage.take(Digit)] == ["1", "1"]

    def test_an_offer_in_the_middle_of_a_press_does_not_repeat_it(self, stage):
        phone = stage.open("a")
        phone.timestamp = 800
        phone.send(TelephoneEvent(5, False, 10, 160).pack(), EVENTS, marker=True)
        stage.agree("a", "PCMA")
        phone.send(TelephoneEvent(5, True, 10, 320).pack(), EVENTS)
        assert [event.digit for event in stage.take(Digit)] == ["5"]

    @pytest.mark.parametrize("payload", [b"", b"\x01", b"\xff\xff\xff\xff"])
    def test_rubbish(self, stage, payload):
        phone = stage.open("a")
        phone.send(payload, EVENTS)
        assert stage.take(Digit) == []


def test_rooms_are_spread_over_the_20_ms(stage, music):
    for at in range(40):
        stage.open(f"e{at}")
        stage.order(Play(f"e{at}", "p", music, loop=True))
    assert [len(each) for each in stage.studio._phases] == [10] * PHASES


class Quiet:
    """An endpoint that costs nothing."""

    def __init__(self, name, remote):
        self.name, self.remote, self.peer, self.said = name, remote, None, 0

    def listen(self, ear, cover):
        pass

    def say(self, packet):
        self.said += 1

    def report(self, *_):
        pass


def test_a_thousand_players_are_all_served(stage, music):
    remote = stage.open("a") and stage.endpoints["a"].remote
    for at in range(1000):
        stage.endpoints[f"e{at}"] = Quiet(f"e{at}", remote)
        stage.order(Play(f"e{at}", "p", music, loop=True))
    stage.run(1.0)
    assert {each.said for each in stage.endpoints.values() if isinstance(each, Quiet)} == {50}


names = st.sampled_from("abcd")
orders = st.one_of(
    st.tuples(st.just("open"), names, st.sampled_from(["PCMU", "G722", "OPUS"])),
    st.tuples(st.just("agree"), names, st.sampled_from(["PCMU", "PCMA", "G722", "OPUS", "none"])),
    st.tuples(st.just("join"), names, names).filter(lambda step: step[1] != step[2]),
    st.tuples(st.just("part"), names),
    st.tuples(st.just("close"), names),
    st.tuples(
        *(st.just("send"), names, st.binary(max_size=200), st.sampled_from([0, 8, 9, 111, EVENTS, 13, 99])),
        st.sampled_from([1, 2, 500, 40_000]),
    ),
    st.builds(Mix, names, st.sampled_from(["", "x", "y"]), st.booleans(), st.booleans()),
    st.builds(Play, names, st.sampled_from("pq"), st.just("MUSIC"), st.booleans(), st.booleans()),
    st.builds(StopPlay, names),
    st.builds(
        Record,
        *(names, st.sampled_from("rs"), st.just("/file"), st.sampled_from(["", *"abcd"])),
        *(st.sampled_from([0.0, 0.1]), st.sampled_from([0.0, 0.1])),
    ),
    st.builds(StopRecord, names, st.sampled_from("rs")),
    st.builds(Detect, names, st.booleans()),
    st.builds(SendDigit, names, st.sampled_from("19#x"), st.sampled_from([0, 100])),
)


@settings(max_examples=120, deadline=None)
@given(st.lists(st.tuples(orders, st.integers(0, 4)), max_size=30), st.randoms(use_true_random=False))
def test_whatever_is_ordered_nothing_breaks_and_nothing_is_left(music, script, chance: Random):
    stage = Stage()
    number, asked, plays = 0, [], []
    noise = voice(16_000, 1.0)
    for step, frames in script:
        match step:
            case ("open", name, codec) if name not in stage.endpoints:
                stage.open(name, codec)
            case ("agree", name, codec) if name in stage.endpoints:
                if codec == "none":
                    stage.agree(name, "PCMU", codecs=(), heard_codecs=())
                else:
                    stage.agree(name, codec, may_send=chance.random() < 0.8)
                    stage.phones[name].use(codec)
            case ("join", a, b) if a in stage.endpoints and b in stage.endpoints:
                stage.join(a, b)
            case ("part", name) if name in stage.endpoints:
                stage.part(name)
            case ("close", name):
                stage.close(name)
            case Play():
                number += 1
                stage.order(Play(step.endpoint, f"{number}", music, step.loop, step.is_filler))
                plays += [f"{number}"] * (step.endpoint in stage.endpoints)
            case Record():
                stage.order(step)
                asked.append(step.recording)
            case ("send", name, payload, payload_type, gap) if name in stage.endpoints:
                phone = stage.phones[name]
                phone.sequence += gap
                phone.ssrc += gap == 40_000
                phone.send(payload, payload_type)
            case tuple():
                pass
            case _:
                stage.order(step)
        for _ in range(frames):
            for name in tuple(stage.endpoints):
                phone = stage.phones[name]
                phone.say(noise[: frame_size(16_000 if phone.codec in {"G722", "OPUS"} else 8_000)])
            stage.run()
    for name in tuple(stage.endpoints):
        stage.close(name)
    stage.run(0.1)
    assert stage.failed == []
    assert len(stage.studio) == 0
    assert stage.due == float("inf")
    assert sorted(event.play for event in stage.take(Played)) == sorted(plays)
    assert sorted(event.recording for event in stage.take(Recorded)) == sorted(asked)
    assert all(writer.is_closed for writer in stage.files.made)
