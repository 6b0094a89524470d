"""`pbx doctor`: each row is a machine or a configuration, and what is said of it."""

import resource
import shutil
import socket
from collections import namedtuple
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pbx.app.doctor import examine
from pbx.config import parse_config
from pbx.errors import PbxError
from pbx.mail.facts import Trial
from pbx.mail.letter import write_letter
from pbx.mail.packing import make_row
from pbx.net.tls import make_self_signed
from pbx.office.snapshot import Office
from pbx.store.outbox import Outbox
from pbx.store.store import open_store
from tests.office.fakes import parse

OFFICE = """
[[extension]]
key = "100"
[[extension.device]]
kind = "ip_phone"
username = "100"
tls = true
[[trunk]]
name = "carrier"
server = "sip:sip.carrier.example"
[[gateway]]
name = "shop"
server = "sip:192.0.2.20:5080"
"""
HERE = "192.0.2.7"
NO_TLS = "[sip]\nudp = ['0.0.0.0:0']\ntcp = []\ntls = []\n"
PLAIN = NO_TLS.replace("tls = []", "tls = ['0.0.0.0:0']")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The machine has one address, enough disk and files; nothing listens on the ports asked for."""
    monkeypatch.setattr("pbx.app.doctor._outside_addresses", lambda: [HERE])
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1024, 100_000))
    return tmp_path


def nobody_asks(servers, mail):
    raise AssertionError(f"asked for {servers}")


def look(folder: Path, text: str = "", office: Office | None = None, ask=nobody_asks):
    """The findings, by what was looked at."""
    config = parse_config(text or PLAIN, "pbx.toml", folder)
    if office is not None:
        store = open_store(config.database.url)
        store.save(office)
        store.close()
    return {finding.what: (finding.ok, finding.says) for finding in examine(config, ask)}


def wrong(found) -> dict[str, str]:
    return {what: says for what, (ok, says) in found.items() if not ok}


def test_on_a_new_machine_nothing_is_wrong_and_nothing_is_made(folder):
    found = look(folder)
    assert wrong(found) == {}
    assert found["database"][1].startswith("empty")
    assert found["addresses"][1] == f"phones reach this machine at {HERE}"
    assert "makes a self-signed one" in found["certificate"][1]
    assert list(folder.iterdir()) == []


REACHED = {
    "IPv4 alone is listened on": ("['0.0.0.0:0']", (HERE, "2001:db8::7"), (True, f"at {HERE}")),
    "both are": ("['0.0.0.0:0', '[::]:0']", (HERE, "2001:db8::7"), (True, f"at {HERE}, 2001:db8::7")),
    "one address of two": ("['[2001:db8::7]:0']", (HERE, "2001:db8::7"), (True, "at 2001:db8::7")),
    "the machine has IPv6 alone": (
        "['0.0.0.0:5060']",
        ("2001:db8::7",),
        (False, "this machine has no IPv4 address; listen on [::]:5060 too (udp under [sip] in pbx.toml)"),
    ),
}


@pytest.mark.parametrize(("udp", "machine", "expected"), REACHED.values(), ids=REACHED)
def test_the_addresses_of_the_machine_that_phones_reach(folder, monkeypatch, udp, machine, expected):
    monkeypatch.setattr("pbx.app.doctor._outside_addresses", lambda: list(machine))
    ok, says = look(folder, f"[sip]\nudp = {udp}\ntcp = []\ntls = []\n")["addresses"]
    assert (ok, says.removeprefix("phones reach this machine ")) == expected


def test_a_taken_port_is_found(folder):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp, socket.socket() as tcp:
        udp.bind(("127.0.0.1", 0))
        tcp.bind(("127.0.0.1", 0))
        tcp.listen()
        taken = [f"127.0.0.1:{each.getsockname()[1]}" for each in (udp, tcp)]
        found = look(folder, f"[sip]\nudp = ['{taken[0]}', '0.0.0.0:0']\ntcp = ['{taken[1]}']\ntls = []\n")
    assert set(wrong(found)) == {f"sip.udp {taken[0]}", f"sip.tcp {taken[1]}"}
    assert "in use" in found[f"sip.udp {taken[0]}"][1]


def test_rtp_ports_that_others_hold_are_counted(folder):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", 0))
        low = other.getsockname()[1] // 2 * 2
        ports = f"{PLAIN}[rtp]\nports = [{low}, {low + 2}]\n[limits]\ncalls = 1\n"
        assert "other programs hold" in wrong(look(folder, ports))["rtp.ports"]


TWENTY_PAIRS = "[rtp]\nports = [20000, 20038]\n"
CONFIGS = {
    "loopback alone": ("[sip]\nudp = ['127.0.0.1:0']\ntcp = []\ntls = []\n", {"addresses": "loopback"}),
    "no transport": ("[sip]\nudp = []\ntcp = []\ntls = []\n", {"sip": "no phone can register"}),
    "too few ports": (PLAIN + TWENTY_PAIRS + "[limits]\ncalls = 11\n", {"rtp.ports": "room for 10"}),
    "just enough ports": (PLAIN + TWENTY_PAIRS + "[limits]\ncalls = 10\n", {}),
    "more calls than files": (
        PLAIN + "[rtp]\nworkers = 1\n[limits]\ncalls = 13000\n",
        {"open files": "104256", "rtp.ports": "room"},
    ),
}


@pytest.mark.parametrize(("text", "expected"), CONFIGS.values(), ids=CONFIGS)
def test_a_configuration_that_cannot_do_what_it_says(folder, text, expected):
    found = wrong(look(folder, text))
    assert set(found) == set(expected)
    for what, says in expected.items():
        assert says in found[what]


def test_a_disk_that_is_full(folder, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(0, 0, 499 * 2**20))
    assert wrong(look(folder)) == {"disk": f"499 MiB are free for {folder / 'data'}"}


def test_a_data_folder_that_others_can_look_into(folder):
    (folder / "data").mkdir(mode=0o755)
    (folder / "data").chmod(0o755)
    assert wrong(look(folder)) == {
        "server.data": f"others can look into {folder / 'data'}: chmod 700 {folder / 'data'}"
    }


def put_certificate(folder: Path, names: tuple[str, ...], age: timedelta) -> None:
    place = folder / "data" / "certificates"
    place.mkdir(parents=True, mode=0o700)
    (folder / "data").chmod(0o700)
    certificate, key = make_self_signed(names, datetime.now(UTC) - age)
    (place / "sip.pem").write_bytes(certificate)
    (place / "sip.key").write_bytes(key)


CERTIFICATES = {
    "a good one": (("pbx.local", HERE), 0, True, "self-signed, valid until"),
    "expired": (("pbx.local", HERE), 3654, False, "expired on"),
    "about to expire": (("pbx.local", HERE), 3640, False, "expires on"),
    "of an address that we no longer have": (("pbx.local", "192.0.2.99"), 0, False, f"does not name {HERE}"),
}


@pytest.mark.parametrize(("names", "days", "ok", "says"), CERTIFICATES.values(), ids=CERTIFICATES)
def test_the_certificate_that_the_server_made_itself(folder, names, days, ok, says):
    put_certificate(folder, names, timedelta(days=days))
    found = look(folder)["certificate"]
    assert found[0] is ok
    assert says in found[1]


def test_a_certificate_that_is_none(folder):
    put_certificate(folder, (HERE,), timedelta(0))
    (folder / "data" / "certificates" / "sip.pem").write_text("what?")
    assert "there is no certificate in" in wrong(look(folder))["certificate"]


def test_a_certificate_whose_key_is_anothers(folder):
    put_certificate(folder, (HERE,), timedelta(0))
    _, key = make_self_signed(("other",), datetime.now(UTC))
    (folder / "data" / "certificates" / "sip.key").write_bytes(key)
    assert "is not the one of the certificate" in wrong(look(folder))["certificate"]


def test_a_certificate_of_tomorrow(folder):
    put_certificate(folder, (HERE,), timedelta(days=-3))
    assert "is the clock of this machine right?" in wrong(look(folder))["certificate"]


def test_a_certificate_of_ones_own_that_a_renewal_has_taken_away(folder):
    put_certificate(folder, (HERE,), timedelta(0))
    certificate, key = [
        (folder / "data" / "certificates" / name).rename(folder / name) for name in ("sip.pem", "sip.key")
    ]
    text = PLAIN + f"certificate = '{certificate}'\nprivate_key = '{key}'\n"
    config = parse_config(text, "pbx.toml", folder)
    key.unlink()
    found = {each.what: each for each in examine(config, nobody_asks)}["certificate"]
    assert (found.ok, found.says) == (False, f"there is no file {key}")


def test_a_database_that_is_gone_while_the_server_runs(folder, monkeypatch):
    monkeypatch.setattr("pbx.app.doctor._status", lambda _: {})
    assert "its file is gone" in wrong(look(folder))["database"]


def test_a_server_that_hangs(folder, monkeypatch):
    def hang(*_):
        raise PbxError("the server did not answer status within 10 s")

    monkeypatch.setattr("pbx.app.doctor.ask", hang)
    assert wrong(look(folder))["server"] == "the server did not answer status within 10 s"


def test_tls_devices_of_a_server_without_tls(folder):
    office = parse(OFFICE).office
    found = wrong(look(folder, NO_TLS, office, lambda *_: ({}, "")))
    assert found == {
        "sip.tls": "switched off, but these devices have tls = true and cannot register: 100",
    }
    assert "sip.tls" not in look(folder, PLAIN, office, lambda *_: ({}, ""))


def test_only_names_are_looked_up(folder):
    asked = []

    def ask(servers, mail):
        assert mail is None
        asked.extend(servers)
        return {"sip:sip.carrier.example": "sip.carrier.example: no such name"}, ""

    found = look(folder, "", parse(OFFICE).office, ask)
    assert asked == ["sip:sip.carrier.example"]
    assert wrong(found) == {"trunk carrier": "sip.carrier.example: no such name"}
    assert found["gateway shop"][0]


def row(state, error="", kind="trunk", name="carrier"):
    """What the running server says of a trunk or gateway."""
    place = {"server": "sip:sip.carrier.example", "address": "UDP 198.51.100.1:5060", "expires_s": None}
    return {"kind": kind, "name": name, "state": state, "error": error, "since_s": 90, "calls": 0, **place}


TRUNKS = {
    "registered": (row("registered"), True, "registered at UDP 198.51.100.1:5060"),
    "reachable": (row("reachable"), True, "UDP 198.51.100.1:5060 answers"),
    "not asked yet": (row("unknown"), True, "sip:sip.carrier.example has not been asked yet"),
    "on its way": (row("registering"), True, "about to register at UDP 198.51.100.1:5060"),
    "refused": (
        row("refused", "REGISTER was answered by 403 Forbidden"),
        False,
        "the carrier refuses the registration for 90 s: REGISTER was answered by 403 Forbidden; "
        "are username and password right?",
    ),
    "not registered": (
        row("unregistered", "no answer to REGISTER"),
        False,
        "not registered for 90 s: no answer to REGISTER; it is tried again and again",
    ),
    "down": (row("down", "no answer to OPTIONS"), False, "down for 90 s: no answer to OPTIONS"),
}


@pytest.mark.parametrize(("said", "ok", "says"), TRUNKS.values(), ids=TRUNKS)
def test_what_the_running_server_knows_of_a_trunk(folder, monkeypatch, said, ok, says):
    monkeypatch.setattr("pbx.app.doctor._status", lambda config: {"trunks": [said]})
    found = look(folder, "", parse(OFFICE).office, lambda *_: ({}, ""))
    assert found["trunk carrier"] == (ok, says)
    assert found["gateway shop"] == (True, "sip:192.0.2.20:5080 can be found; that it answers is not tried")


def test_an_office_for_another_domain(folder):
    found = wrong(look(folder, PLAIN + "[server]\ndomain = 'other.example'\n", Office(realm="pbx.local")))
    assert "for the domain pbx.local" in found["database"]


def test_a_database_that_is_gone(folder):
    found = wrong(look(folder, PLAIN + "[database]\nurl = 'postgresql+psycopg://u:hush@127.0.0.1:9/x'\n"))
    assert list(found) == ["database"]
    assert "hush" not in found["database"]


def kernel_rows(folder, monkeypatch, status, text=PLAIN, may=True, forwarding=True):
    """All that is said of rtp.kernel."""
    monkeypatch.setattr("pbx.app.doctor._status", lambda config: status)
    monkeypatch.setattr("pbx.app.doctor.may_administer", lambda text: may)
    monkeypatch.setattr("pbx.app.doctor.forwards", lambda version: forwarding)
    config = parse_config(text, "pbx.toml", folder)
    return [(each.ok, each.says) for each in examine(config, nobody_asks) if each.what == "rtp.kernel"]


KERNEL = {
    "off": (None, {"text": PLAIN + "[rtp]\nkernel = 'off'\n"}, (True, "off: audio is relayed in user space")),
    "not running, allowed": (
        None,
        {},
        (True, "the kernel can relay audio, if the server runs as this user does"),
    ),
    "not running, not allowed": (
        None,
        {"may": False},
        (
            True,
            "audio stays in user space: CAP_NET_ADMIN is needed "
            "(AmbientCapabilities=CAP_NET_ADMIN in the systemd unit)",
        ),
    ),
    "active": (
        {"kernel": {"active": True, "why": ""}},
        {},
        (True, "active: the kernel relays the audio of plain calls"),
    ),
    "active with trouble": (
        {"kernel": {"active": True, "why": "a firewall"}},
        {},
        (False, "active, but: a firewall"),
    ),
    "not active": (
        {"kernel": {"active": False, "why": "an old kernel"}},
        {},
        (True, "audio stays in user space: an old kernel"),
    ),
}


@pytest.mark.parametrize(("status", "more", "expected"), KERNEL.values(), ids=KERNEL)
def test_the_kernel(folder, monkeypatch, status, more, expected):
    assert kernel_rows(folder, monkeypatch, status, **more) == [expected]


def test_what_would_make_calls_between_other_machines_fast(folder, monkeypatch):
    status = {"kernel": {"active": True, "why": ""}}
    _, four, six = kernel_rows(folder, monkeypatch, status, forwarding=False)
    assert "`sysctl net.ipv4.ip_forward=1` makes this machine a router" in four[1]
    assert "`sysctl net.ipv6.conf.all.forwarding=1`" in six[1]
    assert four[0]
    assert six[0]


MAIL = PLAIN + "[mail]\nserver = 'smtp://ann:battery@mx.acme.example'\n"
WANTS_MAIL = """
[[extension]]
key = "100"
[extension.no_answer]
emails = ["ann@acme.example"]
"""


def keep(folder: Path, *states: str) -> None:
    """Put mail of these states into the outbox."""
    store = open_store(parse_config(PLAIN, "pbx.toml", folder).database.url)
    letter = write_letter(Trial(datetime(2026, 1, 1, tzinfo=UTC)), "Acme", "UTC")
    for number, state in enumerate(states):
        row = make_row(f"mail-{number}", letter, "pbx@acme.example", "ann@acme.example", 5.0 + number)
        Outbox(store).add(
            [replace(row, state=state, words="550 no\x1b such user" if state == "refused" else "")]
        )
    store.close()


def test_mail_that_nobody_wants_needs_no_server(folder):
    assert look(folder)["mail"] == (True, "no mail server is configured; mail is kept, and not sent")


def test_mail_that_somebody_wants_needs_a_server(folder):
    assert "no_answer.emails" in wrong(look(folder, office=parse(WANTS_MAIL).office))["mail"]
    keep(folder, "waiting", "waiting", "sent")
    assert "2 mails are kept" in wrong(look(folder, office=parse(WANTS_MAIL).office))["mail"]


def test_the_mail_server_is_visited(folder):
    visited = []

    def ask(servers, mail):
        visited.append(mail.server)
        return {}, trouble

    trouble = ""
    assert look(folder, MAIL, ask=ask)["mail"] == (
        True,
        "mx.acme.example:587 takes mail from us; 0 mails wait",
    )
    trouble = "mx.acme.example:587: login refused: 535 no"
    keep(folder, "waiting")
    assert wrong(look(folder, MAIL, ask=ask)) == {"mail": f"{trouble}; 1 mails wait"}
    assert len(visited) == 2


def test_refused_mail_is_shown_with_the_servers_words(folder):
    keep(folder, "refused", "refused")
    found = wrong(look(folder, MAIL, ask=lambda *_: ({}, "")))["mail"]
    assert found.startswith("2 mails were refused, the last one to ann@acme.example: 550 no\\x1b such user; ")
    assert "battery" not in found
