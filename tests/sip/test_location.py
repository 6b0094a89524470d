"""The location service: who is bound to what, until when, and over a restart."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pbx.sip.flow import Flow
from pbx.sip.location import Binding, LocationService, save_device

LOCAL = ("192.0.2.1", 5060)
UDP = Flow("UDP", ("192.0.2.7", 5060), LOCAL)
OTHER_UDP = Flow("UDP", ("192.0.2.8", 5060), LOCAL)
TCP = Flow("TCP", ("192.0.2.7", 40001), LOCAL, accepted=True)
TLS = Flow("TLS", ("192.0.2.7", 40002), ("192.0.2.1", 5061), accepted=True)


def bind(name="a", flow=UDP, expires_at=100.0, **more):
    return Binding(f"sip:{name}@192.0.2.7:5062", flow, expires_at, "call-1", 1, **more)


def names(bindings):
    return [binding.contact[4] for binding in bindings]


def locate(**devices):
    location = LocationService()
    for username, bindings in devices.items():
        location.replace(username, tuple(bindings))
    return location


# --- finding -----------------------------------------------------------------------------------------------


def test_nobody_is_registered_at_first():
    location = LocationService()
    assert list(location.bindings("100", 0.0)) == []
    assert not location.is_registered("100", 0.0)
    assert location.deadline is None
    assert len(location) == 0


def test_the_most_preferred_binding_comes_first_then_the_newest():
    location = locate(u=[bind("a", q=0.5), bind("b"), bind("c", q=0.5), bind("d")])
    assert names(location.bindings("u", 0.0)) == ["d", "b", "c", "a"]
    assert names(location.stored("u")) == ["a", "b", "c", "d"]


@pytest.mark.parametrize(("now", "live"), [(0.0, ["b", "a"]), (9.9, ["b", "a"]), (10.0, ["b"]), (20.0, [])])
def test_what_has_expired_is_not_found_even_before_it_is_swept(now, live):
    location = locate(
        u=[bind("a", expires_at=10.0), bind("b", expires_at=20.0)], v=[bind("a", expires_at=10.0)]
    )
    assert names(location.bindings("u", now)) == live
    assert location.is_registered("u", now) == bool(live)
    assert bool(location.bindings("v", now)) == (now < 10.0)
    assert [name for name, _ in location.all(now)].count("u") == len(live)


def test_a_registration_is_known_by_its_address_and_its_flow():
    location = locate(u=[bind(), bind("b", flow=TCP)], v=[bind(flow=OTHER_UDP)], w=[bind(flow=UDP)])
    assert location.by_flow(UDP) == {"u", "w"}
    assert location.by_flow(TCP) == {"u"}
    assert location.by_flow(TLS) == frozenset()
    assert location.is_registered_from("192.0.2.7")
    assert not location.is_registered_from("192.0.2.9")
    location.clear("u")
    assert location.is_registered_from("192.0.2.7")
    location.clear("w")
    assert not location.is_registered_from("192.0.2.7")
    assert location.is_registered_from("192.0.2.8")


def test_an_ipv6_neighbour_counts_as_the_same_address():
    location = locate(u=[bind(flow=Flow("UDP", ("2001:db8::7", 5060), ("2001:db8::1", 5060)))])
    assert location.is_registered_from("2001:db8::8")
    assert not location.is_registered_from("2001:db8:1::7")


def test_a_moved_binding_is_found_by_its_new_flow_only():
    location = locate(u=[bind()])
    location.replace("u", (bind(flow=OTHER_UDP),))
    assert location.by_flow(UDP) == frozenset()
    assert location.by_flow(OTHER_UDP) == {"u"}
    assert not location.is_registered_from("192.0.2.7")


# --- losing ------------------------------------------------------------------------------------------------


def test_bindings_expire_when_they_are_due():
    location = locate(u=[bind("a", expires_at=10.0), bind("b", expires_at=20.0)], v=[bind(expires_at=15.0)])
    assert location.deadline == 10.0
    assert location.expire(9.9) == []
    assert location.expire(10.0) == ["u"]
    assert names(location.stored("u")) == ["b"]
    assert location.deadline == 15.0
    assert location.expire(30.0) == ["v", "u"]
    assert location.deadline is None
    assert list(location.usernames()) == []


def test_a_refresh_moves_the_deadline():
    location = locate(u=[bind(expires_at=10.0)])
    location.replace("u", (bind(expires_at=50.0),))
    assert location.deadline == 50.0
    assert location.expire(10.0) == []
    assert location.is_registered("u", 10.0)


def test_a_lost_connection_takes_its_bindings_with_it():
    location = locate(u=[bind("a", flow=TCP), bind("b")], v=[bind(flow=TCP)], w=[bind(flow=TLS)])
    assert location.flow_lost(TCP) == ["u", "v"]
    assert names(location.bindings("u", 0.0)) == ["b"]
    assert not location.is_registered("v", 0.0)
    assert location.is_registered("w", 0.0)
    assert location.flow_lost(TCP) == []


@pytest.mark.parametrize("flow", [UDP, TCP._replace(accepted=False)])
def test_what_can_be_opened_again_loses_nothing(flow):
    location = locate(u=[bind(flow=flow)])
    assert location.flow_lost(flow) == []
    assert location.is_registered("u", 0.0)


def test_a_removed_device_is_forgotten():
    location = locate(u=[bind()], v=[bind("b")])
    location.clear("u")
    location.clear("nobody")
    assert list(location.usernames()) == ["v"]
    assert location.by_flow(UDP) == {"v"}


# --- rendering ---------------------------------------------------------------------------------------------

CONTACTS = {
    "plain": ({}, "<sip:a@192.0.2.7:5062>;expires=100"),
    "with its parameters": (
        {"params": ';+sip.instance="<urn:uuid:1>";reg-id=1', "q": 0.25},
        '<sip:a@192.0.2.7:5062>;+sip.instance="<urn:uuid:1>";reg-id=1;q=0.25;expires=100',
    ),
    "q of nothing": ({"q": 0.0}, "<sip:a@192.0.2.7:5062>;q=0;expires=100"),
    "the remaining seconds, rounded": ({"expires_at": 41.6}, "<sip:a@192.0.2.7:5062>;expires=42"),
    "at least one while it lives": ({"expires_at": 0.1}, "<sip:a@192.0.2.7:5062>;expires=1"),
}


@pytest.mark.parametrize(("fields", "text"), CONTACTS.values(), ids=CONTACTS)
def test_rendered_as_a_contact(fields, text):
    assert bind()._replace(**fields).render(0.0) == text


# --- over a restart ----------------------------------------------------------------------------------------

FULL = Binding(
    contact="sip:a@192.0.2.7:5062;ob",
    flow=UDP,
    expires_at=1000.0,
    call_id="id",
    cseq=7,
    path=("<sip:edge.example;lr;ob>",),
    q=0.5,
    instance="<urn:uuid:1>",
    reg_id=1,
    user_agent="Phone/1",
    received="192.0.2.7:5060",
    params=';+sip.instance="<urn:uuid:1>"',
)


def restart(location, *, down_s=0.0):
    """Saved at monotonic 10, restored in a run whose clock says 5."""
    rows = json.loads(json.dumps(location.save(10.0, 1_700_000_000.0)))
    restored = LocationService()
    complaints = restored.restore(rows, 5.0, 1_700_000_000.0 + down_s)
    return restored, complaints


def test_everything_survives_a_restart():
    restored, complaints = restart(locate(u=[FULL, bind("b")], v=[bind("c")]), down_s=30.0)
    assert complaints == []
    assert restored.stored("u") == (
        FULL._replace(expires_at=1000.0 - 10.0 - 30.0 + 5.0),
        bind("b", expires_at=100.0 - 10.0 - 30.0 + 5.0),
    )
    assert names(restored.bindings("v", 5.0)) == ["c"]
    assert restored.deadline == 65.0
    assert restored.is_registered_from("192.0.2.7")


def test_what_expired_while_the_server_was_down_is_gone():
    restored, complaints = restart(locate(u=[bind(expires_at=40.0), bind("b", expires_at=41.0)]), down_s=30.0)
    assert complaints == []
    assert names(restored.stored("u")) == ["b"]


def test_what_has_expired_is_not_saved():
    location = locate(u=[bind(expires_at=10.0), bind("b")])
    assert [row["contact"][4] for row in location.save(10.0, 0.0)] == ["b"]
    assert [row["contact"][4] for row in save_device("u", location.stored("u"), 10.0, 0.0)] == ["b"]
    assert save_device("nobody", location.stored("nobody"), 10.0, 0.0) == []


STREAMS = {
    "TCP: a new connection to the Contact": (bind(flow=TCP), ("192.0.2.7", 5062)),
    "TLS: the default port": (
        bind(flow=TLS)._replace(contact="sip:a@192.0.2.7;transport=tls"),
        ("192.0.2.7", 5061),
    ),
    "TCP: the default port": (bind(flow=TCP)._replace(contact="sip:a@192.0.2.7"), ("192.0.2.7", 5060)),
    "by way of Path": (bind(flow=TCP, path=("<sip:192.0.2.9:5080;lr>",)), ("192.0.2.9", 5080)),
    "IPv6": (bind(flow=TCP)._replace(contact="sip:a@[2001:db8::7]:5070"), ("2001:db8::7", 5070)),
    "a name is no address": (bind(flow=TCP)._replace(contact="sip:a@phone.local"), None),
}


@pytest.mark.parametrize(("binding", "peer"), STREAMS.values(), ids=STREAMS)
def test_a_connection_does_not_survive_so_a_new_one_is_opened(binding, peer):
    restored, complaints = restart(locate(u=[binding]))
    flows = [found.flow for found in restored.bindings("u", 5.0)]
    assert flows == ([Flow(binding.flow.transport, peer, ("192.0.2.1", 0))] if peer else [])
    assert len(complaints) == (0 if peer else 1)


def test_a_device_that_registered_meanwhile_keeps_what_it_has():
    rows = locate(u=[bind("a")], v=[bind("b")]).save(0.0, 0.0)
    location = locate(u=[bind("c")])
    assert location.restore(rows, 0.0, 0.0) == []
    assert names(location.stored("u")) == ["c"]
    assert names(location.stored("v")) == ["b"]


@pytest.mark.parametrize(
    "damage",
    [
        {"contact": "no uri"},
        {"peer_port": "x"},
        {"expires": None},
        {"path": None},
        {"q": "high"},
        {"transport": "TCP", "path": ["<"]},
    ],
    ids=str,
)
def test_a_broken_row_is_reported_and_hurts_no_other(damage):
    good, bad = locate(u=[bind("a")], v=[bind("b")]).save(0.0, 0.0)
    location = LocationService()
    complaints = location.restore([{**bad, **damage}, {}, good], 0.0, 0.0)
    assert len(complaints) == 2
    assert list(location.usernames()) == ["u"]


# --- properties --------------------------------------------------------------------------------------------

FLOWS = st.sampled_from([UDP, OTHER_UDP, TCP, TLS])
BINDINGS = st.builds(
    bind, st.sampled_from("abc"), FLOWS, st.integers(0, 30).map(float), q=st.sampled_from([0.1, 1.0])
)
STEPS = st.one_of(
    st.tuples(st.just("replace"), st.sampled_from("uvw"), st.lists(BINDINGS, max_size=3).map(tuple)),
    st.tuples(st.just("flow_lost"), FLOWS),
    st.tuples(st.just("expire"), st.integers(0, 30).map(float)),
    st.tuples(st.just("clear"), st.sampled_from("uvw")),
)


@given(st.lists(STEPS, max_size=25))
@settings(max_examples=150)
def test_the_indexes_always_agree_with_the_bindings(steps):
    location = LocationService()
    for name, *arguments in steps:
        getattr(location, name)(*arguments)
        everything = [(user, binding) for user in location.usernames() for binding in location.stored(user)]
        for flow in (UDP, OTHER_UDP, TCP, TLS):
            assert location.by_flow(flow) == {user for user, binding in everything if binding.flow == flow}
        for address in ("192.0.2.7", "192.0.2.8", "192.0.2.9"):
            bound = any(binding.flow.peer[0] == address for _, binding in everything)
            assert location.is_registered_from(address) == bound
        assert location.deadline == min((binding.expires_at for _, binding in everything), default=None)
        assert len(location) == len({user for user, _ in everything})
