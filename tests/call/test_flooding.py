"""What phones and strangers send without end, or at length: it fills no memory, and reaches nobody."""

from functools import partial

import pytest

from pbx.call.effects import LONGEST_SAID, MOST_KEPT
from pbx.call.identity import LONGEST_KEPT
from pbx.call.passing import EACH, MOST
from pbx.sip.message import make_response
from tests.call.test_abuse import transfer
from tests.call.test_outside_calls import OURS, make_office, start
from tests.call.world import DOMAIN, hang_up


def test_who_transfers_without_end_fills_no_record():
    """Neither with words nor with legs: a call may last for days, and its record is one row."""
    world, _, _, (ann, bob, eve) = start(make_office(), "100", "101", "102")
    ann.invite("101")
    bob.answer()
    ann.ack()
    (call,) = world.exchange.calls.values()
    for number in range(MOST_KEPT):
        transfer(ann, f"{number}{'x' * 200}")
        transfer(ann, "102")
        eve.ring(486)
        ann.ok("NOTIFY")
    record = call.record
    assert len(record.decisions) == MOST_KEPT + 1
    assert max(map(len, record.decisions)) <= LONGEST_SAID
    assert record.decisions[-1] == "and more, which is not kept"
    assert len(record.legs) == MOST_KEPT
    assert [leg.name for leg in record.legs[:2]] == ["A", "B1"]
    assert {leg.name for leg in call.legs} == {"A", "B1"}
    hang_up(world, ann, bob)


def test_of_a_call_that_rings_too_many_phones_the_caller_is_kept(monkeypatch):
    monkeypatch.setattr("pbx.call.call.MOST_KEPT", 2)
    world, _, _, (ann, _bob) = start(make_office(), "100", "101")
    for number in range(3):
        world.phone("101", 5200 + number)
    ann.invite("101")
    ann.cancel()
    (record,) = world.records
    assert "A" in [leg.name for leg in record.legs]
    assert len(record.legs) == 2


def test_messages_that_nobody_answers_fill_no_memory():
    world, _, _, (ann, bob) = start(make_office(), "100", "101")
    ann.invite("101")
    bob.answer()
    ann.ack()
    for number in range(100):
        body = "x" * 60_000
        ann.send_authenticated(
            lambda number=number, body=body: ann.request(
                "MESSAGE", f"sip:101@{DOMAIN}", body, call_id=f"text-{number}"
            )
        )
        ann.send(ann.in_dialog("INFO", body, Content_Type="text/plain"))
    assert len(bob.all("MESSAGE")) + len(bob.all("INFO")) == MOST // (60_000 + EACH)
    assert ann.statuses("MESSAGE")[-1] == 480
    assert ann.statuses("INFO")[-1] == 500
    for request in (*bob.all("MESSAGE"), *bob.all("INFO")):
        bob.respond(request, 200)
    ann.send(ann.in_dialog("INFO", "x", Content_Type="text/plain"))
    bob.ok("INFO")
    assert ann.statuses("INFO")[-1] == 200
    hang_up(world, ann, bob)


def test_messages_that_are_answered_are_taken_however_many_there_are():
    """An alarm server or a gateway for short messages may send hundreds a second."""
    world, _, _, (ann, bob) = start(make_office(), "100", "101")
    ann.invite("101")
    bob.answer()
    ann.ack()
    for number in range(100):
        body = "x" * 60_000
        message = partial(ann.request, "MESSAGE", f"sip:101@{DOMAIN}", body, call_id=f"text-{number}")
        ann.send_authenticated(message)
        bob.ok("MESSAGE")
        ann.send(ann.in_dialog("INFO", body, Content_Type="text/plain"))
        bob.ok("INFO")
    assert ann.statuses("MESSAGE").count(200) == ann.statuses("INFO").count(200) == 100
    hang_up(world, ann, bob)


def test_messages_without_a_word_fill_no_memory_either():
    world, _, _, (ann, bob) = start(make_office(), "100", "101")
    ann.invite("101")
    bob.answer()
    ann.ack()
    for _ in range(MOST // EACH + 9):
        ann.send(ann.in_dialog("INFO"))
    assert ann.statuses("INFO") == [500] * 9
    for request in bob.all("INFO"):
        bob.respond(request, 200)
    assert ann.statuses("INFO") == [500] * 9 + [200] * (MOST // EACH)
    hang_up(world, ann, bob)


def test_a_phone_that_refuses_at_length_fills_no_record_either():
    world, _, _, (ann, bob) = start(make_office(), "100", "101")
    ann.invite("101")
    bob.send(make_response(bob.last("INVITE"), 486, "x" * 5000, to_tag="t"))
    (record,) = world.records
    texts = (record.why, *record.decisions, *(leg.why for leg in record.legs))
    assert max(map(len, texts)) == LONGEST_SAID


@pytest.mark.parametrize("text", ["a\0b", "\x1b[2J", "\x7f", "Jos\udce9", "x" * 5000])
def test_what_no_header_should_hold_reaches_no_phone(text):
    _, carrier, _, (ann, bob) = start(make_office(), "100", "101")
    headers = {"Subject": text, "Diversion": f'"{text}" <sip:1@x>', "Priority": "urgent"}
    carrier.call(OURS, **headers)
    bob.invite("100", **headers)
    for invite in ann.all("INVITE"):
        assert "Subject" not in invite.headers
        assert "Diversion" not in invite.headers
        assert invite.headers.get("Priority") == "urgent"
    assert len(ann.all("INVITE")) == 2


def test_what_a_caller_says_at_length_reaches_no_phone_in_full():
    """Not in many lines either: it would go, sixty kilobytes long, to each place that rings."""
    _, _, _, (ann, bob) = start(make_office(), "100", "101")

    def make():
        made = bob.request("INVITE", f"sip:100@{DOMAIN}", bob.sdp(), call_id="long", Subject="x" * 900)
        made.headers.extend([("Call-Info", f"<sip:{'x' * 900}@x>")] * 50)
        return made

    bob.send_authenticated(make)
    headers = ann.last("INVITE").headers
    kept = [value for name in ("Subject", "Call-Info") for value in headers.get_all(name)]
    assert len(kept) == 4
    assert sum(map(len, kept)) <= LONGEST_KEPT


def test_who_has_forwarded_a_call_many_times_over_is_told():
    _, carrier, _, (ann,) = start(make_office(), "100")
    domain = "ims.mnc001.mcc525.3gppnetwork.org"
    history = ",".join(
        f"<sip:+656123456{number};cpc=ordinary@{domain};user=phone;cause=302"
        f"?Reason=SIP%3Bcause%3D302%3Btext%3D%22Moved%20Temporarily%22>;index=1{'.1' * number}"
        for number in range(10)
    )
    carrier.call(OURS, History_Info=history)
    assert ann.last("INVITE").headers.get("History-Info") == history


def test_a_subject_in_any_language_does():
    _, carrier, _, (ann,) = start(make_office(), "100")
    carrier.call(OURS, Subject="Gr\u00fc\u00dfe \u200f\u05d0\u200e")
    assert ann.last("INVITE").headers.get("Subject") == "Gr\u00fc\u00dfe \u200f\u05d0\u200e"


def test_a_number_that_nobody_can_have_is_not_even_looked_at():
    world, carrier, _, (ann,) = start(make_office(), "100")
    ann.invite("1" * 300)
    assert ann.statuses()[-1] == 414
    carrier.call("1" * 300)
    assert carrier.statuses()[-1] == 414
    carrier.call("999", To=f"<sip:{'1' * 300}@x>")
    assert carrier.statuses()[-1] == 404
    assert not world.exchange.calls
