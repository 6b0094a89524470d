"""Calls of real phones in the records: how they were heard, what was said, what a power failure leaves."""

import json

from tests.phones.conftest import Workshop
from tests.phones.support.office import office_toml
from tests.phones.support.records import calls, wait_calls
from tests.phones.support.server import PbxServer
from tests.phones.support.talk import connect, hang_up, hear_each_other, talked_s
from tests.phones.support.waiting import wait_until


def test_a_call_is_recorded_with_how_it_was_heard_and_what_was_said(own_pbx: PbxServer, workshop: Workshop):
    account, other = own_pbx.account(), own_pbx.account("tcp")
    key = account.username
    own_pbx.apply(office_toml().replace(f'key = "{key}"\n', f'key = "{key}"\ndebug = true\n'))
    caller, callee = workshop.registered("pjsua", account), workshop.registered("baresip", other)
    call, answered = connect(caller, callee)
    hear_each_other((caller, call), (callee, answered), 2.0)
    hang_up((caller, call), (callee, answered))
    wait_until("the call is recorded", lambda: calls(own_pbx, "--extension", key))
    [record] = calls(own_pbx, "--caller", key)
    assert (record["state"], record["kind"], record["callee"]) == ("answered", "internal", other.username)
    assert abs(record["talked_s"] - talked_s(call)) < 1.0
    for leg in record["legs"]:
        [quality] = leg["quality"].values()
        assert quality["in"]["packets"] > 80
        assert 1.0 <= quality["in"]["mos"] <= 4.5, leg  # the worse, the busier this machine is
    assert any(username in record["decisions"][0] for username in (other.username,))
    ladder = own_pbx.command("calls", "show", record["id"], "--ladder")
    for said in ("INVITE", "401 Unauthorized to INVITE", "200 OK to INVITE", "ACK", "BYE", "200 OK to BYE"):
        assert said in ladder, ladder
    messages = json.loads(own_pbx.command("calls", "show", record["id"], "--ladder", "--json"))
    assert {each["leg"] for each in messages} == {"A", "B1"}
    assert {each["transport"] for each in messages} == {"UDP", "TCP"}
    assert account.password not in str(messages)
    assert all('response="*' in each["text"] for each in messages if "response=" in each["text"])
    own_pbx.command("calls", "show", record["id"], "--pcap", str(own_pbx.folder / "call.pcap"))
    registered = own_pbx.command("calls", "registrations", key)
    assert "REGISTER" in registered
    assert "200 OK to REGISTER" in registered
    own_pbx.apply(office_toml())


def test_calls_that_are_over_outlive_a_power_failure(own_pbx: PbxServer, workshop: Workshop):
    caller, callee = (
        workshop.registered("pjsua", own_pbx.account()),
        workshop.registered("pjsua", own_pbx.account()),
    )
    for _ in range(3):
        call, answered = connect(caller, callee)
        hang_up((caller, call), (callee, answered))
    kept = wait_calls(own_pbx, "--caller", caller.account.username, count=3)
    own_pbx.kill()
    assert [each["state"] for each in kept] == ["answered"] * 3
    assert calls(own_pbx, "--caller", caller.account.username) == kept
    own_pbx.serve()


def test_a_running_server_hears_of_a_top_up(own_pbx: PbxServer):
    key = own_pbx.account().username
    limit = '[extension.usage_limit]\nkind = "minutes"\nminutes = 10\n'
    own_pbx.apply(office_toml().replace(f'label = "Phone {key}"\n', f'label = "Phone {key}"\n{limit}'))
    said = own_pbx.command("usage", "topup", key, "--minutes", "5")
    assert "may use 5 min more" in said
    assert "the next call knows" in said
    assert "15.0 min" in own_pbx.command("usage")
    own_pbx.apply(office_toml())
