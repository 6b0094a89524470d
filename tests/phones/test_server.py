"""The server comes and goes, and its office changes, while phones are there."""

import os
import signal
import socket
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.phones.conftest import Workshop
from tests.phones.support.office import office_toml
from tests.phones.support.phone import Account, CallState
from tests.phones.support.server import PbxServer
from tests.phones.support.sip_client import sip_client
from tests.phones.support.talk import connect, hang_up, hear_each_other
from tests.phones.support.waiting import wait_until


def test_who_guesses_is_refused_and_his_neighbour_is_not(own_pbx: PbxServer, workshop: Workshop):
    """Ten wrong passwords close an address, the right one then included; other addresses go on."""
    device = own_pbx.extensions.plain()
    with sip_client(("127.0.0.1", own_pbx.port), ("127.0.0.77", 0)) as guesser:
        replies = [guesser.register(device.username, f"guess {number}") for number in range(12)]
        assert all(reply is not None and reply.status in (401, 403) for reply in replies)
        refused = guesser.register(device.username, device.password)
        assert refused is not None
        assert refused.status == 403
    workshop.registered("baresip", own_pbx.account())


@pytest.mark.parametrize("end", ["SIGINT", "power failure"])
def test_registrations_outlive_the_server(own_pbx: PbxServer, workshop: Workshop, end: str):
    """After a restart a UDP phone is called without having registered again."""
    caller = workshop.registered("pjsua", own_pbx.account())
    callee = workshop.registered("baresip", own_pbx.account())
    call, answered = connect(caller, callee)
    hang_up((caller, call), (callee, answered))
    if end == "SIGINT":
        own_pbx.stop()
    else:
        own_pbx.kill()
    own_pbx.serve()
    registers = len(callee.sent("REGISTER "))
    call, answered = connect(caller, callee)
    hear_each_other((caller, call), (callee, answered))
    assert len(callee.sent("REGISTER ")) == registers
    hang_up((caller, call), (callee, answered))


def test_ctrl_c_ends_the_calls(own_pbx: PbxServer, workshop: Workshop):
    caller = workshop.registered("pjsua", own_pbx.account())
    callee = workshop.registered("baresip", own_pbx.account("tcp"))
    call, answered = connect(caller, callee)
    hear_each_other((caller, call), (callee, answered), 0.3)
    own_pbx.stop()
    caller.wait_state(call, CallState.ENDED)
    callee.wait_state(answered, CallState.ENDED)
    assert caller.received("BYE ")
    assert callee.received("BYE ")
    own_pbx.serve()


def test_a_change_of_the_office_counts_at_once(own_pbx: PbxServer, workshop: Workshop):
    """Without a restart, a new extension registers and is called, and one that is gone is 404."""
    caller = workshop.registered("pjsua", own_pbx.account())
    leaving = workshop.registered("pjsua", own_pbx.account())
    key = leaving.account.username
    newcomer = Account("8001", "a-new-secret", own_pbx.address, own_pbx.address)
    changed = office_toml().replace(f'key = "{key}"', 'key = "8001"').replace(f'label = "Phone {key}"', "")
    changed = changed.replace(f'username = "{key}"', 'username = "8001"')
    changed = changed.replace(f'"secret-of-{key}"', '"a-new-secret"')
    own_pbx.apply(changed)
    arrived = workshop.registered("baresip", newcomer)
    call, answered = connect(caller, arrived)
    hear_each_other((caller, call), (arrived, answered), 0.5)
    hang_up((caller, call), (arrived, answered))
    assert caller.wait_ended(caller.dial(key)) == 404
    arrived.stop()  # it would try ten passwords in a second when it isn't known any more
    own_pbx.apply(office_toml())


def test_a_media_worker_that_dies_takes_no_call_with_it(own_pbx: PbxServer, workshop: Workshop):
    """It is replaced, and the sound comes back on the same ports."""
    caller = workshop.registered("pjsua", own_pbx.account())
    callee = workshop.registered("linphone", own_pbx.account())
    call, answered = connect(caller, callee)
    hear_each_other((caller, call), (callee, answered), 0.5)
    workers = own_pbx.media_workers()
    assert workers
    for worker in workers:
        os.kill(worker, signal.SIGKILL)
    wait_until("other workers", lambda: len(set(own_pbx.media_workers()) - set(workers)) == len(workers))
    start = callee.ear(answered).seconds()
    callee.ear(answered).wait_tone(caller.tone, start_s=start)
    hear_each_other((caller, call), (callee, answered), 0.8)
    hang_up((caller, call), (callee, answered))


def test_without_a_free_media_port_the_next_call_is_503(tmp_path: Path, direct: Workshop):
    """And the call that is up isn't hurt."""
    server = PbxServer(tmp_path / "server", rtp_ports=6)
    server.start()
    try:
        caller, callee, third = (direct.registered("pjsua", server.account()) for _ in range(3))
        call, answered = connect(caller, callee)
        refused = third.dial(callee.account.username)
        assert third.wait_ended(refused) == 503
        hear_each_other((caller, call), (callee, answered), 0.5)
        hang_up((caller, call), (callee, answered))
        server.assert_nothing_left()
    finally:
        direct.close()
        server.stop()


def test_media_ports_that_another_program_has_taken_since_the_start_are_passed_over(
    tmp_path: Path, direct: Workshop
):
    """A softphone on the same machine, say; whether it holds the RTP or the RTCP port of a pair."""
    server = PbxServer(tmp_path / "server", rtp_ports=16)
    server.start()
    held = [server.rtp_first + offset for offset in (0, 2, 5, 7, 8, 10)]
    try:
        with ExitStack() as others:
            for port in held:
                other = others.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
                other.bind(("127.0.0.1", port))
            caller, callee = (direct.registered("pjsua", server.account()) for _ in range(2))
            call, answered = connect(caller, callee)
            hear_each_other((caller, call), (callee, answered), 0.5)
            hang_up((caller, call), (callee, answered))
            server.assert_nothing_left()
    finally:
        direct.close()
        server.stop()
