"""Calls whose audio the kernel relays: real phones, a real server, in a network namespace of their own."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from pbx.app.doctor import Finding, examine
from pbx.config import load_config
from pbx.rtp.kernel.conntrack import Entry
from tests.kernel.namespaces import Namespace, make_namespace
from tests.kernel.seen import entries, tables
from tests.phones.conftest import Workshop
from tests.phones.support.phone import Phone, PhoneCall
from tests.phones.support.server import PbxServer
from tests.phones.support.talk import connect, hang_up, hear_each_other
from tests.phones.support.waiting import wait_until

COUNTING = "net/netfilter/nf_conntrack_acct"


@pytest.fixture
def place() -> Iterator[Namespace]:
    """A network where the test and all that it starts are alone."""
    space = make_namespace()
    try:
        with space.inside():
            yield space
    finally:
        space.close()


@pytest.fixture
def server(place: Namespace, tmp_path: Path) -> Iterator[PbxServer]:
    """A server that may use the kernel."""
    made = PbxServer(tmp_path / "pbx", kernel="auto")
    made.folder.mkdir()
    made.start()
    yield made
    made.stop()
    made.release()


@pytest.fixture
def shop(server: PbxServer, tmp_path: Path) -> Iterator[Workshop]:
    made = Workshop(tmp_path, server)
    yield made
    made.close()


def talk(shop: Workshop, server: PbxServer) -> tuple[tuple[Phone, PhoneCall], tuple[Phone, PhoneCall]]:
    """Two phones in a call that the kernel relays."""
    caller = shop.registered("pjsua", server.account(srtp="off"))
    callee = shop.registered("pjsua", server.account(srtp="off"))
    call, answered = connect(caller, callee)
    wait_until("the kernel relays", lambda: audio(server) == ["kernel"])
    return (caller, call), (callee, answered)


def audio(server: PbxServer) -> list[str]:
    return [call["audio"] for call in server.status()["calls"]]


def ours() -> list[Entry]:
    return [entry for entry in entries() if entry.mark]


def test_both_hear_each_other_through_the_kernel_and_after_the_worker_died(server, shop):
    one, other = talk(shop, server)
    hear_each_other(one, other)
    assert len(ours()) == 1
    for worker in server.media_workers():
        os.kill(worker, signal.SIGKILL)
    hear_each_other(one, other)
    wait_until("the kernel relays for the new worker", lambda: audio(server) == ["kernel"])
    hear_each_other(one, other)
    assert len(ours()) == 1
    hang_up(one, other)
    wait_until("the entry is gone", lambda: not ours())


def test_status_and_doctor_say_so(server, shop):
    one, other = talk(shop, server)
    assert server.status()["kernel"] == {"active": True, "why": ""}
    assert "kernel" in server.command("status")
    findings = examine(load_config(server.folder / "pbx.toml"))
    assert Finding(True, "rtp.kernel", "active: the kernel relays the audio of plain calls") in findings
    one[0].hold(one[1])
    wait_until("the call is back in user space", lambda: "user space: on hold" in audio(server)[0])
    one[0].resume(one[1])
    wait_until("the kernel relays again", lambda: audio(server) == ["kernel"])
    hear_each_other(one, other)
    hang_up(one, other)


def test_what_a_killed_server_leaves_is_removed_when_it_starts_again(place, server, shop):
    talk(shop, server)
    (table,) = tables()
    assert table.startswith("pbx-")
    for worker in server.media_workers():
        os.kill(worker, signal.SIGSTOP)  # so that it cannot clean up either
    workers = server.media_workers()
    server.kill()
    for worker in workers:
        os.kill(worker, signal.SIGKILL)
    wait_until("the table went with its owner", lambda: not tables())
    assert len(ours()) == 1
    server.serve()
    assert ours() == []
    assert tables() == [table]


def test_a_server_that_ends_leaves_nothing(place, tmp_path):
    folder = tmp_path / "pbx"
    folder.mkdir()
    server = PbxServer(folder, kernel="auto")
    server.start()
    assert place.get(COUNTING) == "1"
    assert len(tables()) == 1
    server.stop()
    assert place.get(COUNTING) == "0"
    assert tables() == []


def test_off_leaves_the_kernel_alone(place, tmp_path):
    folder = tmp_path / "pbx"
    folder.mkdir()
    server = PbxServer(folder)
    server.start()
    assert tables() == []
    assert server.status()["kernel"] == {"active": False, "why": 'rtp.kernel is "off"'}
    server.stop()


def test_a_key_pressed_in_a_call_that_the_kernel_relays_is_seen(server, shop):
    """`*1` records: the PBX takes the audio back, and the kernel has it again when that is over."""
    (caller, call), (callee, answered) = talk(shop, server)
    caller.dtmf(call, "*1")
    folder = server.folder / "data" / "recordings"
    wait_until("it is being recorded", lambda: list(folder.rglob("*.part")))
    assert all(path.startswith("user space") for path in audio(server))
    callee.ear(answered).wait_tone(caller.tone, 1.0, start_s=callee.ear(answered).seconds())
    caller.dtmf(call, "*1")
    wait_until("it is kept", lambda: list(folder.rglob("*.wav")))
    wait_until("the kernel relays again", lambda: audio(server) == ["kernel"])
    hear_each_other((caller, call), (callee, answered))
    hang_up((caller, call), (callee, answered))
