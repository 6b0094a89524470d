"""Secrets are kept where the file leaves them out, hashed where it gives them, made where they are new."""

import hashlib
from dataclasses import replace

import pytest

from pbx.entropy import SeededEntropy
from pbx.office.credentials import ALPHABET, generate_password, make_ha1
from pbx.office.snapshot import Office
from pbx.office.toml import OfficeFileError, parse_office
from pbx.store.passwords import Passwords
from tests.office.fakes import parse

PHONE = '[[extension]]\nkey = "100"\n[[extension.device]]\nkind = "ip_phone"\nusername = "100"\n'
OWNER = '[[member]]\nemail = "ann@acme.example"\naccount = "owner"\n'


def phone(office: Office):
    found = office.device("100")
    assert found is not None
    return found[1]


def test_ha1_is_the_one_of_the_rfc():
    # RFC 7616 §3.9.1 has both hashes inside its responses; here A1 is what §3.4.2 says it is.
    ha1 = make_ha1("Mufasa", "http-auth@example.org", "Circle of Life")
    assert ha1.md5 == hashlib.md5(b"Mufasa:http-auth@example.org:Circle of Life").hexdigest()
    assert ha1.sha256 == hashlib.sha256(b"Mufasa:http-auth@example.org:Circle of Life").hexdigest()


def test_ha1_answers_the_example_of_the_rfc():
    ha1 = make_ha1("Mufasa", "http-auth@example.org", "Circle of Life")
    nonce = "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v"
    cnonce = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"
    ha2 = hashlib.sha256(b"GET:/dir/index.html").hexdigest()
    answer = hashlib.sha256(f"{ha1.sha256}:{nonce}:00000001:{cnonce}:auth:{ha2}".encode()).hexdigest()
    assert answer == "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"


def test_a_new_device_gets_a_password_that_is_told_once():
    first = parse(PHONE)
    password = first.generated["100"]
    assert len(password) >= 14
    assert set(password) <= set(ALPHABET)
    assert phone(first.office).ha1_md5 == make_ha1("100", "pbx.local", password).md5
    second = parse(PHONE, existing=first.office)
    assert second.generated == {}
    assert second.office == first.office
    assert password not in repr(first)
    assert phone(first.office).ha1_md5 not in repr(first)


def test_generated_passwords_have_no_letter_that_looks_like_another():
    entropy = SeededEntropy()
    made = "".join(generate_password(entropy) for _ in range(200))
    assert set(made) == set(ALPHABET)
    assert not set("0O1lIo") & set(made)


def test_a_given_password_is_used_and_the_same_again_changes_nothing():
    text = PHONE + 'password = "horse"'
    first = parse(text)
    assert first.generated == {}
    assert phone(first.office).ha1_sha256 == make_ha1("100", "pbx.local", "horse").sha256
    assert parse(text, existing=first.office).office == first.office
    assert parse(PHONE, existing=first.office).office == first.office


def test_a_device_that_moves_to_another_extension_keeps_its_password():
    text = PHONE.replace('username = "100"', 'username = "desk"')
    first = parse(text)
    moved = parse('[[extension]]\nkey = "100"\n' + text.replace('"100"', '"101"'), existing=first.office)
    assert moved.generated == {}
    assert moved.office.extensions[1].devices == first.office.extensions[0].devices


def test_a_device_with_another_username_is_new():
    first = parse(PHONE)
    assert parse(
        PHONE.replace('username = "100"', 'username = "x"'), existing=first.office
    ).generated.keys() == {"x"}


def test_a_password_is_for_one_realm_only():
    first = parse(PHONE)
    moved = parse(PHONE, existing=first.office, realm="acme.example")
    assert moved.office.realm == "acme.example"
    assert moved.generated.keys() == {"100"}


def test_an_office_of_an_unknown_realm_keeps_its_passwords():
    first = replace(parse(PHONE).office, realm="")
    assert parse(PHONE, existing=first).generated == {}


def test_a_passcode_is_hashed_kept_and_taken_away():
    with_passcode = parse('[[extension]]\nkey = "100"\npasscode = "4321"').office
    assert with_passcode.extensions[0].passcode_hash == "fake$1$4321"
    kept = parse('[[extension]]\nkey = "100"', existing=with_passcode).office
    assert kept == with_passcode
    same = parse('[[extension]]\nkey = "100"\npasscode = "4321"', existing=with_passcode).office
    assert same == with_passcode
    other = parse('[[extension]]\nkey = "100"\npasscode = "4322"', existing=with_passcode).office
    assert other.extensions[0].passcode_hash == "fake$1$4322"
    off = parse('[[extension]]\nkey = "100"\npasscode = ""', existing=with_passcode).office
    assert off.extensions[0].passcode_hash == ""


def test_a_pin_of_a_room_is_hashed_and_kept():
    room = parse('[[room]]\nkey = "700"\npin = "1234"').office
    assert room.rooms[0].pin_hash == "fake$1$1234"
    assert parse('[[room]]\nkey = "700"', existing=room).office == room


def test_all_pins_share_one_salt():
    text = OWNER + 'pin = "1234"\n[[member]]\nemail = "bob@acme.example"\npin = "5678"\n'
    first = parse(text).office
    assert [member.pin_hash for member in first.members] == ["fake$1$1234", "fake$1$5678"]
    more = parse(text + '[[member]]\nemail = "cy@acme.example"\npin = "9999"\n', existing=first).office
    assert [member.pin_hash for member in more.members] == ["fake$1$1234", "fake$1$5678", "fake$1$9999"]


def test_a_pin_that_is_kept_counts_as_taken():
    first = parse(OWNER + 'pin = "1234"\n').office
    with pytest.raises(OfficeFileError) as raised:
        parse('[[member]]\nemail = "bob@acme.example"\npin = "1234"\n' + OWNER, existing=first)
    mistake = raised.value.mistakes[0]
    assert (mistake.line, mistake.key) == (3, 'member "bob@acme.example".pin')
    assert mistake.found == "a PIN that another member has"


def test_two_members_may_swap_their_pins():
    text = OWNER + 'pin = "{}"\n[[member]]\nemail = "bob@acme.example"\npin = "{}"\n'
    first = parse(text.format("1234", "5678")).office
    swapped = parse(text.format("5678", "1234"), existing=first).office
    assert [member.pin_hash for member in swapped.members] == ["fake$1$5678", "fake$1$1234"]


def test_a_carriers_password_is_kept_in_clear_but_never_shown():
    trunk = '[[trunk]]\nname = "carrier"\nserver = "sip:carrier.example"\nusername = "acme"\n'
    first = parse(trunk + 'password = "battery"\n').office
    assert first.trunks[0].password == "battery"
    assert "battery" not in repr(first)
    assert parse(trunk, existing=first).office == first
    gateway = trunk.replace("trunk", "gateway")
    second = parse(gateway + 'password = "battery"\n').office
    assert second.gateways[0].password == "battery"
    assert "battery" not in repr(second)
    assert parse(gateway, existing=second).office == second


def test_a_username_without_a_password_is_remarked():
    file = parse('[[trunk]]\nname = "carrier"\nserver = "sip:carrier.example"\nusername = "acme"\n')
    assert file.notes == ('trunk "carrier": there is a username and no password',)


def test_the_real_hasher_fits():
    cheap = Passwords(n=2**4)
    text = OWNER + 'pin = "1234"\n'
    first = parse_office(text, "x", realm="r", hasher=cheap, entropy=SeededEntropy()).office
    assert cheap.verify("1234", first.members[0].pin_hash)
    again = parse_office(text, "x", realm="r", hasher=cheap, entropy=SeededEntropy(), existing=first).office
    assert again == first
