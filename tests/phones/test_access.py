"""Who gets in: passwords, devices that demand TLS, replays, and dead phones."""

import pytest

from tests.phones.conftest import Workshop
from tests.phones.support.phone import Transport
from tests.phones.support.server import PbxServer
from tests.phones.support.sip_client import find_challenge, sip_client
from tests.phones.support.talk import connect, hang_up, hear_each_other

SOONER_S = 25.0  # than timer B
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
    assert caller.wait_ended(caller.dial(callee.account.username), timeout=SOONER_S) == 480


def test_a_phone_that_reboots_replaces_itself(pbx: PbxServer, workshop: Workshop):
    """The plug is pulled, and it comes back on another port: one binding, by +sip.instance (RFC 5626 §6)."""
    account = pbx.account()
    caller = workshop.registered("pjsua", pbx.account())
    first = workshop.registered("baresip", account, name="rebooting")
    first.kill()
    second = workshop.registered("baresip", account, name="rebooting")
    bindings = [each for each in pbx.status()["registrations"] if each["device"] == account.username]
    assert len(bindings) == 1
    assert bindings[0]["address"].endswith(f":{second.sip_port}")
    call, answered = connect(caller, second)
    hear_each_other((caller, call), (second, answered), 0.5)
    hang_up((caller, call), (second, answered))


def test_status_shows_who_is_registered_and_what_is_going_on(pbx: PbxServer, workshop: Workshop):
    caller = workshop.registered("pjsua", pbx.account())
    callee = workshop.registered("baresip", pbx.account("tcp"))
    call, answered = connect(caller, callee)
    status = pbx.status()
    rows = {each["device"]: each for each in status["registrations"]}
    assert rows[caller.account.username]["transport"] == "UDP"
    assert rows[callee.account.username]["transport"] == "TCP"
    assert "baresip" in rows[callee.account.username]["user_agent"].lower()
    (going_on,) = status["calls"]
    assert (going_on["caller"], going_on["callee"], going_on["state"]) == (
        caller.account.username,
        callee.account.username,
        "up",
    )
    printed = pbx.command("status")
    assert caller.account.username in printed
    hang_up((caller, call), (callee, answered))
