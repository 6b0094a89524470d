"""What the card says, for each way to listen."""

import io
import json

import pytest

from pbx.app.card import account_text, make_card, render_json, show_card
from pbx.config import parse_config
from pbx.net.addresses import LocalAddresses, parse_ip
from pbx.net.transports import Listening
from tests.office.fakes import parse

OFFICE = parse(
    """
[office]
name = "Acme"
[[extension]]
key = "100"
label = "Ann"
[[extension.device]]
kind = "ip_phone"
username = "100"
[[extension.device]]
kind = "mobile"
username = "ann"
[[extension]]
key = "101"
[[extension.device]]
kind = "ip_phone"
username = "101"
"""
).office
MACHINE = ("192.0.2.7", "2001:db8::7", "fe80::1", "127.0.0.1", "::1")


def addresses(*texts: str) -> LocalAddresses:
    return LocalAddresses(lambda: 0.0, read=lambda: frozenset(map(parse_ip, texts)), route=lambda _: None)


WAYS = {
    "everywhere, the usual port": ([Listening("UDP", "0.0.0.0", 5060)], ("192.0.2.7",)),
    "everywhere, another port": ([Listening("UDP", "0.0.0.0", 5080)], ("192.0.2.7:5080",)),
    "both families": (
        [Listening("UDP", "0.0.0.0", 5070), Listening("UDP", "::", 5070)],
        ("192.0.2.7:5070", "[2001:db8::7]:5070"),
    ),
    "one address of two": ([Listening("TCP", "192.0.2.7", 5060)], ("192.0.2.7",)),
    "loopback alone": ([Listening("UDP", "127.0.0.1", 5060)], ("127.0.0.1",)),
    "nowhere": ([], ()),
}


@pytest.mark.parametrize(("listening", "servers"), WAYS.values(), ids=WAYS)
def test_the_address_to_type_into_a_phone(tmp_path, listening, servers):
    config = parse_config("", "pbx.toml", tmp_path)
    made = make_card(config, listening, addresses(*MACHINE), OFFICE, {})
    assert made.servers == servers
    assert made.loopback_only is all(server.startswith("127.") for server in servers)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def full(tmp_path):
    config = parse_config("", "pbx.toml", tmp_path)
    listening = [Listening("UDP", "0.0.0.0", 5060), Listening("TLS", "0.0.0.0", 5061)]
    passwords = {"100": "first-password", "ann": "second-password", "101": "third-password"}
    return make_card(config, listening, addresses(*MACHINE), OFFICE, passwords)


NOWHERE = {
    "no transport": ([], MACHINE, "no transport is on"),
    "no address": ([Listening("UDP", "::", 5060)], (), "this machine has no IPv6 address"),
    "no address of either family": (
        [Listening("UDP", "0.0.0.0", 5060), Listening("UDP", "::", 5060)],
        (),
        "this machine has no address",
    ),
    "addresses of the other family alone": (
        [Listening("UDP", "0.0.0.0", 5080)],
        ("2001:db8::7", "::1"),
        "this machine has no IPv4 address; listen on [::]:5080 too (udp under [sip] in pbx.toml)",
    ),
}


@pytest.mark.parametrize(("listening", "machine", "why"), NOWHERE.values(), ids=NOWHERE)
def test_why_no_phone_can_reach_it(tmp_path, listening, machine, why):
    out = io.StringIO()
    card = make_card(parse_config("", "pbx.toml", tmp_path), listening, addresses(*machine), OFFICE, {})
    show_card(card, out)
    assert f"Server address for phones   none: {why}\n" in out.getvalue()


def test_the_whole_card(full):
    out = io.StringIO()
    show_card(full, out)
    said = out.getvalue()
    assert said.startswith("\nAcme is on the air.\n")
    assert "    100        first-password     100 Ann\n" in said
    assert "    ann        second-password    100 Ann\n" in said
    assert "  TLS  port                   5061\n" in said
    assert "16384-32767 UDP" in said
    assert "with 100 and 101, dial 101 from the first" in said
    assert "\x1b" not in said
    assert "█" not in said


def test_a_terminal_gets_a_code_that_says_who_reads_it(full):
    out = Terminal()
    show_card(full, out)
    assert "camera app" in out.getvalue()
    assert len(out.getvalue().splitlines()) > 30
    assert (
        account_text(full, full.accounts[0]) == "Server: 192.0.2.7\nUsername: 100\nPassword: first-password"
    )


def test_without_new_passwords_there_is_neither_code_nor_table(full, tmp_path):
    config = parse_config("", "pbx.toml", tmp_path)
    out = Terminal()
    show_card(make_card(config, [Listening("UDP", "0.0.0.0", 5060)], addresses(*MACHINE), OFFICE, {}), out)
    assert "password" not in out.getvalue()
    assert "camera" not in out.getvalue()


def test_json_has_all_of_it(full):
    read = json.loads(render_json(full))
    assert read["servers"] == ["192.0.2.7"]
    assert read["accounts"][1] == {
        "username": "ann",
        "password": "second-password",
        "extension": "100",
        "label": "Ann",
        "kind": "mobile",
    }


def test_a_card_in_a_traceback_tells_no_password(full):
    assert "first-password" not in repr(full)
