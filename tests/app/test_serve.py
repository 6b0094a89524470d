"""`pbx serve` from its first start to its end, in processes of its own."""

import json
import os
import resource
import signal
import socket
import stat
import subprocess
import time
from pathlib import Path

import pytest
from cryptography import x509

from pbx.app.client import ask
from pbx.store.store import open_store
from tests.app.serving import START_S, Place, Server

SMALL_OFFICE = """
[office]
name = "Acme"
[[extension]]
key = "{key}"
[[extension.device]]
kind = "ip_phone"
username = "{key}"
password = "{password}"
"""


@pytest.fixture
def place(tmp_path):
    made = Place(tmp_path)
    yield made
    made.release()


@pytest.fixture
def serve(place):
    """Start servers; all are gone afterwards."""
    servers = []

    def start(*words: str) -> Server:
        servers.append(Server(place, *words))
        return servers[-1]

    yield start
    for server in servers:
        server.kill()


def is_alive(pid: int) -> bool:
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def apply(
    place: Place, key: str = "200", password: str = "a-good-password"
) -> "subprocess.CompletedProcess[str]":
    path = place.folder / "office.toml"
    path.write_text(SMALL_OFFICE.format(key=key, password=password))
    done = place.run("apply", str(path))
    assert done.returncode == 0, done.stderr
    return done


def test_a_first_start_shows_a_card_that_phones_can_use_and_a_second_one_no_passwords(place, serve):
    server = serve().wait_up()
    assert f"Server address for phones   127.0.0.1:{place.port}\n" in server.out
    assert f"UDP  port                   {place.port}\n" in server.out
    assert f"TLS  port                   {place.port + 1}\n" in server.out
    assert f"Audio (RTP) ports           {place.port + 10}-{place.port + 39} UDP\n" in server.out
    client = place.client()
    for username in ("100", "101", "102"):
        assert client.register(username, server.password(username)).status == 200
    client.close()
    assert [row["device"] for row in place.status()["registrations"]] == ["100", "101", "102"]
    workers = server.workers()
    assert workers
    passwords = [server.password(username) for username in ("100", "101", "102")]
    server.stop()
    assert not any(is_alive(pid) for pid in workers)
    assert not (place.data / "control.sock").exists()
    for password in passwords:
        assert password not in server.log
    again = serve("--verbose").wait_up()
    assert "password" not in again.out
    rows = place.status()["registrations"]
    assert [row["device"] for row in rows] == ["100", "101", "102"]  # they outlived the restart
    again.stop(signal.SIGTERM)


def test_the_log_holds_milestones_and_no_secrets(place, serve):
    server = serve("--verbose").wait_up()
    client = place.client()
    assert client.register("100", "a-wrong-password").status in (401, 403)
    assert client.register("100", server.password("100")).status == 200
    client.close()
    office, _ = _stored(place)
    _, device = office.device("100")
    server.stop()
    for secret in (
        "a-wrong-password",
        server.password("100"),
        device.ha1_md5,
        device.ha1_sha256,
        "response=",
    ):
        assert secret not in server.log


def test_the_log_of_a_quiet_server_has_no_noise(place, serve):
    server = serve().wait_up()
    server.stop()
    lines = server.log.splitlines()
    assert [line for line in lines if "[pbx." not in line] == []
    assert len(lines) <= 5, server.log


def _stored(place: Place):
    store = open_store(f"sqlite:///{place.data / 'pbx.db'}")
    try:
        return store.load()
    finally:
        store.close()


def test_json_card(place, serve):
    server = serve("--json").wait_up()
    card = json.loads(server.out)
    assert card["servers"] == [f"127.0.0.1:{place.port}"]
    assert [account["username"] for account in card["accounts"]] == ["100", "101", "102"]
    server.stop()


def test_everything_it_makes_is_its_owners_alone_and_its_limits_are_raised(place, serve):
    place.data.mkdir(mode=0o755)
    place.data.chmod(0o755)
    server = serve().wait_up()
    for each in (place.data, *place.data.rglob("*")):
        if each.name != "sip.pem":
            assert stat.S_IMODE(each.stat().st_mode) & 0o077 == 0, each
    limits = Path(f"/proc/{server.pid}/limits").read_text()
    [line] = [line for line in limits.splitlines() if line.startswith("Max open files")]
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    assert int(line.split()[3]) == (min(hard, 1 << 20) if hard != resource.RLIM_INFINITY else 1 << 20)
    certificate = x509.load_pem_x509_certificate((place.data / "certificates" / "sip.pem").read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert {"pbx.local", socket.gethostname()} <= set(names.get_values_for_type(x509.DNSName))
    server.stop()


def test_a_data_folder_that_others_use_too_keeps_its_mode(place, serve):
    place.data.mkdir(mode=0o755)
    place.data.chmod(0o755)
    (place.data / "something else").touch()
    server = serve().wait_up()
    assert stat.S_IMODE(place.data.stat().st_mode) == 0o755
    server.stop()


# --- what keeps it from starting ---------------------------------------------------------------------------


def test_a_taken_port_is_one_line_with_address_and_key_and_leaves_nothing_behind(place):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", place.port + 1))
        taken.listen()
        done = place.run("serve")
    assert done.returncode == 2
    assert done.stdout == ""
    said = [line for line in done.stderr.splitlines() if line.startswith("pbx: ")]
    assert len(said) == 1
    assert said[0].startswith(f"pbx: sip.tls = '127.0.0.1:{place.port + 1}': port {place.port + 1} is taken")
    assert _stored(place) == (None, 0)  # its passwords would never have been seen
    assert not (place.data / "control.sock").exists()


def test_a_taken_port_as_json(place):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", place.port))
        done = place.run("serve", "--json")
    assert done.returncode == 2
    assert "sip.udp" in json.loads(done.stdout)["error"]


def test_a_second_server_on_the_same_data_folder_is_refused(place, serve):
    server = serve().wait_up()
    place.change(f"127.0.0.1:{place.port}", "127.0.0.1:0")
    done = place.run("serve")
    assert done.returncode == 2
    assert "a server already runs with this data folder" in done.stderr
    assert f"(process {server.pid})" in done.stderr
    assert done.stderr.count("\n") == 1
    server.stop()


def test_a_server_that_was_killed_is_no_obstacle(place, serve):
    server = serve().wait_up()
    workers = server.workers()
    server.kill()
    assert (place.data / "control.sock").exists()
    again = serve().wait_up()
    again.stop()
    until = time.monotonic() + 20
    while any(is_alive(pid) for pid in workers):
        assert time.monotonic() < until, "media workers outlive a killed server"
        time.sleep(0.05)


def test_another_domain_than_that_of_the_stored_passwords(place):
    apply(place)
    place.change("[server]", '[server]\ndomain = "other.example"')
    done = place.run("serve")
    assert done.returncode == 2
    assert done.stderr.startswith("pbx: server.domain = 'other.example': ")
    assert "for the domain pbx.local" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_data_folder_that_cannot_be_made(place):
    place.change('data = "data"', 'data = "/proc/no"')
    done = place.run("serve")
    assert done.returncode == 2
    assert done.stderr.startswith("pbx: server.data = '/proc/no': ")
    assert done.stderr.count("\n") == 1


# --- while it runs -----------------------------------------------------------------------------------------


def test_what_is_applied_is_in_force_at_once(place, serve):
    server = serve().wait_up()
    assert apply(place, "200").stdout.endswith("applied; in force from the next call on\n")
    client = place.client()
    assert client.register("200", "a-good-password").status == 200
    assert client.register("100", server.password("100")).status in (401, 403)
    apply(place, "201")
    assert place.status()["registrations"] == []  # its device was removed
    assert client.register("200", "a-good-password").status in (401, 403)
    client.close()
    server.stop()


def test_what_is_applied_from_elsewhere_is_in_force_within_seconds(place, serve):
    server = serve().wait_up()
    (place.data / "control.sock").unlink()
    assert "no server answers here" in apply(place, "200").stdout
    server.wait_log(r"revision 2 is in force")
    client = place.client()
    assert client.register("200", "a-good-password").status == 200
    client.close()
    server.stop()


def test_it_writes_what_waits_when_it_is_asked(place, serve):
    serve().wait_up()
    assert ask(place.data, "flush") is True


def test_an_office_for_another_domain_does_not_come_in(place, serve):
    server = serve().wait_up()
    place.change("[server]", '[server]\ndomain = "other.example"')
    assert "but the running server said: the office in the database is for" in apply(place, "200").stdout
    client = place.client()
    assert client.register("100", server.password("100")).status == 200
    client.close()
    server.stop()


def test_a_client_of_the_control_socket_that_says_nothing_or_nonsense_holds_nobody_up(place, serve):
    server = serve().wait_up()
    with socket.socket(socket.AF_UNIX) as silent, socket.socket(socket.AF_UNIX) as rude:
        silent.connect(str(place.data / "control.sock"))
        rude.connect(str(place.data / "control.sock"))
        rude.sendall(b'{"cmd": ["status"]}\n')
        assert b"allowed: explain, flush, mail, reload, status" in rude.recv(4096)
        assert place.status()["calls"] == []
    server.stop()


# --- its end -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_it_ends_with_code_0_also_when_told_several_times(place, serve, number):
    server = serve().wait_up()
    workers = server.workers()
    for _ in range(3):
        server.tell(number)
    server.stop(number)
    assert not any(is_alive(pid) for pid in workers)


def test_ctrl_c_while_it_is_still_loading_shows_no_traceback(serve):
    server = serve()
    server.wait_for(lambda: server.has_loaded("pydantic_core"), START_S)  # Python's own start is not ours
    server.tell(signal.SIGINT)
    code = server.wait_end()
    assert code in (0, 1, 130, -signal.SIGINT)
    if code != -signal.SIGINT:  # Python itself was not up yet
        assert "Traceback" not in server.log


def test_no_process_is_left_when_a_start_fails(place):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", place.port))
        taken.listen()
        done = subprocess.run(
            place.command("serve"),
            capture_output=True,
            timeout=60,
            check=False,
            start_new_session=True,
            env={**os.environ, "PBX_TEST_MARK": str(place.port)},
        )
    assert done.returncode == 2
    mark = f"PBX_TEST_MARK={place.port}".encode()
    left = [each for each in Path("/proc").glob("[0-9]*/environ") if _holds(each, mark)]
    assert left == []


def _holds(path: Path, mark: bytes) -> bool:
    try:
        return mark in path.read_bytes()
    except OSError:
        return False


# --- on PostgreSQL -----------------------------------------------------------------------------------------


def test_phones_register_while_the_database_is_down_and_nothing_is_lost(tmp_path, postgres):
    url = postgres.make_database()
    place = Place(tmp_path, url)
    server = Server(place).wait_up()
    try:
        client = place.client()
        postgres.stop()
        try:
            assert client.register("100", server.password("100")).status == 200
            server.wait_log("tried again until it works")
            done = place.run("export")
            assert done.returncode == 2
            assert done.stderr.count("\n") == 1
        finally:
            postgres.start()
        server.wait_log("the database is back after")
        client.close()
        server.stop()
    finally:
        server.kill()
        place.release()
    store = open_store(url)
    assert [row["username"] for row in store.load_bindings()] == ["100"]
    store.close()
    assert "not-asked-for" not in server.log
