"""Who is let in, and what those hear who are not: they and the log must tell the administrator why."""

from dataclasses import replace

import pytest

from pbx.call.exchange import Settings
from pbx.office.credentials import make_ha1
from tests.call.world import DOMAIN, Phone, World, make_office


@pytest.fixture
def world():
    """Extension 100 has another password than the phones of the tests; three mistakes are allowed."""
    office = make_office("100", "101")
    extension = office.extensions[0]
    ha1 = make_ha1("100", DOMAIN, "the right one")
    device = replace(extension.devices[0], ha1_md5=ha1.md5, ha1_sha256=ha1.sha256)
    extensions = (replace(extension, devices=(device,)), *office.extensions[1:])
    return World(replace(office, extensions=extensions), Settings(DOMAIN, failed_auth=3))


def stranger(world, username="100", port=5300):
    """A phone that is not registered."""
    phone = Phone(world, username, port)
    world.phones[phone.address] = phone
    return phone


def try_to_register(phone):
    """The last answer to two REGISTERs, the second with the password of the tests."""
    phone.received.clear()
    to = f"<sip:{phone.username}@{DOMAIN}>"
    phone.send_authenticated(lambda: phone.request("REGISTER", f"sip:{DOMAIN}", to=to))
    return phone.received[-1]


NAMES = {
    "the same in both": ("sip:101@pbx.local", "sip:101@pbx.local", 200, None),
    "the same, written otherwise": ("sip:101@PBX.local", "sip:101@pbx.local", 200, None),
    "To is another's": ("sip:101@pbx.local", "sip:100@pbx.local", 403, "To"),
    "From is another's": ("sip:100@pbx.local", "sip:101@pbx.local", 403, "From"),
    "both are another's": ("sip:100@pbx.local", "sip:100@pbx.local", 403, "To"),
    "From is withheld": ("sip:anonymous@anonymous.invalid", "sip:101@pbx.local", 200, None),
    "nobody is registered": ("sip:anonymous@anonymous.invalid", "sip:anonymous@anonymous.invalid", 403, "To"),
}


@pytest.mark.parametrize(("from_", "to", "status", "field"), NAMES.values(), ids=NAMES)
def test_a_phone_registers_itself(world, from_, to, status, field):
    phone = stranger(world, "101")

    def make():
        return phone.request("REGISTER", f"sip:{DOMAIN}", to=f"<{to}>", From=f"<{from_}>;tag={phone.tag}")

    phone.send_authenticated(make)
    said = f'399 pbx.local "{field} is not the authenticated device"' if field else None
    assert (phone.received[-1].status, phone.received[-1].headers.get("Warning")) == (status, said)


def test_too_many_wrong_passwords_are_named_to_the_phone_and_once_in_the_log(world):
    phone = stranger(world)
    assert [try_to_register(phone).status for _ in range(3)] == [401, 401, 401]
    assert [note for note in world.notes if "is refused" in note] == [
        "192.0.2.9 is refused for up to 5 minutes: 3 wrong passwords, the last for 100"
    ]
    phone.received.clear()
    phone.send(phone.request("REGISTER", f"sip:{DOMAIN}", to=f"<sip:100@{DOMAIN}>"))
    assert (phone.last(403).reason, phone.last(403).headers.get("Warning")) == (
        "Too Many Wrong Passwords",
        '399 pbx.local "Too many wrong passwords from this address: wait 5 minutes"',
    )
    assert len([note for note in world.notes if "is refused" in note]) == 1


def test_a_stranger_behind_the_same_nat_does_not_silence_a_phone(world):
    phone, other = world.phone("101"), stranger(world, "101", 5301)
    other.password = "a guess"
    assert [try_to_register(other).status for _ in range(4)] == [401, 401, 401, 403]
    phone.invite("100")
    assert 403 not in phone.statuses()
    assert try_to_register(phone).status == 200
    other.password = ""
    assert try_to_register(other).status == 403  # guessing is over, also when he is right and the phone was


def test_who_guesses_user_names_behind_the_nat_of_a_phone_does_not_fill_the_log(world):
    world.phone("101")
    other = stranger(world)
    for number in range(200):
        other.username = f"guess-{number}"
        assert try_to_register(other).status == 401
    assert len([note for note in world.notes if "guess" in note]) == 3
    assert "further wrong passwords from 192.0.2.9 are not told one by one" in world.notes


def test_where_a_phone_is_registered_only_the_account_is_named(world):
    world.phone("101")
    phone = stranger(world)
    for _ in range(3):
        try_to_register(phone)
    assert [note for note in world.notes if "is refused" in note] == [
        "100 from 192.0.2.9 is refused for up to 5 minutes: 3 wrong passwords"
    ]
