"""Busy lamps (RFC 4235): what extensions show, and who is told when."""

from types import SimpleNamespace
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pbx.call.busy_lamps import Shown, render_dialog_info, show_calls
from pbx.call.leg import CALLING, ENDING, OVER, UP
from tests.call.test_subscriptions import Watcher
from tests.call.world import DOMAIN, Phone, make_office, talk

NAMESPACE = "{urn:ietf:params:xml:ns:dialog-info}"


def call(name, *legs):
    """Legs are key, state, and whether it is the caller's."""
    made = [
        SimpleNamespace(party=SimpleNamespace(key=key, trunk=""), state=state, is_caller=is_caller)
        for key, state, is_caller in legs
    ]
    return SimpleNamespace(id=name, legs=made)


SHOWN = {
    "nobody talks": ([], {}),
    "one calls another": (
        [call("c", ("100", CALLING, True), ("101", CALLING, False))],
        {"100": ["c-i initiator early"], "101": ["c-r recipient early"]},
    ),
    "they talk": (
        [call("c", ("100", UP, True), ("101", UP, False))],
        {"100": ["c-i initiator confirmed"], "101": ["c-r recipient confirmed"]},
    ),
    "several phones of one extension are one call": (
        [call("c", ("100", CALLING, True), ("101", CALLING, False), ("101", CALLING, False))],
        {"100": ["c-i initiator early"], "101": ["c-r recipient early"]},
    ),
    "the one that talks counts": (
        [call("c", ("101", CALLING, False), ("101", UP, False), ("101", CALLING, False))],
        {"101": ["c-r recipient confirmed"]},
    ),
    "what ends is not shown": ([call("c", ("100", ENDING, True), ("101", OVER, False))], {}),
    "an extension calls itself": (
        [call("c", ("100", CALLING, True), ("100", CALLING, False))],
        {"100": ["c-i initiator early", "c-r recipient early"]},
    ),
    "two calls at once": (
        [call("c", ("100", UP, True)), call("d", ("100", CALLING, False))],
        {"100": ["c-i initiator confirmed", "d-r recipient early"]},
    ),
}


@pytest.mark.parametrize(("calls", "expected"), SHOWN.values(), ids=SHOWN)
def test_what_extensions_show(calls, expected):
    assert {key: [" ".join(each) for each in shown] for key, shown in show_calls(calls).items()} == expected


TEXT = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=20)


@given(TEXT, st.integers(0, 2**32), st.lists(st.builds(Shown, TEXT, TEXT, TEXT)))
def test_whatever_is_in_it_it_is_xml(entity, version, shown):
    root = ElementTree.fromstring(render_dialog_info(entity, version, shown))
    assert (root.tag, root.get("entity"), root.get("version")) == (
        f"{NAMESPACE}dialog-info",
        entity,
        str(version),
    )
    assert root.get("state") == "full"
    found = [(each.get("id"), each.get("direction"), each.findtext(f"{NAMESPACE}state")) for each in root]
    assert found == [tuple(each) for each in shown]


def states(phone: Phone) -> list[list[str]]:
    """Of each NOTIFY, the states of its dialogs; the versions count."""
    found = []
    for number, notify in enumerate(phone.all("NOTIFY")):
        assert notify.headers.get("Content-Type") == "application/dialog-info+xml"
        root = ElementTree.fromstring(notify.body)
        assert root.get("version") == str(number)
        found.append([f"{each.get('direction')} {each.findtext(f'{NAMESPACE}state')}" for each in root])
    return found


@pytest.fixture
def eve(world):
    return world.phone("102", kind=Watcher)


def watch(eve, key="101"):
    response = eve.subscribe(f"sip:{key}@{DOMAIN}", event="dialog")
    assert response.status == 200
    return response


IDLE = ["recipient terminated"]


def test_a_lamp_follows_a_call(world, ann, bob, eve):
    watch(eve)
    world.wait(1)
    ann.invite("101")
    world.wait(1)
    bob.ring()
    world.wait(1)
    bob.answer()
    ann.ack()
    world.wait(1)
    assert states(eve) == [IDLE, ["recipient early"], ["recipient confirmed"]]
    ann.bye()
    bob.ok("BYE")
    world.wait(1)
    assert states(eve)[3:] == [["recipient terminated"]]
    first, last = (ElementTree.fromstring(each.body)[0].get("id") for each in eve.all("NOTIFY")[2:])
    assert first == last  # it is the same call that has ended
    world.wait(700)
    world.assert_nothing_left()


def test_who_watches_during_a_call_is_told_at_once_and_once(world, ann, bob, eve):
    talk(world, ann, bob)
    world.wait(1)
    watch(eve)
    world.wait(1)
    watch(eve, "100")
    assert [each[0] for each in states_of_all(eve)] == ["recipient confirmed", "initiator confirmed"]
    world.wait(5)
    assert len(eve.all("NOTIFY")) == 2


def test_who_watches_when_nobody_has_for_a_while_is_told_what_is_so_then(world, ann, bob, eve):
    watch(eve)
    world.wait(1)
    assert world.exchange.busy_lamps.is_watched
    eve.refresh(expires=0, event="dialog")
    world.wait(1)
    assert not world.exchange.busy_lamps.is_watched
    talk(world, ann, bob)
    world.wait(1)
    before = len(eve.all("NOTIFY"))
    watch(eve)
    world.wait(5)
    assert states_of_all(eve)[before:] == [["recipient confirmed"]]


def test_who_is_refused_does_not_watch(world, eve):
    response = eve.subscribe(f"sip:101@{DOMAIN}", event="dialog", **{"Record-Route": "<sip:broken"})
    assert response.status == 400
    assert not world.exchange.busy_lamps.is_watched


def states_of_all(phone):
    return [
        [
            f"{each.get('direction')} {each.findtext(f'{NAMESPACE}state')}"
            for each in ElementTree.fromstring(m.body)
        ]
        for m in phone.all("NOTIFY")
    ]


def test_nothing_is_sent_for_others_and_nobody_is_named(world, ann, bob, eve):
    watch(eve, "102")
    talk(world, ann, bob)
    world.wait(1)
    assert states(eve) == [IDLE]
    watch(eve, "101")
    text = eve.all("NOTIFY")[-1].body.decode()
    assert "sip:101@" in text
    assert "100" not in text
    assert not any(tag in text for tag in (ann.tag, bob.tag, "tag="))


def test_no_more_than_ten_a_second_to_one_device(world, ann, bob, eve):
    for key in ("100", "101"):
        watch(eve, key)
    world.wait(1)
    start, before = world.now, len(eve.all("NOTIFY"))
    while world.now < start + 1.0:
        ann.invite("101")
        world.wait(0.01)
        ann.cancel()
        bob.respond(bob.last("INVITE"), 487)
        world.wait(0.01)
    sent = len(eve.all("NOTIFY")) - before
    assert 8 <= sent <= 12
    world.wait(2)
    assert states_of_all(eve)[-1][-1].endswith("terminated")
    world.wait(700)
    world.assert_nothing_left()


def test_an_extension_by_the_name_of_its_device_and_nobody(world, ann, eve):
    assert eve.subscribe(f"sip:999@{DOMAIN}", event="dialog").status == 404
    assert eve.subscribe(f"sip:{DOMAIN}", event="dialog").status == 200  # itself


def test_an_extension_that_is_removed(world, ann, eve):
    watch(eve, "100")
    world.perform(world.exchange.swap_office(make_office("101", "102"), world.now))
    assert eve.told[-1][0] == "terminated;reason=noresource"


def test_lamps_of_both_kinds_side_by_side(world, ann, eve):
    watch(eve)
    eve.subscribe()
    events = [each.headers.get("Event") for each in eve.all("NOTIFY")]
    assert events == ["dialog", "message-summary"]
    assert eve.responses("SUBSCRIBE")[-1].headers.get("Allow-Events") == "message-summary, dialog"
