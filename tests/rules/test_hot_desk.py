import pytest

from pbx.office.device import Device
from pbx.office.member import Member
from pbx.rules.facts import Caller
from pbx.rules.hot_desk import caller_of, is_logged_out, phones_of, phones_that_ring
from tests.rules.world import FakeWorld, ext, inside, office

ANN, BOB = "ann@acme.example", "bob@acme.example"
HOT = {"hot_desking": True}
PLACE = office(
    ext("100", assignee=ANN, mobile=True),
    ext("101", assignee=ANN),
    ext("102", assignee=BOB, **HOT),
    ext("200", **HOT),
    ext("201", ring=False, **HOT),
    members=(Member(ANN, "Ann", "owner"), Member(BOB, "Bob")),
)


def test_the_extension_of_a_member_is_the_first_that_is_his():
    assert PLACE.extension_of(ANN).key == "100"
    assert PLACE.extension_of(ANN.upper()).key == "100"
    assert PLACE.extension_of("nobody@acme.example") is None
    assert PLACE.extension_of("") is None


CALLERS = {
    "nobody is logged in": ("200", {}, Caller("200", "200", name="Phone 200")),
    "a member is logged in": ("200", {"200": ANN}, Caller("100", "200", name="Phone 100", member=ANN)),
    "at his own phone": ("102", {"102": BOB}, Caller("102", "102", name="Phone 102", member=BOB)),
    "a login where hot desking is off counts no more": (
        "103",
        {"103": ANN},
        Caller("103", "103", name="Phone 103"),
    ),
    "a member who is gone": ("200", {"200": "gone@acme.example"}, Caller("200", "200", name="Phone 200")),
}


@pytest.mark.parametrize(("key", "logins", "caller"), CALLERS.values(), ids=CALLERS)
def test_who_calls(key, logins, caller):
    assert caller_of(PLACE, FakeWorld(logins=logins), PLACE.extension(key), Device("ip_phone", key)) == caller


def test_who_is_logged_out():
    assert is_logged_out(PLACE, Caller("200", "200"))
    assert not is_logged_out(PLACE, Caller("100", "200", member=ANN))
    assert not is_logged_out(PLACE, inside("100"))
    assert not is_logged_out(PLACE, Caller(number="+6561112222"))


PHONES = {
    "no logins": ("100", {}, ["100", "100-mobile"]),
    "its member's calls ring at the hot desk too": ("100", {"200": ANN}, ["100", "100-mobile", "200"]),
    "also where the phone has no ring tick": ("100", {"201": ANN}, ["100", "100-mobile", "201"]),
    "only those of his first extension": ("101", {"200": ANN}, ["101"]),
    "a phone that somebody else has does not ring for its own member": ("102", {"102": ANN}, []),
    "and rings for him": ("100", {"102": ANN}, ["100", "100-mobile", "102"]),
    "a member at his own phone": ("102", {"102": BOB}, ["102"]),
    "a desk that is nobody's is called back whoever is there": ("200", {"200": ANN}, ["200"]),
    "a desk where nobody is logged in": ("200", {}, ["200"]),
    "a login where hot desking is off": ("100", {"103": ANN}, ["100", "100-mobile"]),
    "a login at a phone that is gone": ("100", {"999": ANN}, ["100", "100-mobile"]),
}


@pytest.mark.parametrize(("key", "logins", "phones"), PHONES.values(), ids=PHONES)
def test_which_phones_are_an_extensions(key, logins, phones):
    assert list(phones_of(PLACE, FakeWorld(logins=logins), PLACE.extension(key))) == phones


def test_of_these_the_registered_ones_ring_but_the_callers():
    world = FakeWorld(frozenset({"100"}), logins={"200": ANN})
    extension = PLACE.extension("100")
    assert phones_that_ring(PLACE, world, extension) == ("100-mobile", "200")
    assert phones_that_ring(PLACE, world, extension, Caller("100", "200", member=ANN)) == ("100-mobile",)
