"""Usage limits with real phones: cut in mid-call, topped up, charged after a crash; and who pays for what."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from pbx.call.phrases import LIMIT_TONE
from pbx.rules.usage import month_of
from tests.phones.conftest import Workshop
from tests.phones.support.office import TestDevice, extension_toml
from tests.phones.support.outside import (
    OFFICE,
    OWNER,
    Carriers,
    arrive,
    carriers,
    dialled,
    invites,
    place,
    trunk_toml,
)
from tests.phones.support.phone import Answering, CallState, Phone
from tests.phones.support.pjsua_phone import PjsuaPhone
from tests.phones.support.records import payers, used, wait_calls
from tests.phones.support.server import PbxServer, running
from tests.phones.support.talk import connect, hang_up, hear_each_other, talked_s
from tests.phones.support.voices import PHRASES, dial, wait_heard
from tests.phones.support.waiting import wait_until

DID, OF_DESK = "+6560001000", "+6560001001"
ANN, BOB, LIMITED, CRASHED, AWAY, MAPPED, LOST, DESK, TIMED = (str(key) for key in range(100, 109))
OWNERS_PIN = "7781"
FAR, OTHER = "+6561234567", "+6567654321"
LIMIT_S = 3
PRICE = Decimal("0.10")  # of each second that has begun


def office(carrier: Phone, gateway: Phone) -> str:
    rule = 'outbound_rule = "standard"'
    limit = '[extension.usage_limit]\nkind = "amount"\namount = {}\n'
    away = f'[extension.incoming.forward]\nenabled = true\nnumber = "{FAR}"\n'
    away += '[extension.caller_id]\nforwarded = "caller"\n'
    hanging_up = '[extension.no_answer]\naction = "hangup"\n'
    desk = f'[extension.caller_id]\nnumber = "{OF_DESK}"\n'
    parts = [
        OFFICE.replace("[office]\n", '[office]\nemergency = ["995"]\n'),
        f'{OWNER}pin = "{OWNERS_PIN}"\n',
        extension_toml(ANN, f'{rule}\nassignee = "owner@acme.example"'),
        extension_toml(BOB, rule),
        extension_toml(DESK, f"{rule}\nhot_desking = true", desk),
        extension_toml(LIMITED, rule, limit.format(PRICE * LIMIT_S)),
        extension_toml(CRASHED, rule, limit.format(100)),
        extension_toml(TIMED, rule, '[extension.usage_limit]\nkind = "minutes"\nminutes = 1\n'),
        extension_toml(AWAY, rule, away),
        extension_toml(MAPPED, rule, '[extension.incoming]\ngateway = "warehouse"\ndo_not_disturb = true\n'),
        extension_toml(LOST, rule, f'{hanging_up}[extension.incoming]\ngateway = "closed"\n'),
        f'[[number]]\nnumber = "{DID}"\ndestination = "extension:{AWAY}"\n',
        f'[[number]]\nnumber = "{OF_DESK}"\ndestination = "extension:{DESK}"\n',
        trunk_toml("world", place(carrier)),
        f'[[gateway]]\nname = "warehouse"\nserver = "sip:{place(gateway)}"\noutbound_rule = "standard"\n',
        f'[[gateway]]\nname = "closed"\nserver = "sip:{place(gateway)};transport=tcp"\n',
        '[[outbound_rule]]\nname = "standard"\ntrunks = ["world"]\n',
        '[[outbound_rule.country]]\ncountry = "SG"\n',
        '[[rate]]\nprefix = "+65"\nper_minute = 6.0\nincrement = 1\n',
    ]
    return "\n".join(parts)


@pytest.fixture(scope="module")
def outside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Carriers]:
    with carriers(tmp_path_factory.mktemp("outside")) as made:
        made.add("127.0.0.2")
        made.add("127.0.0.3", "warehouse")
        yield made


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, outside: Carriers) -> Iterator[PbxServer]:
    text = office(*outside.phones)
    yield from running(tmp_path_factory.mktemp("who_pays"), text, almost_spent, rtp_ports=140)


def almost_spent(server: PbxServer) -> None:
    """One extension has talked so long in this month that only seconds of its minute are left."""
    month, seconds = month_of(datetime.now(UTC), "Asia/Singapore"), 60.0 - LIMIT_S
    with closing(sqlite3.connect(server.folder / "data" / "pbx.db")) as database, database:
        row = ("leg", "call", TIMED, month, FAR, time.time(), seconds, "0")
        database.execute(f"INSERT INTO usage_charge VALUES ({','.join('?' * len(row))})", row)


@pytest.fixture
def world(outside: Carriers) -> PjsuaPhone:
    """The carrier; everybody answers there."""
    phone = outside.phones[0]
    assert isinstance(phone, PjsuaPhone)
    phone.answering(Answering(200))
    return phone


@pytest.fixture
def warehouse(outside: Carriers) -> PjsuaPhone:
    phone = outside.phones[1]
    assert isinstance(phone, PjsuaPhone)
    return phone


def phone_of(server: PbxServer, shop: Workshop, key: str, program: str = "pjsua") -> Phone:
    return shop.registered(program, TestDevice(key, key).account(server.address))


def test_a_limit_cuts_a_call_and_a_top_up_opens_it_again(
    server: PbxServer, shop: Workshop, world: PjsuaPhone
):
    phone = phone_of(server, shop, LIMITED)
    call, answered = connect(phone, world, FAR)
    phone.ear(call).wait_tone(LIMIT_TONE.frequencies[0], LIMIT_TONE.seconds - 0.1)  # the end is near
    world.ear(answered).assert_silent(LIMIT_TONE.frequencies[0])
    phone.wait_ended(call)
    world.wait_ended(answered)
    assert talked_s(call) > LIMIT_S - 0.5
    assert "Usage limit reached" in phone.received("BYE ")[-1].header("Reason")
    wait_until("it is charged", lambda: not Decimal(used(server, LIMITED)["left"]))
    before = len(invites(world))
    refused = phone.dial(FAR)
    wait_heard(server, phone, refused, PHRASES.say("call-limit-reached"))
    assert phone.wait_ended(refused) == 403
    assert len(invites(world)) == before
    call, answered = connect(phone, phone_of(server, shop, ANN))  # inside it costs nothing
    phone.hangup(call)
    server.command("usage", "topup", LIMITED, "--amount", "1.00")
    call, answered = connect(phone, world, FAR)
    hang_up((phone, call), (world, answered))


def test_a_limit_of_minutes_cuts_a_call(server: PbxServer, shop: Workshop, world: PjsuaPhone):
    phone = phone_of(server, shop, TIMED, "baresip")
    call, answered = connect(phone, world, FAR)
    phone.wait_ended(call)
    world.wait_ended(answered)
    assert talked_s(answered) > LIMIT_S - 0.5
    wait_until("it is counted", lambda: used(server, TIMED)["left"] == 0)
    assert phone.wait_ended(phone.dial(FAR)) == 403
    server.command("usage", "reset", TIMED)
    call, answered = connect(phone, world, FAR)
    hang_up((phone, call), (world, answered))


def last_sign_s(server: PbxServer) -> float:
    """When the server's database heard last of calls that go on: monotonic seconds, 0 = never."""
    with closing(sqlite3.connect(server.folder / "data" / "pbx.db")) as database:
        [(found,)] = database.execute("SELECT max(alive_s) FROM usage_alive")
    return float(found or 0.0)


def test_a_crash_in_mid_call_is_charged(server: PbxServer, shop: Workshop, world: PjsuaPhone):
    phone = phone_of(server, shop, CRASHED)
    call, answered = connect(phone, world, FAR)
    hear_each_other((phone, call), (world, answered), 1.0)
    began = call.since[CallState.ESTABLISHED]
    wait_until("it has shown signs of life", lambda: last_sign_s(server) > began + 2.0)
    alive = last_sign_s(server)
    server.kill()
    ended = time.monotonic()
    server.serve()
    seconds = used(server, CRASHED)["used_seconds"]
    assert alive - began - 1.0 <= seconds <= ended - began + 1.0, (began, alive, ended, seconds)
    phone.hangup(call)
    world.hangup(answered)
    world.wait_ended(answered)


@pytest.mark.parametrize("way", ["REFER", "keys"])
def test_a_transfer_outside_is_paid_by_who_transfers(
    server: PbxServer, shop: Workshop, world: PjsuaPhone, way: str
):
    ann, bob = phone_of(server, shop, ANN), phone_of(server, shop, BOB, "baresip")
    call, answered = connect(bob, ann)
    hear_each_other((bob, call), (ann, answered), 0.5)
    before = len(world.calls)
    if way == "REFER":
        ann.transfer(answered, ann.account.uri("61234567"))
    else:
        ann.dtmf(answered, "##261234567#")
    reached = world.wait_incoming(number=before)
    world.wait_established(reached)
    if way == "keys":
        hear_each_other((ann, answered), (world, reached), 0.5)
        ann.hangup(answered)
    ann.wait_ended(answered)
    hear_each_other((bob, call), (world, reached))
    hang_up((bob, call), (world, reached))
    assert dialled(invites(world)[-1]) == FAR
    [record] = wait_calls(server, "--caller", BOB)
    assert payers(record) == [ANN]
    assert Decimal(next(leg["cost"] for leg in record["legs"] if leg["trunk"])) > 0


def test_who_forwards_pays(server: PbxServer, shop: Workshop, world: PjsuaPhone, warehouse: PjsuaPhone):
    """Whoever calls: a gateway, somebody outside."""
    before = len(world.calls)
    call = warehouse.call(f"sip:{AWAY}@{server.address}")
    reached = world.wait_incoming(number=before)
    warehouse.wait_established(call)
    hear_each_other((warehouse, call), (world, reached))
    hang_up((warehouse, call), (world, reached))
    before = len(world.calls)
    call = arrive(world, server, DID, OTHER)
    world.wait_established(call)
    reached = world.wait_incoming(number=before + 1)
    hang_up((world, call), (world, reached))
    invite = invites(world)[-1]
    assert f"sip:{DID}@" in invite.header("From")  # the carrier takes none but ours
    assert f"sip:{OTHER}@" in invite.header("Diversion")
    assert f"sip:{OTHER}@" in invite.header("History-Info")
    records = wait_calls(server, "--extension", AWAY, count=2)
    assert [payers(each)[-1] for each in records] == [AWAY, AWAY]


def test_a_gateway_has_all_calls_of_its_extension(
    server: PbxServer, shop: Workshop, world: PjsuaPhone, warehouse: PjsuaPhone
):
    """It rings whatever else is set, calls in as that extension, and dials outside by its own rule."""
    ann = phone_of(server, shop, ANN)
    call, answered = connect(ann, warehouse, MAPPED)
    assert dialled(invites(warehouse)[-1]) == MAPPED
    hear_each_other((ann, call), (warehouse, answered))
    hang_up((ann, call), (warehouse, answered))
    before = len(ann.calls)
    call = warehouse.call(f"sip:{ANN}@{server.address}")
    answered = ann.wait_incoming(number=before)
    assert f"sip:{MAPPED}@" in invites(ann)[-1].header("From")
    warehouse.wait_established(call)
    hang_up((warehouse, call), (ann, answered))
    before = len(world.calls)
    call = warehouse.call(f"sip:61234567@{server.address}")
    reached = world.wait_incoming(number=before)
    warehouse.wait_established(call)
    hang_up((warehouse, call), (world, reached))
    assert ann.wait_ended(ann.dial(LOST)) == 480


def test_a_hot_desk_makes_one_call_for_a_pin(server: PbxServer, shop: Workshop, world: PjsuaPhone):
    """As its owner's extension, which pays; an emergency call needs no PIN, and is the phone's own."""
    desk = phone_of(server, shop, DESK)
    before = len(world.calls)
    call = dial(desk, FAR)
    wait_heard(server, desk, call, PHRASES.say("hotdesk-enter-pin"))
    desk.dtmf(call, OWNERS_PIN + "#")
    reached = world.wait_incoming(number=before)
    world.wait_established(reached)
    hear_each_other((desk, call), (world, reached), 1.0)
    assert f"sip:{DID}@" in invites(world)[-1].header("From")
    hang_up((desk, call), (world, reached))
    call, reached = connect(desk, world, "995")
    assert dialled(invites(world)[-1]) == "995"
    assert f"sip:{OF_DESK}@" in invites(world)[-1].header("From")
    hang_up((desk, call), (world, reached))
    [record] = wait_calls(server, "--callee", FAR)
    assert (record["member"], record["caller_device"]) == ("owner@acme.example", DESK)
    assert payers(record) == [ANN]
