"""What carriers, strangers behind them and phones try at the expense of others (product §2, §3)."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from pbx.call.busy_lamps import show_calls
from pbx.call.exchange import Settings
from pbx.call.questions import (
    ChangeOffice,
    CheckSecret,
    HeldMessage,
    ListMessages,
    OpenedMailbox,
    OpenMailbox,
)
from pbx.office.gateway import Gateway
from pbx.office.incoming import Forward, Incoming
from pbx.office.number import Number
from pbx.office.outbound_rule import AllowedCountry, OutboundRule
from pbx.office.rate import Rate
from pbx.office.room import Room
from pbx.office.trunk import Trunk
from pbx.sip.flow import Flow
from pbx.sip.message import Request, Response
from tests.call.test_hot_desk_calls import begin as begin_at_a_desk
from tests.call.test_outside_calls import (
    CARRIER,
    OURS,
    OUTSIDE,
    SECOND,
    Carrier,
    change,
    limited,
    make_office,
    start,
)
from tests.call.world import DOMAIN, Phone, World, hang_up

ANOTHER = "+6565551111"


def dial_out(caller: Phone, carrier: Carrier, number: str = OUTSIDE) -> dict[str, str]:
    """An answered call to a number outside; returns the carrier's dialog."""
    caller.invite(number)
    carrier.answer()
    caller.ack()
    return dict(carrier.dialog)


def transfer(phone: Phone, target: str) -> None:
    """A blind transfer by REFER."""
    phone.send(phone.in_dialog("REFER", Refer_To=f"<sip:{target}@{DOMAIN}>"))
    phone.ok("NOTIFY")


def test_two_legs_that_are_paid_for_in_one_call_are_cut_together():
    world, carrier, _, (ann,) = start(limited(kind="minutes", minutes=2), "100")
    first = dial_out(ann, carrier)
    transfer(ann, ANOTHER)
    assert carrier.last("INVITE").uri.startswith(f"sip:{ANOTHER}@")
    carrier.answer()
    second = dict(carrier.dialog)
    carrier.respond(carrier.last("INVITE"), 200, carrier.sdp(2))
    world.wait(5.0)
    ann.ok("BYE")
    assert len(world.exchange.calls) == 1
    world.wait(56.0)
    assert not world.exchange.calls
    assert {bye.call_id for bye in carrier.all("BYE")} == {first["call_id"], second["call_id"]}


@pytest.mark.parametrize("method", ["INVITE", "MESSAGE"])
@pytest.mark.parametrize("place", ["Contact", "Path"])
def test_a_phone_that_registers_at_a_carrier_calls_nobody_there(place, method):
    _world, carrier, _, (ann, bob) = start(make_office(), "100", "101")
    there = f"<sip:+19005551234@{CARRIER}>"
    headers = {"Contact": there} if place == "Contact" else {"Path": f"<sip:{CARRIER};lr>", "Contact": there}
    bob.register(**headers)
    if method == "INVITE":
        ann.invite("101")
    else:
        ann.send_authenticated(lambda: ann.request("MESSAGE", f"sip:101@{DOMAIN}", call_id="text"))
    assert bob.last(method)  # at his other contact
    assert not carrier.all(method)


def test_a_phone_rings_at_its_contact_also_where_it_did_not_register_from():
    world, _, _, (ann, bob) = start(make_office(), "100", "101")
    desk = world.phone("102", 5103, host="192.0.2.77")
    bob.register(Contact="<sip:101@192.0.2.77:5103>")
    ann.invite("101")
    assert desk.last("INVITE")


@pytest.mark.parametrize("dialled", ["999", "31234567"])
def test_a_call_to_outside_is_not_picked_up(dialled):
    _world, carrier, _, (ann, bob) = start(make_office(), "100", "101")
    ann.invite(dialled)
    carrier.ring()
    number = carrier.last("INVITE").headers.get("To").partition("sip:")[2].partition("@")[0]
    bob.invite(f"**{number}")
    assert not carrier.all("CANCEL")
    assert ann.statuses()[-1] == 180
    carrier.answer()
    ann.ack()
    assert carrier.last("INVITE")


def test_nobody_picks_up_a_call_at_a_desk_where_nobody_is_logged_in():
    _world, _, (desk, ann, bob) = begin_at_a_desk("200", "101", "102")
    ann.invite("102")
    bob.ring()
    desk.invite("**102")
    assert desk.statuses()[-1] != 200
    assert not bob.all("CANCEL")


def test_many_calls_at_once_cost_no_more_than_the_limit():
    """Each of them would find the same money, and pay for its connection when all are answered together."""
    office = limited(kind="amount", amount=Decimal("1.00"))
    office = replace(office, rates=(Rate("+65", Decimal("0.10"), connection=Decimal("0.30")),))
    world, carrier, _, (ann,) = start(office, "100")
    for number in range(10):
        ann.invite(f"3123{4000 + number}")
    for invite in carrier.all("INVITE"):
        carrier.respond(invite, 200, carrier.sdp(), tag=invite.call_id)
    assert len(carrier.all("INVITE")) == 2
    assert world.exchange.metering.used("100").amount == Decimal("0.80")


def test_a_limit_that_others_used_up_meanwhile_is_not_passed_by_a_passcode():
    rule = OutboundRule("standard", ("carrier",), countries=(AllowedCountry("SG", passcode=True),))
    office = change(limited(kind="amount", amount=Decimal("1.00")), "100", passcode_hash="hash")
    office = replace(office, outbound_rules=(rule,))
    world, carrier, _, (ann,) = start(office, "100")
    endpoints = []
    for number in range(4):
        ann.invite(f"3123{4000 + number}")
        ann.ack()
        endpoints.append(world.playing.endpoint)
    for endpoint in endpoints:
        world.press("4321#", endpoint)
    assert len(carrier.all("INVITE")) == 1
    assert not world.bugs


def test_outside_nobody_learns_of_our_extensions_by_a_transfer():
    _world, carrier, _, (ann, bob) = start(make_office(), "100", "101")
    outside = dial_out(ann, carrier)
    transfer(ann, "101")
    bob.answer()
    for invite in carrier.all("INVITE"):
        assert "101@" not in (invite.headers.get("P-Asserted-Identity") or "")
    assert len(carrier.all("INVITE")) == 2
    assert outside


@pytest.mark.parametrize("name", ["Alert_Info", "Call_Info"])
def test_who_calls_from_outside_lets_no_phone_answer_by_itself(name):
    _world, carrier, _, (ann, _bob) = start(make_office(), "100", "101")
    carrier.call(OURS, **{name: "<sip:pbx.local>;answer-after=0;info=alert-autoanswer"})
    assert ann.last("INVITE").headers.get(name.replace("_", "-")) is None


def test_who_transfers_to_a_forwarded_extension_does_not_pay_for_it():
    office = change(make_office(), "102", incoming=Incoming(forward=Forward(True, ANOTHER)))
    world, carrier, _, (ann, bob) = start(office, "100", "101")
    ann.invite("101")
    bob.answer()
    ann.ack()
    transfer(ann, "102")
    carrier.answer()
    (call,) = world.exchange.calls.values()
    assert [row.payer for row in call.record.legs if row.number] == ["102"]


def test_who_hides_is_not_shown_inside_either():
    world, _, _, (ann, bob) = start(make_office(), "100", "101")
    code = world.office.settings.codes.hide_caller_id
    ann.invite(f"{code}101")
    assert "100" not in bob.last("INVITE").headers.get("From")


def test_a_hidden_caller_is_not_told_to_a_gateway():
    office = replace(make_office(), gateways=(Gateway("warehouse", f"sip:{SECOND}"),))
    office = change(office, "100", incoming=Incoming(gateway="warehouse"))
    _world, carrier, second, _ = start(office)
    carrier.call(OURS, Privacy="id")
    assert OUTSIDE not in second.last("INVITE").headers.render()


@pytest.mark.parametrize("user", ["%0D%0AX-Evil:%201", "%3e;tag=1,%20%3csip:100"])
def test_a_callers_number_adds_nothing_to_what_a_phone_is_sent(user):
    world, carrier, _, (ann,) = start(make_office(), "100")
    carrier.call(OURS, caller=user)
    invite = ann.last("INVITE")
    assert invite.headers.get("X-Evil") is None
    assert invite.from_.uri.host in (DOMAIN, "anonymous.invalid")
    assert not world.bugs


def test_a_key_that_comes_from_outside_is_no_vip():
    incoming = Incoming(forward=Forward(True, "", ("101",), ("105",)))
    _world, carrier, _, (ann, bob) = start(change(make_office(), "100", incoming=incoming), "100", "101")
    carrier.call(OURS, caller="105")
    assert not ann.all("INVITE")
    assert bob.last("INVITE")


def test_phones_that_send_calls_on_to_one_another_come_to_an_end():
    office = make_office(numbers=tuple(Number(f"+656000100{n}", f"extension:10{n}") for n in range(3)))
    for key in ("101", "102"):
        office = change(office, key, type="call_centre")
    _world, _carrier, _, (ann, bob, cid) = start(office, "100", "101", "102")
    ann.invite("101")
    for turn in range(12):
        phone, other = ((bob, "2"), (cid, "1"))[turn % 2]
        try:
            invite = phone.last("INVITE")
        except AssertionError:
            break
        contact = f"<sip:6{'-' * turn}5-6000-100{other}@{DOMAIN}>"
        phone.received.clear()
        phone.respond(invite, 302, Contact=contact)
    assert ann.statuses()[-1] == 480
    assert turn < 4


@pytest.mark.parametrize("code", ["*72006531112222", "*78", "*97", "*12"])
def test_nobody_uses_the_codes_of_another_by_a_transfer(code):
    world, _, _, (ann, bob) = start(make_office(), "100", "101")
    bob.invite("100")
    ann.answer()
    bob.ack()
    transfer(bob, code)
    assert not world.questions
    assert b"403" in bob.last("NOTIFY").body
    hang_up(world, bob, ann)


@pytest.mark.parametrize("caller", ["*72006531112222", "*78", "999", "#"])
def test_who_left_a_message_does_not_choose_what_is_dialled(caller):
    now = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)
    message = HeldMessage("m", caller, "", now, now, 3.0, "new", "/m.wav")

    def answer(about: Any) -> Any:
        match about:
            case OpenMailbox():
                return OpenedMailbox(60.0, "", 1, 0)
            case ListMessages():
                return [message]
        return True

    world, carrier, _, (ann,) = start(make_office(), "100")
    world.answer = answer
    ann.invite("*97")
    ann.ack()
    world.press("18")
    for _ in range(4):
        world.finish()
    assert ["vm-cannot-call-back"] in [world.heard(place) for place in range(len(world.sounds))]
    assert not any(isinstance(about, ChangeOffice) for about in world.questions)
    assert not carrier.all("INVITE")


def test_a_number_outside_lights_no_lamp():
    world, carrier, _, (_ann, _bob) = start(make_office(), "100", "101")
    carrier.call(OURS, caller="101")
    assert "101" not in show_calls(world.exchange.calls.values())


def test_a_desk_where_nobody_is_logged_in_sends_no_call_on():
    _world, carrier, (desk, bob) = begin_at_a_desk("200", "101")
    bob.invite("200")
    desk.respond(desk.last("INVITE"), 302, Contact=f"<sip:{OUTSIDE}@{DOMAIN}>")
    assert not carrier.all("INVITE")


def test_a_transfer_by_refer_waits_until_one_by_keys_is_over():
    world, _, _, (ann, bob, cid) = start(make_office(), "100", "101", "102")
    ann.invite("101")
    bob.answer()
    ann.ack()
    endpoint = next(iter(world.exchange.calls.values())).legs[0].media.sound_endpoint
    world.press("##2", endpoint)
    world.press("102#")
    cid.answer()
    ann.send(ann.in_dialog("REFER", Refer_To=f"<sip:101@{DOMAIN}>"))
    assert ann.statuses("REFER") == [491]


def test_a_carrier_passes_no_limit_by_an_emergency_number():
    office = make_office()
    world = World(office, Settings(DOMAIN, max_calls=1))
    carrier = Carrier(world, "carrier", 5060, host=CARRIER)
    world.phones[carrier.address] = carrier
    world.perform(world.exchange.start(world.now))
    world.wait(0.0)
    world.phone("100")
    carrier.call(OURS)
    other = Carrier(world, "other", 5060, host=SECOND)
    world.phones[other.address] = other
    other.call("999", P_Called_Party_ID=f"<sip:{OURS}@{DOMAIN}>")
    assert other.statuses()[-1] == 503


@pytest.mark.parametrize(
    ("given", "name", "number"),
    {
        "a name with control characters": (f'"A\x1b[2Jnn" <sip:{OUTSIDE}@x>', "A[2Jnn", OUTSIDE),
        "an endless name": (f'"{"n" * 5000}" <sip:{OUTSIDE}@x>', "n" * 64, OUTSIDE),
        "an endless number": (f"<sip:{'1' * 5000}@x>", "", "anonymous"),
    }.values(),
)
def test_who_calls_is_told_in_brief(given, name, number):
    world, carrier, _, (_ann,) = start(make_office(), "100")
    carrier.call(OURS, From=f"{given};tag=f")
    (call,) = world.exchange.calls.values()
    assert (call.record.caller, call.record.caller_name) == (number, name)


def test_who_guesses_pins_at_a_phone_is_locked_there():
    """Whatever mailbox he tries: he had five guesses at each, also at each that is not there.

    A mailbox itself is locked as well, whatever phones its PIN is guessed from: its owner still has `*97`.
    """
    office = make_office(rooms=(Room("700", "hash"),))
    world, _, _, (ann, bob) = start(office, "100", "101")
    world.answer = lambda about: False
    for phone in (ann, bob):
        for called, keys in (("*98", "100#1111#"), ("*98", "999#1111#"), ("700", "1111#")):
            phone.invite(called)
            phone.ack()
            world.press(keys)
            phone.bye()
    asked = [about for about in world.questions if isinstance(about, CheckSecret)]
    assert [(about.subject, about.where) for about in asked] == [
        *(("mailbox 100", "mailboxes at 100"), ("mailbox 999", "mailboxes at 100"), ("room 700 at 100", "")),
        *(("mailbox 100", "mailboxes at 101"), ("mailbox 999", "mailboxes at 101"), ("room 700 at 101", "")),
    ]


def test_who_guesses_a_rooms_pin_outside_locks_nobody_out_inside():
    office = make_office(rooms=(Room("700", "hash"),), numbers=(Number(OURS, "room:700"),))
    world, carrier, _, (ann,) = start(office, "100")
    world.answer = lambda about: False
    for phone, number in ((carrier, OURS), (ann, "700")):
        (phone.call if phone is carrier else phone.invite)(number)
        phone.ack()
        world.press("1111#")
    outside, inside = [about.subject for about in world.questions if isinstance(about, CheckSecret)]
    assert outside != inside


def test_a_carrier_that_forks_without_end_fills_no_memory():
    world, carrier, _, (ann,) = start(make_office(), "100")
    ann.invite(OUTSIDE)
    for fork in range(200):
        carrier.ring(tag=f"fork-{fork}")
    assert len(world.exchange.stack.dialogs) < 50
    carrier.answer(tag="fork-199")
    ann.ack()
    hang_up(world, ann, carrier)


def test_a_carrier_that_answers_in_forks_without_end_is_not_followed():
    """Each further answer is acknowledged and hung up, but not any number of them."""
    world, carrier, _, (ann,) = start(make_office(), "100")
    ann.invite(OUTSIDE)
    for fork in range(200):
        carrier.answer(tag=f"fork-{fork}")
    ann.ack()
    byes = carrier.all("BYE")
    assert 10 < len(byes) < 50
    for bye in byes:
        carrier.respond(bye, 200)
    hang_up(world, ann, carrier)


class Mirror(Carrier):
    """A carrier behind which each call to outside comes back to the office, as a new one."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.turns: list[Request | Response] = []
        self.calls: dict[str, Request] = {}

    def take(self, data: bytes, flow: Flow) -> None:
        super().take(data, flow)
        message = self.received[-1]
        if message.cseq.method == "INVITE" and (isinstance(message, Request) or message.status >= 300):
            self.turns.append(message)

    def turn(self) -> None:
        message = self.turns.pop(0)
        if isinstance(message, Request):
            self.call(OURS)
            self.calls[self.sent_invite.call_id] = message
        else:
            self.respond(self.calls[message.call_id], message.status)


def test_calls_that_go_round_in_circles_come_to_an_end():
    office = change(make_office(), "100", incoming=Incoming(forward=Forward(True, ANOTHER)))
    world = World(office, Settings(DOMAIN, max_calls=8))
    mirrors = [Mirror(world, f"at-{host}", 5060, host=host) for host in (CARRIER, SECOND)]
    mirrors[1].count = 1_000_000  # so that no two calls have the same name
    world.phones = {each.address: each for each in mirrors}
    world.perform(world.exchange.start(world.now))
    world.wait(0.0)
    stranger = Carrier(world, "stranger", 5061, host=CARRIER)
    stranger.count = 2_000_000
    world.phones[stranger.address] = stranger
    stranger.call(OURS)
    for _ in range(1000):
        for mirror in mirrors:
            if mirror.turns:
                mirror.turn()
    assert stranger.statuses()[-1] == 482
    assert not world.exchange.calls
    assert sum(len(mirror.all("INVITE")) for mirror in mirrors) < 10


@pytest.mark.parametrize(("host", "is_answered"), [(CARRIER, True), ("203.0.113.66", False)])
def test_a_trunks_password_answers_nobody_but_the_trunk(host, is_answered):
    """An INVITE by UDP may be forged: who is named in its Contact gets the BYE, and challenges it."""
    trunk = Trunk("carrier", f"sip:{CARRIER}", "acme", "secret", register=False, addresses=(CARRIER,))
    world, carrier, _, (ann,) = start(make_office(trunks=(trunk,)), "100")
    there = Carrier(world, "there", 5066, host=host)
    world.phones[there.address] = there
    carrier.call(OURS, Contact=f"<sip:there@{host}:5066>")
    ann.answer()
    world.wait(40.0)  # no ACK comes
    there.respond(there.last("BYE"), 407, Proxy_Authenticate='Digest realm="acme", nonce="n"')
    assert ("Proxy-Authorization" in there.last("BYE").headers) is is_answered
