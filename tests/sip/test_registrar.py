"""The registrar (RFC 3261 §10.3, RFC 3327, RFC 5626): what each REGISTER leaves behind, and its answer."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pbx.errors import PeerError, UsageError
from pbx.sip.flow import Flow
from pbx.sip.location import LocationService
from pbx.sip.parser import MalformedMessageError
from pbx.sip.registrar import RegisterResult, Registrar
from tests.support.messages import make_register

UDP = Flow("UDP", ("127.0.0.1", 5070), ("127.0.0.1", 5060))
TCP = Flow("TCP", ("127.0.0.1", 40001), ("127.0.0.1", 5060), accepted=True)
A, B, C = "<sip:a@127.0.0.1:5070>", "<sip:b@127.0.0.1:5070>", "<sip:c@127.0.0.1:5070>"
PHONE = '+sip.instance="<urn:uuid:00000000-0000-1000-8000-000a95a0e128>"'
OTHER = '+sip.instance="<urn:uuid:00000000-0000-1000-8000-000000000002>"'


class Bench:
    """A registrar, and REGISTERs of device 100 sent to it one after the other."""

    def __init__(self, **limits):
        self.location = LocationService()
        self.registrar = Registrar(self.location, **limits)
        self.cseq = 0

    def send(self, *contacts, now=0.0, flow=UDP, cseq=None, username="100", **headers):
        self.cseq = self.cseq + 1 if cseq is None else cseq
        request = make_register(None, cseq=self.cseq, **headers)
        for contact in contacts:
            request.headers.add("Contact", contact)
        return self.registrar.register(request, username, flow, now)

    def bound(self, now=0.0):
        return {
            binding.contact[4]: binding.expires_at - now for binding in self.location.bindings("100", now)
        }


def contacts_of(result):
    return [value for name, value in result.headers if name == "Contact"]


def header_of(result, name):
    return [value for other, value in result.headers if other == name]


# --- adding, refreshing, removing --------------------------------------------------------------------------


def test_a_contact_is_bound_and_listed():
    bench = Bench()
    result = bench.send(A, User_Agent="Phone/1")
    assert (result.status, result.reason, result.changed) == (200, "OK", True)
    assert result.headers == (("Contact", f"{A};expires=3600"),)
    (binding,) = bench.location.bindings("100", 0.0)
    assert (binding.contact, binding.flow, binding.user_agent) == ("sip:a@127.0.0.1:5070", UDP, "Phone/1")
    assert not binding.behind_nat


def test_a_query_lists_what_is_bound_and_changes_nothing():
    bench = Bench()
    assert bench.send() == RegisterResult(200, "OK", (), [], [])
    bench.send(A, B)
    result = bench.send(now=100.0)
    assert sorted(contacts_of(result)) == [f"{A};expires=3500", f"{B};expires=3500"]
    assert not result.changed


INTERVALS = {
    "the default": ([A], {}, {"a": 3600}),
    "Expires": ([A], {"Expires": "600"}, {"a": 600}),
    "the parameter beats Expires": ([f"{A};expires=300"], {"Expires": "600"}, {"a": 300}),
    "each contact its own": (
        [f"{A};expires=300, {B}", C],
        {"Expires": "600"},
        {"a": 300, "b": 600, "c": 600},
    ),
    "the minimum": ([f"{A};expires=60"], {}, {"a": 60}),
    "too long is cut": ([f"{A};expires=7201"], {}, {"a": 7200}),
    "absurdly long is cut": ([A], {"Expires": "9" * 40}, {"a": 7200}),
    "malformed means the default (§10.2.1.1)": ([f"{A};expires=soon"], {"Expires": "600"}, {"a": 3600}),
    "a malformed Expires too": ([A], {"Expires": "-1"}, {"a": 3600}),
    "in quotes": ([f'{A};expires="300"'], {}, {"a": 300}),
}


@pytest.mark.parametrize(("contacts", "headers", "bound"), INTERVALS.values(), ids=INTERVALS)
def test_how_long(contacts, headers, bound):
    bench = Bench()
    result = bench.send(*contacts, **headers)
    assert result.status == 200
    assert bench.bound() == bound
    assert sorted(contacts_of(result)) == [
        f"<sip:{name}@127.0.0.1:5070>;expires={seconds}" for name, seconds in sorted(bound.items())
    ]


@pytest.mark.parametrize("seconds", ["1", "59"])
def test_too_short_is_refused_as_a_whole(seconds):
    bench = Bench()
    result = bench.send(A, f"{B};expires={seconds}")
    assert (result.status, result.reason) == (423, "Interval Too Brief")
    assert result.headers == (("Min-Expires", "60"),)
    assert not result.changed
    assert bench.bound() == {}


def test_a_refresh_moves_the_expiry_and_keeps_one_binding():
    bench = Bench()
    bench.send(A)
    result = bench.send(A, now=1000.0)
    assert contacts_of(result) == [f"{A};expires=3600"]
    assert result.changed
    assert bench.bound(1000.0) == {"a": 3600}
    assert bench.location.deadline == 4600.0


def test_zero_removes_one_binding():
    bench = Bench()
    bench.send(A, B)
    result = bench.send(f"{A};expires=0")
    assert contacts_of(result) == [f"{B};expires=3600"]
    assert bench.bound() == {"b": 3600}


def test_removing_what_is_not_bound_is_fine():
    bench = Bench()
    result = bench.send(A, Expires="0")
    assert (result.status, result.headers, result.changed) == (200, (), False)


def test_one_request_adds_refreshes_and_removes():
    bench = Bench()
    bench.send(A, B)
    bench.send(f"{A};expires=0", f"{B};expires=120", f"{C};expires=240", now=10.0)
    assert bench.bound(10.0) == {"b": 120, "c": 240}


def test_devices_do_not_touch_each_other():
    bench = Bench()
    bench.send(A)
    bench.send("*", Expires="0", username="101", call_id="other")
    bench.send(f"{A};expires=0", username="101", call_id="other")
    assert bench.bound() == {"a": 3600}


def test_what_has_expired_is_neither_listed_nor_matched():
    bench = Bench()
    bench.send(f"{A};expires=60")
    assert contacts_of(bench.send(now=60.0)) == []
    assert bench.send(A, now=61.0, cseq=1).status == 200
    assert bench.bound(61.0) == {"a": 3600}


def test_a_line_seen_before_hides_no_other_line():
    bench = Bench()
    bench.send(A)
    bench.send(A, B)
    assert bench.bound() == {"a": 3600, "b": 3600}
    bench.send(A, f"{B};expires=0")
    assert bench.bound() == {"a": 3600}


# --- "*" ---------------------------------------------------------------------------------------------------


def test_star_removes_everything():
    bench = Bench()
    bench.send(A, B)
    result = bench.send("*", Expires="0")
    assert (result.status, result.headers, result.changed) == (200, (), True)
    assert len(bench.location) == 0


STARS = {
    "without Expires": (["*"], {}),
    "with another Expires": (["*"], {"Expires": "60"}),
    "with a malformed Expires": (["*"], {"Expires": "zero"}),
    "with another contact": (["*", B], {"Expires": "0"}),
}


@pytest.mark.parametrize(("contacts", "headers"), STARS.values(), ids=STARS)
def test_star_is_refused(contacts, headers):
    bench = Bench()
    bench.send(A)
    result = bench.send(*contacts, **headers)
    assert result.status == 400
    assert bench.bound() == {"a": 3600}


@pytest.mark.parametrize("contacts", [[A, "*"], ["*, " + A], [A + ", *"]], ids=str)
def test_star_among_others_is_malformed(contacts):
    bench = Bench()
    with pytest.raises(MalformedMessageError) as caught:
        bench.send(*contacts, Expires="0")
    assert caught.value.status == 400


# --- order -------------------------------------------------------------------------------------------------

ORDER = {
    "a higher CSeq": ({"cseq": 11}, 200),
    "a lower CSeq": ({"cseq": 9}, 500),
    "a lower CSeq of another Call-ID": ({"cseq": 9, "call_id": "rebooted"}, 200),
    "the same again": ({"cseq": 10}, 200),
    "the same CSeq, but removing": ({"cseq": 10, "Expires": "0"}, 500),
    "a lower CSeq, removing": ({"cseq": 9, "Expires": "0"}, 500),
}


@pytest.mark.parametrize(("headers", "status"), ORDER.values(), ids=ORDER)
def test_the_order_of_requests(headers, status):
    bench = Bench()
    bench.send(A, cseq=10)
    assert bench.send(A, **headers).status == status


def test_the_same_request_again_is_answered_and_changes_nothing():
    bench = Bench()
    bench.send(A, cseq=10)
    result = bench.send(A, cseq=10, now=100.0)
    assert contacts_of(result) == [f"{A};expires=3500"]
    assert not result.changed


def test_nothing_is_done_of_a_request_that_comes_too_late_for_one_contact():
    bench = Bench()
    bench.send(A, cseq=10)
    bench.send(B, cseq=12)
    result = bench.send(f"{A};expires=0", C, f"{B};expires=0", cseq=11)
    assert (result.status, result.changed, result.headers) == (500, False, ())
    assert bench.bound() == {"a": 3600, "b": 3600}


@pytest.mark.parametrize(
    ("cseq", "call_id", "status"), [(9, "x", 500), (10, "x", 500), (11, "x", 200), (1, "y", 200)]
)
def test_the_order_counts_for_star_too(cseq, call_id, status):
    bench = Bench()
    bench.send(A, cseq=10, call_id="x")
    assert bench.send("*", Expires="0", cseq=cseq, call_id=call_id).status == status
    assert bench.bound() == ({"a": 3600} if status == 500 else {})


def test_more_contacts_than_a_phone_can_have_are_refused():
    """Each is compared with each: what a hundred cost would keep a hundred other phones waiting."""
    bench = Bench()
    many = [f"<sip:{user}@h:{5000 + number}>" for number, user in enumerate("abcdefghijklmnopqrstu")]
    assert bench.send(*many).status == 400
    assert bench.bound() == {}
    assert bench.send(*many[1:]).status == 200
    assert len(bench.bound()) == 10


# --- which contact is which --------------------------------------------------------------------------------

EQUAL = {
    "the same text": (A, A, True),
    "host in capitals": ("<sip:a@phone.local>", "<sip:a@PHONE.local>", True),
    "an escape": ("<sip:a@h>", "<sip:%61@h>", True),
    "a parameter on one side": ("<sip:a@h>", "<sip:a@h;ob>", True),
    "a transport on one side": ("<sip:a@h>", "<sip:a@h;transport=tcp>", False),
    "another port": ("<sip:a@h:5070>", "<sip:a@h:5071>", False),
    "5060 is not the same as no port": ("<sip:a@h>", "<sip:a@h:5060>", False),
    "the user's case counts": ("<sip:a@h>", "<sip:A@h>", False),
    "a display name does not": ('"Ann" <sip:a@h>', "<sip:a@h>", True),
}


@pytest.mark.parametrize(("first", "second", "is_equal"), EQUAL.values(), ids=EQUAL)
def test_contacts_are_compared_as_uris(first, second, is_equal):
    bench = Bench()
    bench.send(first)
    assert len(contacts_of(bench.send(second))) == (1 if is_equal else 2)


def test_a_contact_twice_in_one_request_counts_once():
    bench = Bench()
    assert contacts_of(bench.send(f"{A};expires=120", A)) == [f"{A};expires=120"]


def test_parameters_and_q_are_given_back_but_no_gruu():
    bench = Bench()
    given = f'{A};q=0.5;{PHONE};methods="INVITE, BYE";expires=100;pub-gruu="sip:x@y;gr";temp-gruu="sip:t@y"'
    result = bench.send(given, Supported="gruu, path")
    assert contacts_of(result) == [f'{A};{PHONE};methods="INVITE, BYE";q=0.5;expires=100']
    assert not header_of(result, "Require")


@pytest.mark.parametrize(
    ("q", "kept"), [("0.3", 0.3), ("1", 1.0), ("0", 0.0), ("2", 1.0), ("high", 1.0), ("", 1.0)]
)
def test_q(q, kept):
    bench = Bench()
    bench.send(f"{A};q={q}")
    assert [binding.q for binding in bench.location.bindings("100", 0.0)] == [kept]


@pytest.mark.parametrize("contact", ["<tel:+6531112222>", "<mailto:ann@acme.example>"])
def test_a_contact_must_be_a_sip_uri(contact):
    bench = Bench()
    assert bench.send(A, contact).status == 400
    assert bench.bound() == {}


@pytest.mark.parametrize("contact", ["<sip:a@h", "sip:a@h:99999", "<>", '"Ann <sip:a@h>'])
def test_a_contact_that_cannot_be_read(contact):
    bench = Bench()
    with pytest.raises(MalformedMessageError):
        bench.send(A, contact)
    assert bench.bound() == {}


# --- limits ------------------------------------------------------------------------------------------------


def test_over_the_limit_the_one_refreshed_longest_ago_gives_way():
    bench = Bench(max_contacts=3)
    for number, name in enumerate("abc"):
        bench.send(f"<sip:{name}@127.0.0.1>", now=float(number))
    bench.send("<sip:a@127.0.0.1>", now=3.0)
    bench.send("<sip:d@127.0.0.1>", now=4.0)
    assert set(bench.bound()) == {"a", "c", "d"}
    bench.send("<sip:e@127.0.0.1>, <sip:f@127.0.0.1>, <sip:g@127.0.0.1>, <sip:h@127.0.0.1>", now=5.0)
    assert set(bench.bound()) == {"f", "g", "h"}


def test_ten_contacts_unless_said_otherwise():
    bench = Bench()
    for number in range(20):
        bench.send(f"<sip:p@127.0.0.{number}>")
    assert [b.contact for b in bench.location.stored("100")] == [f"sip:p@127.0.0.{n}" for n in range(10, 20)]


@pytest.mark.parametrize(
    "limits",
    [
        {"min_expires": 3601},
        {"min_expires": -1},
        {"max_expires": 3599},
        {"max_contacts": 0},
        {"default_expires": 59},
    ],
    ids=str,
)
def test_limits_that_contradict_each_other_are_a_usage_error(limits):
    with pytest.raises(UsageError):
        Registrar(LocationService(), **limits)


def test_other_limits():
    bench = Bench(min_expires=10, max_expires=40, default_expires=30)
    bench.send(A)
    bench.send(f"{B};expires=50")
    assert bench.bound() == {"a": 30, "b": 40}
    assert bench.send(f"{C};expires=9").headers == (("Min-Expires", "10"),)


def test_lines_of_many_texts_are_not_all_remembered():
    bench = Bench()
    for number in range(5000):
        bench.send(f"<sip:p@127.0.0.1>;n={number}")
    assert len(bench.registrar._read) <= 4096
    bench.send(f"<sip:p@127.0.0.1>;n={'x' * 600}")
    assert all(len(line) < 600 for line, _ in bench.registrar._read)


def test_what_is_remembered_of_a_line_goes_by_expires_too():
    bench = Bench()
    for expires in (600, 60, 0):
        bench.send(A, Expires=str(expires))
        assert bench.bound() == ({"a": expires} if expires else {})
    assert bench.send(A, Expires="59").status == 423


# --- NAT ---------------------------------------------------------------------------------------------------


def test_a_phone_behind_nat_is_known_by_where_it_came_from():
    bench = Bench()
    outside = Flow("UDP", ("203.0.113.9", 31000), ("192.0.2.1", 5060))
    bench.send("<sip:a@10.0.0.5:5060>", flow=outside, via="SIP/2.0/UDP 10.0.0.5:5060;rport;branch=z9hG4bK1")
    (binding,) = bench.location.bindings("100", 0.0)
    assert binding.behind_nat
    assert binding.received == "203.0.113.9:31000"
    assert binding.flow == outside
    assert bench.location.is_registered_from("203.0.113.9")


def test_who_sends_from_another_port_than_he_listens_at_is_behind_no_nat():
    bench = Bench()
    cisco = Flow("UDP", ("192.0.2.9", 51234), ("192.0.2.1", 5060))
    bench.send("<sip:a@192.0.2.9:5060>", flow=cisco, via="SIP/2.0/UDP 192.0.2.9:5060;branch=z9hG4bK1")
    (binding,) = bench.location.bindings("100", 0.0)
    assert not binding.behind_nat


def test_a_connection_comes_from_any_port():
    bench = Bench()
    bench.send("<sip:a@192.0.2.9>", flow=TCP, via=f"SIP/2.0/TCP {TCP.peer[0]}:5060;rport;branch=z9hG4bK1")
    (binding,) = bench.location.bindings("100", 0.0)
    assert not binding.behind_nat


def test_a_phone_that_moved_is_reached_by_its_new_flow():
    bench = Bench()
    bench.send(A)
    bench.send(A, flow=TCP)
    assert [binding.flow for binding in bench.location.bindings("100", 0.0)] == [TCP]
    assert bench.location.by_flow(UDP) == frozenset()


# --- Path --------------------------------------------------------------------------------------------------


def test_path_is_kept_and_given_back():
    bench = Bench()
    result = bench.send(A, Path="<sip:p1.example;lr>, <sip:p2.example;lr>", Supported="path")
    assert header_of(result, "Path") == ["<sip:p1.example;lr>, <sip:p2.example;lr>"]
    assert header_of(result, "Supported") == ["path, outbound"]
    (binding,) = bench.location.bindings("100", 0.0)
    assert binding.path == ("<sip:p1.example;lr>", "<sip:p2.example;lr>")


def test_without_path_nothing_is_said_of_it():
    assert header_of(Bench().send(A, Supported="path"), "Supported") == []


@pytest.mark.parametrize("path", ["<tel:1>", "<sip:p", "p1.example"])
def test_a_path_that_cannot_be_a_route_is_refused(path):
    bench = Bench()
    with pytest.raises(PeerError) as caught:
        bench.send(A, Path=path)
    assert caught.value.status == 400
    assert bench.bound() == {}


# --- instances and flows (RFC 5626) ------------------------------------------------------------------------

REPLACEMENTS = {
    "a rebooted phone, by reg-id": (f"{A};{PHONE};reg-id=1", "x", f"{B};{PHONE};reg-id=1", "y", ["b"]),
    "its other flow stays": (f"{A};{PHONE};reg-id=1", "x", f"{B};{PHONE};reg-id=2", "y", ["b", "a"]),
    "its other flow stays, even at an equal Contact": (
        f"{A};{PHONE};reg-id=1",
        "x",
        f"{A};{PHONE};reg-id=2",
        "y",
        ["a", "a"],
    ),
    "another phone stays": (f"{A};{PHONE};reg-id=1", "x", f"{B};{OTHER};reg-id=1", "y", ["b", "a"]),
    "a rebooted phone, by its instance alone": (f"{A};{PHONE}", "x", f"{B};{PHONE}", "y", ["b"]),
    "a phone that has learnt reg-id": (f"{A};{PHONE}", "x", f"{B};{PHONE};reg-id=1", "y", ["b"]),
    "two contacts of one phone that was not rebooted": (f"{A};{PHONE}", "x", f"{B};{PHONE}", "x", ["b", "a"]),
    "removing one contact removes no other": (f"{A};{PHONE}", "x", f"{B};{PHONE};expires=0", "y", ["a"]),
    "removing by reg-id, whatever the Contact": (
        f"{A};{PHONE};reg-id=1",
        "x",
        f"{B};{PHONE};reg-id=1;expires=0",
        "y",
        [],
    ),
    "a reg-id without an instance means nothing": (f"{A};reg-id=1", "x", f"{B};reg-id=1", "y", ["b", "a"]),
    "a reg-id of 0 means nothing": (f"{A};{PHONE};reg-id=0", "x", f"{B};{PHONE};reg-id=0", "x", ["b", "a"]),
    "nor does one that is no number": (
        f"{A};{PHONE};reg-id=x",
        "x",
        f"{B};{PHONE};reg-id=x",
        "x",
        ["b", "a"],
    ),
    "nor one too great": (
        f"{A};{PHONE};reg-id=2147483648",
        "x",
        f"{B};{PHONE};reg-id=2147483648",
        "x",
        ["b", "a"],
    ),
}


@pytest.mark.parametrize(
    ("first", "first_id", "second", "second_id", "left"), REPLACEMENTS.values(), ids=REPLACEMENTS
)
def test_what_replaces_what(first, first_id, second, second_id, left):
    bench = Bench()
    bench.send(first, call_id=first_id)
    bench.send(second, call_id=second_id)
    assert [binding.contact[4] for binding in bench.location.bindings("100", 0.0)] == left


def test_of_one_reg_id_the_order_counts_too():
    bench = Bench()
    bench.send(f"{A};{PHONE};reg-id=1", cseq=10)
    assert bench.send(f"{B};{PHONE};reg-id=1", cseq=9).status == 500


def test_only_one_contact_with_a_reg_id_at_a_time():
    bench = Bench()
    bench.send(C)
    assert bench.send(f"{A};{PHONE};reg-id=1", f"{B};{PHONE};reg-id=2").status == 400
    assert bench.bound() == {"c": 3600}
    assert bench.send(f"{A};{PHONE};reg-id=1", f"{C};expires=0").status == 200


EDGE = {
    "Path": "<sip:edge.example;lr;ob>",
    "via": "SIP/2.0/TCP edge;branch=z9hG4bK1, SIP/2.0/TCP p;branch=z9hG4bK2",
}
OUTBOUND = {
    "over a connection": (TCP, {}, True),
    "over UDP the flow cannot be watched": (UDP, {}, False),
    "the phone does not offer it": (TCP, {"Supported": "path"}, False),
    "capitals": (TCP, {"Supported": "PATH, Outbound"}, True),
    "through an edge proxy that does its part": (TCP, EDGE, True),
    "through a proxy that does not": (TCP, {**EDGE, "Path": "<sip:edge.example;lr>"}, False),
    "through a proxy without Path": (TCP, {"via": EDGE["via"]}, False),
}


@pytest.mark.parametrize(("flow", "headers", "expected"), OUTBOUND.values(), ids=OUTBOUND)
def test_outbound(flow, headers, expected):
    bench = Bench()
    result = bench.send(f"{A};{PHONE};reg-id=1", flow=flow, **{"Supported": "path, outbound", **headers})
    assert result.status == 200
    assert header_of(result, "Require") == (["outbound"] if expected else [])


def test_outbound_needs_a_reg_id():
    bench = Bench()
    assert header_of(bench.send(f"{A};{PHONE}", flow=TCP, Supported="outbound"), "Require") == []
    assert header_of(bench.send("*", Expires="0", flow=TCP, Supported="outbound"), "Require") == []


# --- properties --------------------------------------------------------------------------------------------

CONTACT = st.builds(
    "<sip:{}@127.0.0.1>{}{}{}".format,
    st.sampled_from("abcd"),
    st.sampled_from(["", ";expires=0", ";expires=60", ";expires=59", ";expires=x", ";expires=99999999999"]),
    st.sampled_from(["", f";{PHONE}", f";{OTHER}"]),
    st.sampled_from(["", ";reg-id=1", ";reg-id=2", ";reg-id=x", ";q=0.5"]),
)
REQUEST = st.fixed_dictionaries(
    {
        "contacts": st.lists(CONTACT | st.just("*"), max_size=4),
        "cseq": st.integers(1, 6),
        "call_id": st.sampled_from("xy"),
        "flow": st.sampled_from([UDP, TCP]),
        "pause": st.floats(0, 50),
    },
    optional={"Expires": st.sampled_from(["0", "100", "bad"])},
)


@given(st.lists(REQUEST, max_size=12))
@settings(max_examples=150)
def test_any_sequence_keeps_the_promises(requests):
    bench = Bench(max_contacts=3)
    now = 0.0
    for request in requests:
        contacts, pause, flow = request.pop("contacts"), request.pop("pause"), request.pop("flow")
        now += pause
        before = bench.location.stored("100")
        live = [binding for binding in before if binding.expires_at > now]
        try:
            result = bench.send(*contacts, now=now, flow=flow, **request)
        except MalformedMessageError:
            assert "*" in contacts
            result = None
        after = bench.location.stored("100")
        if result is None or result.status != 200 or not contacts:
            assert after == before
        if result is None or result.status != 200:
            continue
        assert len(after) <= 3
        kept = [binding for binding in after if binding.expires_at > now]
        assert result.changed == (kept != live)
        assert sorted(contacts_of(result)) == sorted(binding.render(now) for binding in kept)
        assert all(0 < binding.expires_at - now <= 7200 for binding in kept)
        flows = [(b.instance, b.reg_id) for b in kept if b.reg_id is not None]
        assert len(flows) == len(set(flows))
        plain = [b.contact for b in kept if b.reg_id is None]
        assert len(plain) == len(set(plain))
