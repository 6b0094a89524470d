"""Who gets in: passwords, devices that demand TLS, replays, and registrations that outlive the server."""

import pytest

from tests.phones.conftest import Workshop
from tests.phones.support.phone import Transport
from tests.phones.support.server import PbxServer
from tests.phones.support.sip_client import find_challenge, sip_client
from tests.phones.support.talk import connect, hang_up, hear_each_other

PROGRAMS = ["pjsua", "baresip", "linphone"]


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_wrong_password_never_registers(pbx: PbxServer, workshop: Workshop, program: str):
    account = pbx.account(password="wrong")
    phone = workshop.make(program, account)
    assert phone.wait_registration() in (401, 403)
    caller = workshop.registered("pjsua", pbx.account())
    assert caller.wait_ended(caller.dial(account.username)) == 480


def test_an_unknown_user_is_answered_as_a_wrong_password(pbx: PbxServer, workshop: Workshop):
    """Nobody can find out which accounts exist."""
    known = workshop.make("pjsua", pbx.account(password="wrong"))
    unknown = workshop.make("pjsua", pbx.account(username="9" * 5))
    assert known.wait_registration() == unknown.wait_registration()
    answers = [phone.received("SIP/2.0 40")[-1] for phone in (known, unknown)]
    assert answers[0].first_line == answers[1].first_line


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_a_device_that_demands_tls_is_refused_without_it(
    pbx: PbxServer, workshop: Workshop, program: str, transport: Transport
):
    account = pbx.extensions.secure().account(pbx.address, transport)
    phone = workshop.make(program, account)
    assert phone.wait_registration() == 403
    assert phone.received("SIP/2.0 403")[0].header("Warning")


def test_a_device_that_demands_tls_may_not_call_without_srtp(pbx: PbxServer, workshop: Workshop):
    caller = workshop.registered("pjsua", pbx.account("tls", srtp="off"))
    callee = workshop.registered("pjsua", pbx.account())
    call = caller.dial(callee.account.username)
    assert caller.wait_ended(call) == 488
    assert caller.received("SIP/2.0 488")[0].header("Warning")
    assert not callee.calls


def test_a_call_without_registration_needs_the_password_too(pbx: PbxServer, workshop: Workshop):
    callee = workshop.registered("pjsua", pbx.account())
    stranger = workshop.make("pjsua", pbx.account(password="wrong", register=False))
    call = stranger.dial(callee.account.username)
    assert stranger.wait_ended(call) in (401, 403)
    assert not callee.calls
    entitled = workshop.make("pjsua", pbx.account(register=False))
    call, answered = connect(entitled, callee)
    hang_up((entitled, call), (callee, answered))


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


def test_a_replayed_digest_is_refused(pbx: PbxServer, workshop: Workshop):
    device = pbx.extensions.plain()
    with sip_client(("127.0.0.1", pbx.port)) as client:
        aor, uri = f"sip:{device.username}@{client.domain}", f"sip:{client.domain}"
        first = client.request("REGISTER", uri, aor, aor)
        assert first is not None
        assert first.status == 401
        credentials = find_challenge(first).answer("REGISTER", uri, device.username, device.password)
        answers = [client.request("REGISTER", uri, aor, aor, (credentials,)) for _ in range(2)]
    assert [answer.status if answer else None for answer in answers] == [200, 401]


@pytest.mark.parametrize("transport", ["udp", "tcp", "tls"])
def test_an_unregistered_phone_is_not_called_any_more(
    pbx: PbxServer, workshop: Workshop, transport: Transport
):
    callee = workshop.registered("pjsua", pbx.account(transport))
    caller = workshop.registered("pjsua", pbx.account())
    callee.unregister()
    callee.wait_for("unregistered", lambda: len(callee.received("SIP/2.0 200")) >= 2)
    assert caller.wait_ended(caller.dial(callee.account.username)) == 480


@pytest.mark.parametrize("transport", ["tcp", "tls"])
def test_a_phone_that_dies_on_its_connection_is_gone(
    pbx: PbxServer, workshop: Workshop, transport: Transport
):
    """Nobody can be reached over a closed connection: no waiting for timer B."""
    callee = workshop.registered("pjsua", pbx.account(transport))
    caller = workshop.registered("pjsua", pbx.account())
    callee.kill()
    assert caller.wait_ended(caller.dial(callee.account.username), timeout=4) == 480


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
