"""What overload and the limits turn away, as the phones see it; emergency calls go through everything."""

from dataclasses import replace

import pytest

from pbx.call.admission import MOST_REGISTERS
from pbx.call.exchange import Settings
from pbx.call.limits import GIVEN_UP_S, SET_UPS
from pbx.office.settings import Settings as OfficeSettings
from pbx.office.trunk import Trunk
from pbx.sip.digest import answer, make_ha1, read_challenges
from pbx.sip.flow import Flow
from pbx.sip.message import Request
from pbx.sip.overload import CALM, PATIENCE
from pbx.sip.parser import parse_datagram
from tests.call.world import DOMAIN, SERVER, Phone, World, hang_up, make_office, talk
from tests.support.messages import make_invite

OFFICE = replace(make_office("100", "101", "102"), settings=OfficeSettings(emergency=("995", "112")))
DIALLED = ["sip:995@pbx.local", "sip:112@192.0.2.1:5060", "sip:995@192.0.2.1;user=phone"]


def make_world(**settings):
    return World(OFFICE, Settings(DOMAIN, **settings))


def overload(world, wait_s=10.0):
    for _ in range(PATIENCE):
        assert world.exchange.stack.is_screening is False
        world.exchange.end_window(wait_s)
    assert world.exchange.stack.is_screening


def relax(world):
    for _ in range(CALM):
        world.exchange.end_window(0.0)


def ack_of(invite, response):
    """The ACK of a refusal (RFC 3261 §17.1.1.3)."""
    ack = Request("ACK", invite.uri, invite.headers.copy(), b"")
    ack.headers.set("CSeq", f"{invite.cseq.number} ACK")
    ack.headers.set("To", response.headers.get("To"))
    return ack


def credentials(world, phone, request, password=""):
    values = world.exchange._gate._authenticator.challenge(world.now, client="192.0.2.9")
    challenge = read_challenges(values)[0]
    ha1 = make_ha1(phone.username, DOMAIN, password or f"secret-{phone.username}")
    return answer(challenge, phone.username, ha1, request.method, request.uri, nc=1, cnonce="c")


def send_with_credentials(world, phone, uri):
    phone.received.clear()
    request = phone.request("INVITE", uri, phone.sdp(), call_id=f"direct-{phone.count}")
    request.headers.set("Authorization", credentials(world, phone, request))
    phone.send(request)
    return phone.statuses()[-1]


def test_methods_that_nobody_knows_are_counted_as_one():
    """What strangers make up would fill the memory, for they can keep the overload up."""
    world = make_world()
    ann = world.phone("100")
    overload(world)
    for number in range(50):
        ann.send(ann.request(f"MADE-UP-{number}", f"sip:101@{DOMAIN}"))
    (episode,) = world.exchange.admission.refusals._episodes.values()
    assert episode.counts == {"other requests": 50}


# --- overload ----------------------------------------------------------------------------------------------


def test_a_new_call_gets_a_503_that_needs_nothing_kept():
    world = make_world()
    ann = world.phone("100")
    overload(world)
    kept = len(world.exchange.stack.layer)
    invite = ann.request("INVITE", f"sip:101@{DOMAIN}", ann.sdp())
    invite.headers.set("Timestamp", "1")
    ann.send(invite)
    refusal = ann.last(503)
    assert ann.statuses() == [503]  # and no 100 before it
    assert 5 <= int(refusal.headers.get("Retry-After")) <= 15
    for name in ("From", "Call-ID", "CSeq"):
        assert refusal.headers.get(name) == invite.headers.get(name)
    assert refusal.via.branch == invite.via.branch
    assert refusal.via.params["rport"] == str(ann.address[1])
    assert refusal.to.tag
    ann.send(invite)  # the 503 was lost
    assert ann.received[-1] == refusal
    assert ann.statuses() == [503, 503]
    ann.send(ack_of(invite, refusal))
    assert ann.statuses() == [503, 503]
    assert len(world.exchange.stack.layer) == kept


def test_the_ack_of_a_refusal_is_known_unread_and_no_other():
    """Its tag tells: it is not parsed, whether or not there is overload still."""
    world = make_world()
    ann, bob = world.phone("100"), world.phone("101")
    invite = ann.request("INVITE", f"sip:101@{DOMAIN}", ann.sdp())
    ann.send(invite)
    is_ack = world.exchange.stack._stateless.is_ack
    assert is_ack(ack_of(invite, ann.last(401)).render())
    overload(world)
    again = ann.request("INVITE", f"sip:101@{DOMAIN}", ann.sdp(), call_id="again")
    ann.send(again)
    assert is_ack(ack_of(again, ann.last(503)).render())
    assert not is_ack(again.render())
    relax(world)
    talk(world, ann, bob)
    sent = [message for message in bob.received if isinstance(message, Request) and message.method == "ACK"]
    assert sent
    for ack in (*sent, ack_of(ann.sent_invite, ann.last(200))):
        assert not is_ack(ack.render())


def test_those_turned_away_do_not_all_come_back_at_once():
    world = make_world()
    ann = world.phone("100")
    overload(world)
    for number in range(60):
        ann.send(ann.request("INVITE", f"sip:101@{DOMAIN}", call_id=f"call-{number}"))
    assert len({refusal.headers.get("Retry-After") for refusal in ann.all(503)}) > 8


@pytest.mark.parametrize("uri", DIALLED)
def test_an_emergency_call_goes_through_the_worst_overload(uri):
    world = make_world()
    ann = world.phone("100")
    overload(world)
    ann.send(ann.request("INVITE", uri, ann.sdp(), call_id="first"))
    assert ann.statuses() == [401]
    assert send_with_credentials(world, ann, uri) == 404  # what routing says while there are no trunks


def test_a_call_that_is_up_notices_nothing():
    world = make_world()
    ann, bob = world.phone("100"), world.phone("101")
    talk(world, ann, bob)
    overload(world)
    ann.send(ann.in_dialog("INVITE", ann.sdp(version=2, direction="sendonly")))
    bob.answer()
    assert ann.statuses()[-1] == 200
    ann.ack()
    hang_up(world, ann, bob)


def test_a_call_on_its_way_goes_on():
    world = make_world()
    ann, bob = world.phone("100"), world.phone("101")
    ann.invite("101")
    overload(world)
    ann.send(ann.sent_invite)  # repeated: it belongs to a transaction
    bob.ring()
    bob.answer()
    ann.ack()
    assert ann.statuses()[-1] == 200
    assert 503 not in ann.statuses()
    hang_up(world, ann, bob)


def test_a_call_on_its_way_can_be_cancelled():
    world = make_world()
    ann, bob = world.phone("100"), world.phone("101")
    ann.invite("101")
    bob.ring()
    overload(world)
    ann.cancel()
    assert ann.statuses("CANCEL") == [200]
    assert ann.statuses()[-1] == 487
    bob.respond(bob.last("INVITE"), 487)


# The wait, and what is turned away: a stranger's call, call with credentials, and REGISTER; then a phone's.
STAGES = {
    "a little": (0.05, [503, 0, 0, 0, 0, 0]),
    "more": (0.095, [503, 503, 0, 0, 0, 0]),
    "much": (0.15, [503, 503, 0, 503, 0, 0]),
    "all calls": (0.19, [503, 503, 0, 503, 503, 0]),
    "strangers": (0.25, [503, 503, 503, 503, 503, 0]),
    "all": (0.35, [503] * 6),
}


@pytest.mark.parametrize(("wait_s", "expected"), STAGES.values(), ids=STAGES)
def test_strangers_go_before_known_phones_and_calls_before_registrations(wait_s, expected):
    world = make_world()
    ann = world.phone("100")
    stranger = Phone(world, "102", 5300)
    world.phones[stranger.address] = stranger
    overload(world)
    world.exchange.waited(wait_s)
    got = []
    for phone in (stranger, ann):
        phone.received.clear()
        phone.send(phone.request("INVITE", f"sip:101@{DOMAIN}", call_id=f"without-{phone.username}"))
        got.append(phone.statuses()[-1])
        got.append(send_with_credentials(world, phone, f"sip:101@{DOMAIN}"))
        to = f"<sip:{phone.username}@{DOMAIN}>"
        phone.send(phone.request("REGISTER", f"sip:{DOMAIN}", to=to))
        got.append(phone.statuses("REGISTER")[-1])
    assert [status if status == 503 else 0 for status in got] == expected


def test_strangers_who_flood_with_registrations_or_questions_do_not_take_the_calls():
    world = make_world()
    ann = world.phone("100")
    flood = [Phone(world, "102", port) for port in range(7000, 7000 + 3 * MOST_REGISTERS)]
    overload(world)
    world.exchange.waited(0.05)
    for phone in flood:
        world.phones[phone.address] = phone
        phone.send(phone.request("REGISTER", f"sip:{DOMAIN}", to=f"<sip:102@{DOMAIN}>"))
    answers = [phone.statuses("REGISTER")[-1] for phone in flood]
    assert answers == [401] * MOST_REGISTERS + [503] * (2 * MOST_REGISTERS)
    flood[0].send(flood[0].request("OPTIONS", f"sip:{DOMAIN}"))
    assert flood[0].statuses("OPTIONS") == [503]
    for method in ("INVITE", "OPTIONS"):
        ann.send(ann.request(method, f"sip:101@{DOMAIN}"))
        assert ann.statuses(method)[-1] != 503
    world.exchange.end_window(0.05)
    flood[-1].send(flood[-1].request("REGISTER", f"sip:{DOMAIN}", to=f"<sip:102@{DOMAIN}>"))
    assert flood[-1].statuses("REGISTER")[-1] == 401


def test_a_carrier_is_known_by_its_address():
    carrier = Trunk("carrier", "sip:198.51.100.2", register=False, addresses=("198.51.100.2",))
    world = World(replace(OFFICE, trunks=(carrier,)), Settings(DOMAIN))
    overload(world)
    invite = make_invite(uri=f"sip:+6561234567@{DOMAIN}").render()
    for wait_s, expected in ((0.15, True), (0.05, False)):
        flow = Flow("UDP", ("198.51.100.2", 5060), SERVER)
        answers, passed = world.exchange.screen_batch([(invite, flow)], wait_s, world.now)
        assert (len(answers), len(passed)) == ((1, 0) if expected else (0, 1))


def test_over_streams_it_is_the_same():
    world = make_world()
    ann = world.phone("100", transport="TCP")
    overload(world)
    world.perform(
        world.exchange.receive_message(ann.request("INVITE", f"sip:101@{DOMAIN}"), ann.flow, world.now)
    )
    assert ann.statuses() == [503]


def test_of_a_batch_those_turned_away_are_answered_first_and_the_others_keep_their_order():
    world = make_world()
    ann, bob = world.phone("100"), world.phone("101")
    talk(world, ann, bob)
    stranger = Phone(world, "102", 5300)
    overload(world, wait_s=0.05)
    refused = [stranger.request("INVITE", f"sip:101@{DOMAIN}", call_id=f"refused-{n}") for n in range(2)]
    by_proxy = stranger.request("INVITE", f"sip:101@{DOMAIN}", call_id="by-proxy")
    by_proxy.headers.add("Via", "SIP/2.0/UDP 198.51.100.9;branch=z9hG4bK-first")
    known = ann.request("OPTIONS", f"sip:{DOMAIN}")
    bye = bob.in_dialog("BYE")
    batch = [(refused[0], stranger), (known, ann), (by_proxy, stranger), (refused[1], stranger), (bye, bob)]
    answers, passed = world.exchange.screen_batch(
        [(message.render(), phone.flow) for message, phone in batch], 0.05, world.now
    )
    assert [parse_datagram(each.data).call_id for each in answers] == ["refused-0", "refused-1"]
    for phone in (ann, bob, stranger):
        world.phones[phone.address] = phone
        phone.received.clear()
    for step, data, flow in passed:
        world.perform(step(data, flow, world.now))
    assert [parse_datagram(data).method for _, data, _ in passed] == ["OPTIONS", "INVITE", "BYE"]
    assert (ann.statuses("OPTIONS"), bob.statuses("BYE")) == ([200], [200])
    assert stranger.statuses("INVITE") == [503]  # what the glance does not know is read first


def test_while_calls_are_traced_all_is_read():
    office = replace(OFFICE, extensions=tuple(replace(each, debug=True) for each in OFFICE.extensions))
    world = World(office, Settings(DOMAIN))
    ann = world.phone("100")
    overload(world)
    batch = [(ann.request("INVITE", f"sip:101@{DOMAIN}").render(), ann.flow)]
    answers, ((step, data, flow),) = world.exchange.screen_batch(batch, 10.0, world.now)
    assert not answers
    world.perform(step(data, flow, world.now))
    assert ann.statuses() == [503]


def test_a_broken_request_is_told_what_is_wrong_with_it():
    world = make_world()
    ann = world.phone("100")
    overload(world)
    broken = ann.request("INVITE", f"sip:101@{DOMAIN}", to="<sip:101@pbx.local>;tag=a;tag=b,")
    ann.send(broken)
    assert ann.statuses() == [400]


def test_the_end_of_the_load_is_the_end_of_it_and_the_log_has_two_lines():
    world = make_world()
    ann, bob = world.phone("100"), world.phone("101")
    overload(world)
    for number in range(20):
        ann.send(ann.request("INVITE", f"sip:101@{DOMAIN}", call_id=f"call-{number}"))
    status = world.exchange.admission.refusals.status(world.now)
    assert [(row["cause"], row["refused"]) for row in status] == [("overload", 20)]
    relax(world)
    talk(world, ann, bob)
    hang_up(world, ann, bob)
    assert [note for note in world.notes if "turning" in note] == [
        "turning new calls away: overload, requests wait 10000 ms for their turn",
        "no longer turning calls away (overload, requests wait 10000 ms for their turn): "
        "20 INVITE refused in 0.0 s",
    ]


# --- limits ------------------------------------------------------------------------------------------------


def test_calls_per_second():
    world = make_world(calls_per_second=2)
    ann = world.phone("100")
    statuses = [send_with_credentials(world, ann, f"sip:777@{DOMAIN}") for _ in range(4)]
    assert statuses == [404, 404, 503, 503]
    assert ann.last(503).headers.get("Retry-After") is not None
    world.now += 0.5
    assert send_with_credentials(world, ann, f"sip:777@{DOMAIN}") == 404
    assert [note for note in world.notes if "turning" in note] == [
        "turning new calls away: more than limits.calls_per_second = 2"
    ]


LIMITED = {
    "calls": {"max_calls": 1},
    "calls per second": {"calls_per_second": 1},
    "both": {"max_calls": 1, "calls_per_second": 1},
}


@pytest.mark.parametrize("uri", DIALLED)
@pytest.mark.parametrize("settings", LIMITED.values(), ids=LIMITED)
def test_an_emergency_call_passes_each_limit(settings, uri):
    world = make_world(**settings)
    ann, bob = world.phone("100"), world.phone("101")
    ann.invite("101")
    assert send_with_credentials(world, bob, f"sip:102@{DOMAIN}") == 503
    assert send_with_credentials(world, bob, uri) == 404


def test_a_call_that_is_up_can_be_taken_over_at_the_limit():
    world = make_world(max_calls=1)
    ann, bob, eve = world.phone("100"), world.phone("101"), world.phone("102")
    talk(world, ann, bob)
    replaces = f"{bob.dialog['call_id']};to-tag={tag(bob, 'remote')};from-tag={tag(bob, 'local')}"
    eve.invite("101", Replaces=replaces)
    assert eve.statuses()[-1] != 503


def tag(phone, side):
    return phone.dialog[side].partition(";tag=")[2]


def test_one_phone_cannot_hold_more_calls_that_wait_than_it_has_keys_for():
    extensions = tuple(replace(each, call_waiting=100) for each in OFFICE.extensions)
    world = World(replace(OFFICE, extensions=extensions), Settings(DOMAIN))
    ann, bob, eve = world.phone("100"), world.phone("101"), world.phone("102")
    for _ in range(SET_UPS):
        assert send_with_credentials(world, ann, f"sip:101@{DOMAIN}") == 100
    assert send_with_credentials(world, ann, f"sip:101@{DOMAIN}") == 480
    assert ann.last(480).headers.get("Retry-After") is not None
    assert send_with_credentials(world, ann, f"sip:995@{DOMAIN}") == 404
    assert send_with_credentials(world, eve, f"sip:101@{DOMAIN}") == 100  # the others are not held up
    for invite in bob.all("INVITE")[:3]:
        bob.respond(invite, 486)
    assert send_with_credentials(world, ann, f"sip:101@{DOMAIN}") == 100


def test_a_call_that_failed_before_it_was_there_takes_no_place():
    """Whatever went wrong with it: nobody says that it has ended, and the phone would be mute for ever."""
    world = make_world()
    ann = world.phone("100")
    for number in range(SET_UPS):
        world.exchange.admission.began(ann.username, f"lost-{number}")
    assert send_with_credentials(world, ann, f"sip:777@{DOMAIN}") == 404


def give_up(world, caller, callee):
    caller.invite(callee.username)
    if caller.statuses()[-1] == 480:
        return False
    callee.ring()
    caller.cancel()
    callee.respond(callee.last("INVITE"), 487)
    return True


def test_a_phone_that_calls_and_hangs_up_in_a_loop_makes_so_many_calls_and_no_more():
    world = make_world()
    ann, bob = world.phone("100"), world.phone("101")
    begun = 0
    for _ in range(10 * 60):
        begun += give_up(world, ann, bob)
        ann.received.clear()
        bob.received.clear()
        world.wait(1 / 60)
    assert begun == pytest.approx(10 * SET_UPS / GIVEN_UP_S, abs=SET_UPS)


def test_calls_that_are_answered_are_made_as_fast_as_ever():
    """The load of a whole office on one phone: 60 calls a second."""
    world = make_world()
    ann, bob = world.phone("100"), world.phone("101")
    for _ in range(60 * 3):
        talk(world, ann, bob)
        ann.bye()
        bob.ok("BYE")
        world.wait(1 / 60)
    assert ann.all(480) == []


# --- failed_auth -------------------------------------------------------------------------------------------


def test_anothers_wrong_passwords_do_not_keep_an_emergency_call_from_being_heard():
    world = make_world(failed_auth=3)
    phone = Phone(world, "100", 5300)
    world.phones[phone.address] = phone
    for _ in range(3):
        request = phone.request("REGISTER", f"sip:{DOMAIN}", to=f"<sip:101@{DOMAIN}>")
        other = Phone(world, "101", 5301)
        request.headers.set("Authorization", credentials(world, other, request, "wrong"))
        world.receive(request, phone.flow)
    assert send_with_credentials(world, phone, f"sip:101@{DOMAIN}") == 403
    assert send_with_credentials(world, phone, f"sip:995@{DOMAIN}") == 404


# --- floods ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["INVITE", "REGISTER", "OPTIONS", "MESSAGE", "SUBSCRIBE", "BYE", "FOO"])
def test_a_stranger_leaves_nothing_behind(method):
    world = make_world()
    phone = Phone(world, "100", 5300)
    world.phones[phone.address] = phone
    for number in range(300):
        request = phone.request(method, f"sip:101@{SERVER[0]}", call_id=f"flood-{number}")
        world.receive(request, phone.flow)
    assert len(phone.received) == 300
    stack = world.exchange.stack
    assert (len(stack.layer), len(stack.timers), len(stack.dialogs), len(world.exchange.calls)) == (
        0,
        0,
        0,
        0,
    )
    assert len(stack.layer.deadlines) == len(stack.layer._merge_ids) == 0


def test_a_repeated_request_gets_the_same_tag_though_nothing_is_kept():
    world = make_world()
    phone = Phone(world, "100", 5300)
    world.phones[phone.address] = phone
    invite = phone.request("INVITE", f"sip:101@{DOMAIN}")
    phone.send(invite)
    phone.send(invite)
    first, second = phone.all(401)
    assert first.to.tag == second.to.tag
