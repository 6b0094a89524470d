"""What outside calls have cost, when they are warned and when they end."""

from dataclasses import dataclass
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pbx.call.usage_ledger import Charge, Cut, Reached, UsageLedger, Warn
from pbx.office.rate import Rate
from pbx.office.usage_limit import UsageLimit
from pbx.rules.facts import Used
from pbx.rules.usage import price, price_of

MONTH = "2026-11"
RATE = Rate("+84", Decimal("0.12"), Decimal(0), 60)
DEAR = Rate("+1", Decimal("1.00"), Decimal("0.50"), 30)
FREE = Rate("+")
ONE = UsageLimit("amount", Decimal("1.00"))
TEN_MINUTES = UsageLimit("minutes", minutes=10)
NONE = UsageLimit()


def make(limit: UsageLimit, charged: Used | None = None) -> UsageLedger:
    ledger = UsageLedger(lambda _key: limit)
    ledger.load(MONTH, {"100": charged} if charged else {}, {})
    return ledger


def opened(ledger: UsageLedger, leg: str, now: float, rate: Rate = RATE) -> None:
    ledger.open(leg, "100", MONTH, "+8490", rate, now)


def run(ledger: UsageLedger, until: float) -> list[tuple[float, object]]:
    """Every event until then, with its time."""
    events: list[tuple[float, object]] = []
    while (when := ledger.deadlines.next) is not None and when <= until:
        events += [(when, event) for event in ledger.expire(when)]
    return events


ENDS = {
    "by minutes, all that is left": (TEN_MINUTES, None, [(0.0, FREE)], 600.0),
    "by minutes, less what was used": (TEN_MINUTES, Used(seconds=540.0), [(0.0, FREE)], 60.0),
    "by minutes, two share what is left": (TEN_MINUTES, None, [(0.0, FREE), (100.0, FREE)], 350.0),
    "by minutes, nothing is left": (TEN_MINUTES, Used(seconds=600.0), [(5.0, FREE)], 5.0),
    "by amount, the last minute that is paid for is talked": (ONE, None, [(0.0, RATE)], 480.0),
    "by amount, two legs": (ONE, None, [(0.0, RATE), (30.0, RATE)], 240.0),
    "by amount, the first increment is too much": (ONE, Used(Decimal("0.90")), [(7.0, RATE)], 7.0),
    "by amount, exactly used up": (ONE, Used(Decimal("0.88")), [(7.0, RATE)], 67.0),
    "by amount, the fee counts": (ONE, None, [(0.0, DEAR)], 30.0),
    "by amount, what is free lasts for ever": (ONE, None, [(0.0, FREE)], None),
    "by amount, what is free ends with the others": (ONE, None, [(0.0, FREE), (0.0, RATE)], 480.0),
    "without a limit": (NONE, None, [(0.0, RATE)], None),
    "after a top-up": (ONE, Used(Decimal("-1.00")), [(0.0, RATE)], 960.0),
}


@pytest.mark.parametrize(("limit", "charged", "legs", "expected"), ENDS.values(), ids=ENDS)
def test_the_end(limit, charged, legs, expected):
    ledger = make(limit, charged)
    for number, (at, rate) in enumerate(legs):
        opened(ledger, f"leg {number}", at, rate)
    for number in range(len(legs)):
        assert ledger.cut_at(f"leg {number}") == expected


def test_the_warning_comes_a_minute_before_and_each_is_charged_to_the_end():
    ledger = make(TEN_MINUTES)
    opened(ledger, "a", 1000.0)
    assert run(ledger, 2000.0) == [
        (1480.0, Reached("100", MONTH, 80, Used(Decimal("0.96"), 480.0), TEN_MINUTES)),
        (1540.0, Warn("a")),
        (1600.0, Cut("a")),
        (1600.0, Reached("100", MONTH, 100, Used(Decimal("1.20"), 600.0), TEN_MINUTES)),
    ]
    closed = ledger.close("a", 1601.5)  # the BYE took its time: what comes after the end costs nothing
    assert closed == (Charge("a", "100", MONTH, "+8490", 1000.0, 600.0, Decimal("1.20")), [])
    assert ledger.close("a", 1602.0) is None
    assert ledger.used("100", MONTH, 1603.0) == Used(Decimal("1.20"), 600.0)


def test_a_leg_with_less_than_a_minute_is_warned_at_once():
    ledger = make(TEN_MINUTES, Used(seconds=570.0))
    opened(ledger, "a", 5.0)
    assert [event for event in run(ledger, 100.0) if not isinstance(event[1], Reached)] == [
        (5.0, Warn("a")),
        (35.0, Cut("a")),
    ]


def test_who_hangs_up_leaves_more_for_the_other_who_is_warned_once_more():
    ledger = make(TEN_MINUTES)
    opened(ledger, "a", 0.0)
    opened(ledger, "b", 0.0)
    assert ledger.cut_at("a") == 300.0
    assert (240.0, Warn("a")) in run(ledger, 250.0)
    ledger.close("b", 250.0)
    assert ledger.cut_at("a") == 350.0
    assert [(290.0, Warn("a")), (350.0, Cut("a"))] == run(ledger, 400.0)[:2]


def test_a_reset_in_mid_call_puts_off_the_end():
    ledger = make(TEN_MINUTES, Used(seconds=500.0))
    opened(ledger, "a", 0.0)
    run(ledger, 10.0)
    ledger.adjust(MONTH, {"100": Used(seconds=-500.0)}, 10.0)
    assert ledger.cut_at("a") == 600.0
    assert ledger.used("100", MONTH, 10.0).seconds == 10.0
    assert [type(event) for _, event in run(ledger, 700.0)] == [Reached, Warn, Cut, Reached]


def test_an_adjustment_that_is_gone_counts_no_more():
    ledger = make(TEN_MINUTES, Used(seconds=100.0))
    ledger.adjust(MONTH, {"100": Used(seconds=-100.0)}, 0.0)
    ledger.adjust(MONTH, {}, 1.0)
    assert ledger.used("100", MONTH, 2.0) == Used(Decimal(0), 100.0)


def test_a_changed_limit_counts_in_mid_call():
    limits = {"100": NONE}
    ledger = UsageLedger(limits.__getitem__)
    opened(ledger, "a", 0.0)
    assert ledger.cut_at("a") is None
    limits["100"] = TEN_MINUTES
    ledger.refresh(30.0)
    assert ledger.cut_at("a") == 600.0


def test_a_call_of_an_extension_that_is_gone_ends_at_the_limit_it_had():
    limits = {"100": TEN_MINUTES}
    ledger = UsageLedger(limits.get)
    opened(ledger, "a", 0.0)
    limits.clear()
    ledger.refresh(30.0)
    assert ledger.cut_at("a") == 600.0
    assert Cut("a") in [event for when, event in run(ledger, 600.0) if when == 600.0]


def test_a_new_month_begins_at_zero_and_a_call_counts_where_it_began():
    ledger = make(TEN_MINUTES, Used(seconds=540.0))
    opened(ledger, "november", 0.0)
    ledger.open("december", "100", "2026-12", "+8490", RATE, 10.0)
    assert ledger.cut_at("november") == 60.0
    assert ledger.cut_at("december") == 610.0
    charge, _ = ledger.close("november", 30.0)
    assert (charge.month, charge.seconds) == (MONTH, 30.0)
    assert ledger.used("100", "2026-12", 40.0).seconds == 30.0
    ledger.open("next", "101", "2026-12", "+8490", RATE, 41.0)  # a call of November may cause another leg
    assert ledger.used("100", MONTH, 42.0).seconds == 570.0
    ledger.open(
        "later", "101", "2027-01", "+8490", RATE, 43.0
    )  # nobody asks for it any more: it is forgotten
    assert ledger.used("100", MONTH, 44.0) == Used()
    assert ledger.used("100", "2026-12", 44.0).seconds == 34.0


NOTES = {
    "below": (Used(seconds=400.0), 60.0, []),
    "eighty": (Used(seconds=400.0), 80.0, [80]),
    "both at once is one mail": (Used(seconds=400.0), 200.0, [100]),
}


@pytest.mark.parametrize(("charged", "talk_s", "expected"), NOTES.values(), ids=NOTES)
def test_what_is_mailed_after_a_call(charged, talk_s, expected):
    ledger = make(TEN_MINUTES, charged)
    opened(ledger, "a", 0.0)
    _, reached = ledger.close("a", talk_s)
    assert [each.percent for each in reached] == expected
    opened(ledger, "b", 1000.0)
    assert ledger.close("b", 1000.0)[1] == []  # once


def test_what_was_mailed_before_the_restart_is_not_mailed_again():
    ledger = UsageLedger(lambda _: TEN_MINUTES)
    ledger.load(MONTH, {"100": Used(seconds=500.0)}, {}, [("100", 80)])
    opened(ledger, "a", 0.0)
    assert [event for _, event in run(ledger, 200.0) if isinstance(event, Reached)] == [
        Reached("100", MONTH, 100, Used(Decimal("0.24"), 600.0), TEN_MINUTES)
    ]


@dataclass
class Talk:
    leg: str
    rate: Rate
    answered_at: float


def rates():
    money = st.decimals(0, 3, places=4)
    return st.builds(Rate, st.just("+1"), money, money, st.sampled_from([1, 6, 30, 60, 300]))


def limits():
    amounts = st.decimals(0, 20, places=2).map(lambda each: UsageLimit("amount", each))
    return st.one_of(amounts, st.integers(0, 60).map(lambda each: UsageLimit("minutes", minutes=each)))


STEPS = st.lists(st.tuples(st.floats(0, 400), st.booleans(), rates(), st.integers(0, 9)), max_size=25)


@settings(max_examples=300)
@given(limits(), STEPS)
def test_nothing_is_lost_and_the_limit_is_passed_by_one_increment_each_at_most(limit, steps):
    ledger = make(limit)
    talks: list[Talk] = []
    charges: list[Charge] = []
    now, count, opened_late = 0.0, 0, Decimal(0)

    def close(talk: Talk, at: float) -> None:
        closed = ledger.close(talk.leg, at)
        assert closed is not None
        charges.append(closed[0])
        talks.remove(talk)

    def pass_time(until: float) -> None:
        while (when := ledger.deadlines.next) is not None and when <= until:
            for event in ledger.expire(when):
                if isinstance(event, Cut):
                    close(next(each for each in talks if each.leg == event.leg), when)

    for wait, wants_open, rate, which in steps:
        now += wait
        pass_time(now)
        if wants_open or not talks:
            talks.append(Talk(f"leg {count}", rate, now))
            opened_late += price_of(rate, 1)
            ledger.open(f"leg {count}", "100", MONTH, "+1", rate, now)
            count += 1
        else:
            close(talks[which % len(talks)], now)
        used = ledger.used("100", MONTH, now)
        settled = sum((each.amount for each in charges), Decimal(0))
        assert used.amount == settled + sum(
            (price(t.rate, max(0.001, round(now - t.answered_at, 3))) for t in talks), Decimal(0)
        )
        assert used.seconds == pytest.approx(
            sum(each.seconds for each in charges) + sum(now - t.answered_at for t in talks), abs=0.05
        )
    now += 1.0
    pass_time(now)
    for talk in tuple(talks):
        close(talk, now)
    assert len(charges) == count
    assert all(each.amount >= 0 and each.seconds >= 0 for each in charges)
    used = ledger.used("100", MONTH, now)
    if limit.kind == "minutes":
        assert used.seconds <= 60 * limit.minutes + 0.001 * count
    else:
        assert used.amount <= limit.amount + opened_late
