"""What holds in every office, for every call."""

from dataclasses import replace

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pbx.office.caller_id import CallerId
from pbx.office.incoming import Forward
from pbx.office.no_answer import NoAnswer
from pbx.rules.decision import AskPasscode, Outside, Reject, Ring
from pbx.rules.dialled import decide_dialled
from pbx.rules.explain import happens
from pbx.rules.facts import Caller, Used
from pbx.rules.hot_desk import caller_of, phones_of
from pbx.rules.inbound import decide_inbound, decide_number
from pbx.rules.no_answer import decide_no_answer
from pbx.rules.number import to_e164
from pbx.rules.outbound import decide_outside
from pbx.rules.redirect import decide_redirect
from pbx.rules.usage import left_s
from tests.office.offices import emails, flags, offices, outside
from tests.rules.world import FakeWorld

FOREIGN = "+12025550123"
ABROAD = [
    "+14165550123",
    "+84938812345",
    "+60123456789",
    "+881612345678",
    "+6519001234567",
    "+6531234567",
    FOREIGN,
]
CODES = [
    "*97",
    "*78",
    "*7261000001",
    "*73",
    "00",
    "00#",
    "*11",
    "*12",
    "**10",
    "*8",
    "*67",
    "*67*97",
    "##2",
    "*",
    "0",
]


@st.composite
def worlds(draw, office):
    devices = [device.username for extension in office.extensions for device in extension.devices]
    keys = [extension.key for extension in office.extensions]
    a_device = st.sampled_from(devices) if devices else st.nothing()
    a_key = st.sampled_from(keys) if keys else st.nothing()
    amounts = st.decimals(0, 10**9, places=6)
    return FakeWorld(
        unregistered=draw(st.frozensets(a_device)),
        busy=draw(st.dictionaries(a_key, st.integers(0, 100))),
        idle=draw(st.dictionaries(a_key, st.floats(0, 10**6))),
        turns={group.key: draw(st.integers(0, 10**6)) for group in office.groups},
        spent=draw(st.dictionaries(a_key, st.builds(Used, amounts, st.floats(0, 10**8)))),
        locked=frozenset({f"passcode {key}" for key in draw(st.frozensets(a_key))}),
        logins=draw(st.dictionaries(a_device, emails)),
        approved=draw(st.dictionaries(a_key, st.frozensets(outside))),
        chance=draw(st.floats(0, 1, exclude_max=True)),
    )


def foreign(office):
    """The office, with caller IDs of others as no file can write them."""
    caller_id = CallerId("assigned", FOREIGN, (FOREIGN,))
    changed = [
        replace(each, caller_id=caller_id) if at % 2 else each for at, each in enumerate(office.extensions)
    ]
    return replace(office, extensions=tuple(changed))


@st.composite
def situations(draw):
    """An office, a world, a caller, and what he dials."""
    office = draw(offices())
    if draw(flags):
        office = foreign(office)
    world = draw(worlds(office))
    numbers = st.sampled_from(ABROAD) | outside | st.just("")
    callers = [
        st.builds(Caller, number=numbers, name=st.just("Bob"), trunk=st.just("main"), is_private=flags)
    ]
    phones = [(each, device) for each in office.extensions for device in each.devices]
    if phones:
        inside = st.sampled_from(phones).map(lambda phone: caller_of(office, world, *phone))
        callers.append(st.builds(lambda who, hides: replace(who, is_private=hides), inside, flags))
    if office.gateways:
        callers.append(st.sampled_from(office.gateways).map(lambda each: Caller(gateway=each.name)))
    caller = draw(st.one_of(callers))
    keys = [each.key for each in (*office.extensions, *office.groups, *office.rooms)]
    ours = [each.number for each in office.numbers]
    known = st.sampled_from([*keys, *ours, *office.settings.emergency, *ABROAD, *CODES])
    dialled = draw(known | known.map(lambda each: f"*67{each}") | st.text("0123456789+*#a", max_size=14))
    return office, world, caller, dialled


def follow(office, world, caller, decision):
    """All decisions that a call meets when nobody ever answers; far more than there may be is a loop."""
    met = [decision]
    while len(met) < 10:
        last = met[-1].then if isinstance(met[-1], AskPasscode) else met[-1]
        if isinstance(last, Reject | Ring) and last.key and len(met) < 10:
            status = last.status if isinstance(last, Reject) else 480
            met.append(decide_no_answer(office, world, caller, last.key, status, "nobody answers"))
            if isinstance(met[-1], Reject):
                break
        else:
            break
    return met


def rings_of(decision):
    ring = decision.then if isinstance(decision, AskPasscode) else decision
    return (ring, *ring.after) if isinstance(ring, Ring) else ()


def check_leg(office, world, leg: Outside):
    """One leg outside keeps every promise."""
    assert bool(leg.gateway) != bool(leg.trunks)
    if leg.gateway:
        assert not leg.payer
        assert not leg.shown.number
        return
    ours = {each.number for each in office.numbers}
    mobiles = {each.mobile for each in office.members}
    approved = set().union(*world.approved.values())
    assert leg.shown.number in ours | mobiles | approved | {""}
    assert set(leg.trunks) <= {each.name for each in office.trunks}
    if leg.is_emergency:
        assert not leg.payer
        assert set(leg.trunks) == {each.name for each in office.trunks}
        return
    assert leg.number not in ours
    row = office.outbound_rule(leg.rule).row_for(leg.number)
    assert row is not None
    if leg.payer:
        assert left_s(office, office.extension(leg.payer), leg.number, world.used(leg.payer)) != 0


def check(office, world, caller, decision):
    met = follow(office, world, caller, decision)
    assert len(met) <= 2
    for each in met:
        assert each.why
        assert all(each.because)
        assert happens(each, office)
        for ring in rings_of(each):
            assert ring.devices or ring.outside
            assert len(set(ring.devices)) == len(ring.devices)
            assert caller.device not in ring.devices
            for username in ring.devices:
                extension, _ = office.device(username)
                assert world.is_registered(username)
                quiet = extension.incoming.do_not_disturb or extension.incoming.gateway
                assert not quiet or extension.hot_desking
            for leg in ring.outside:
                check_leg(office, world, leg)


def dials(office, world, caller, dialled):
    if caller.trunk:
        return
    decision = decide_dialled(office, world, caller, dialled)
    assert decision == decide_dialled(office, world, caller, dialled)
    check(office, world, caller, decision)


def comes_in(office, world, caller, dialled):
    check(office, world, caller, decide_number(office, world, caller, dialled))
    for target in (*office.extensions, *office.groups, *office.rooms):
        decision = decide_inbound(office, world, caller, target.key)
        check(office, world, caller, decision)
        in_line = decide_inbound(office, world, caller, target.key, has_next=True)
        assert not isinstance(in_line, Reject | Ring) or in_line.key == ""


def is_passed_on(office, world, caller, dialled):
    for extension in office.extensions:
        decision = decide_redirect(office, world, caller, extension.key, dialled)
        assert isinstance(decision, Ring | Reject)
        if isinstance(decision, Ring):
            check(office, world, caller, decision)
        for number in (*ABROAD, *(each.number for each in office.numbers)):
            leg = decide_outside(office, world, extension.key, number, caller, cause="transfer")
            if isinstance(leg, Outside):
                check_leg(office, world, leg)
                assert not office.outbound_rule(leg.rule).row_for(number).passcode


def a_vip_is_never_forwarded(office, world, caller, _dialled):
    for extension in office.extensions[:1]:
        vip = caller.key or to_e164(caller.number, office.settings.country)
        others = tuple(each.key for each in office.extensions[1:])
        forward = Forward(True, FOREIGN, others, (vip,))
        changed = replace(extension, incoming=replace(extension.incoming, forward=forward))
        place = replace(office, extensions=(changed, *office.extensions[1:]))
        decision = decide_inbound(place, world, caller, extension.key)
        if vip and isinstance(decision, Ring) and not extension.incoming.gateway:
            assert set(decision.devices) <= set(phones_of(place, world, changed))
            assert not decision.outside


def do_not_disturb_never_rings(office, world, caller, _dialled):
    for extension in office.extensions[:1]:
        changed = replace(
            extension,
            type="normal",
            incoming=replace(extension.incoming, do_not_disturb=True, gateway=""),
            no_answer=NoAnswer("forward", forward_to="+6561234567"),
            outbound_rule=office.outbound_rules[0].name if office.outbound_rules else "",
        )
        place = replace(office, extensions=(changed, *office.extensions[1:]))
        decision = decide_inbound(place, world, caller, extension.key)
        assert isinstance(decision, Reject)
        for each in follow(place, world, caller, decision):
            assert isinstance(each, Reject)


def nothing_blocks_an_emergency_call(office, world, caller, _dialled):
    if caller.trunk:
        return
    for number in office.settings.emergency:
        decision = decide_dialled(office, world, caller, number)
        if office.trunks:
            (leg,) = decision.outside
            assert (leg.number, leg.is_emergency, leg.shown.is_hidden) == (number, True, False)
        else:
            assert decision.status == 404


PROMISES = (
    dials,
    comes_in,
    is_passed_on,
    a_vip_is_never_forwarded,
    do_not_disturb_never_rings,
    nothing_blocks_an_emergency_call,
)


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(situations())
def test_every_promise_is_kept(situation):
    for promise in PROMISES:
        promise(*situation)
