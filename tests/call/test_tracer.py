"""The messages of an extension that is looked at closely, and of nobody else."""

from dataclasses import replace

import pytest

from pbx.call import tracer
from pbx.sip.flow import Flow
from tests.call.world import World, hang_up, make_office, talk

UDP = Flow("UDP", ("192.0.2.7", 5060), ("192.0.2.1", 5060))


def make_world(*debugged: str) -> World:
    office = make_office("100", "101", "102")
    extensions = tuple(replace(each, debug=each.key in debugged) for each in office.extensions)
    return World(replace(office, extensions=extensions))


def told(world: World, subject: str = "") -> list[tuple[str, str, str]]:
    """Leg, direction and first word (or status) of each message of a call."""
    found = []
    for each in world.traces:
        if each.subject == (subject or next(iter(world.records)).id):
            words = each.text.split(" ", 2)
            what = words[1] if words[0] == "SIP/2.0" else words[0]
            found.append((each.leg, "out" if each.is_sent else "in", what))
    return found


LEG_A = [
    *[("A", "in", "INVITE"), ("A", "out", "401"), ("A", "in", "ACK")],
    *[
        ("A", "in", "INVITE"),
        ("A", "out", "100"),
        ("A", "out", "180"),
        ("A", "out", "200"),
        ("A", "in", "ACK"),
    ],
    *[("A", "in", "BYE"), ("A", "out", "200")],
]
LEG_B = [
    *[("B1", "out", "INVITE"), ("B1", "in", "180"), ("B1", "in", "200"), ("B1", "out", "ACK")],
    *[("B1", "out", "BYE"), ("B1", "in", "200")],
]


@pytest.mark.parametrize("debugged", ["100", "101"], ids=["the caller", "the callee"])
def test_the_whole_call_is_kept_from_its_first_message_to_its_last(debugged):
    world = make_world(debugged)
    ann, bob = world.phone("100"), world.phone("101")
    talk(world, ann, bob)
    hang_up(world, ann, bob)
    messages = told(world)
    assert sorted(each for each in messages if each[0] == "A") == sorted(LEG_A)
    assert sorted(each for each in messages if each[0] == "B1") == sorted(LEG_B)
    assert len(messages) == len(LEG_A) + len(LEG_B)
    text = "".join(each.text for each in world.traces)
    assert 'response="*' in text
    assert text.count("response=") == text.count('response="*')


def test_others_are_not_kept():
    world = make_world("102")
    ann, bob = world.phone("100"), world.phone("101")
    talk(world, ann, bob)
    hang_up(world, ann, bob)
    assert world.traces == []


def test_nobody_is_looked_at_and_nothing_is_shown_to_the_tracer(monkeypatch):
    world = make_world()
    monkeypatch.setattr(world.exchange.tracer, "_saw", None)
    ann, bob = world.phone("100"), world.phone("101")
    talk(world, ann, bob)
    hang_up(world, ann, bob)


def test_a_call_that_is_refused_at_once_is_kept():
    world = make_world("100")
    ann = world.phone("100")
    ann.invite("999")
    assert [each[2] for each in told(world)].count("404") == 1
    assert ("A", "in", "INVITE") in told(world)


def test_registrations_are_kept_with_their_challenge():
    world = make_world("100")
    world.phone("100")
    world.phone("101")
    messages = told(world, "register 100")
    assert [what for leg, _, what in messages if leg == "100"] == ["REGISTER", "401", "REGISTER", "200"]
    assert {each.subject for each in world.traces} == {"register 100"}


def test_registrations_of_an_hour_are_limited(monkeypatch):
    monkeypatch.setattr(tracer, "MOST_MESSAGES", 8)
    world = make_world("100")
    ann = world.phone("100")
    for _ in range(10):
        ann.register()
    assert len(told(world, "register 100")) == 8
    world.now += tracer.HOUR_S
    ann.register()
    assert len(told(world, "register 100")) == 12


def test_a_call_without_end_is_kept_within_limits(monkeypatch):
    monkeypatch.setattr(tracer, "MOST_MESSAGES", 5)
    world = make_world("100")
    ann, bob = world.phone("100"), world.phone("101")
    talk(world, ann, bob)
    hang_up(world, ann, bob)
    assert len(told(world)) == 5


def test_what_waits_for_its_call_is_limited_and_nothing_stays_behind(monkeypatch):
    monkeypatch.setattr(tracer, "MOST_WAITING", 4000)
    world = make_world("102")
    ann, bob = world.phone("100"), world.phone("101")
    kept = world.exchange.tracer
    for _ in range(3):
        talk(world, ann, bob)
        hang_up(world, ann, bob)
        assert (
            kept._waiting_octets == sum(len(s.data) for each in kept._waiting.values() for s in each) <= 4000
        )
    world.wait(tracer.LINGER_S + 1)
    world.phone("102")  # a step in which what has ended is forgotten
    assert set(kept._subjects) == {"register 102"}
    assert {subject.name for subject, _ in kept._dialogs.values()} == {"register 102"}


WAITING = {
    "blanks around it": (b"Call-ID \t:  a@b \t", ["a@b"]),
    "its short name": (b"i:a@b", ["a@b"]),
    "nothing": (b"Call-ID:", []),
    # Read again from each blank on, as it was, twenty thousand of them held the core for 12 s.
    "nothing but blanks": (b"Call-ID:" + b" " * 60_000, []),
}


@pytest.mark.parametrize(("line", "expected"), WAITING.values(), ids=WAITING)
def test_messages_wait_by_their_call_id(line, expected):
    made = tracer.Tracer()
    made.watch(["100"])
    made.received(b"OPTIONS sip:100@pbx.local SIP/2.0\r\n" + line + b"\r\n\r\n", UDP, 0.0)
    assert list(made._waiting) == expected


def test_switched_off_in_mid_call_it_stops_and_forgets():
    world = make_world("100")
    ann, bob = world.phone("100"), world.phone("101")
    talk(world, ann, bob)
    before = len(world.traces)
    world.perform(world.exchange.swap_office(make_office("100", "101", "102"), world.now))
    hang_up(world, ann, bob)
    assert len(world.traces) == before
    assert not world.exchange.tracer._dialogs
