import pytest

from pbx.errors import UsageError
from pbx.sip.fields import CSeq, Via
from pbx.sip.grammar import MalformedMessageError
from pbx.sip.headers import Headers
from pbx.sip.message import REASONS, Request, Response, is_answerable, make_response, render_response
from pbx.sip.parser import parse_datagram
from tests.support.messages import SDP, make_answer, make_invite, make_register, make_request


def test_typed_values():
    request = make_invite(
        Route="<sip:p1;lr>, <sip:p2;lr>",
        Record_Route="<sip:p3;lr>",
        Expires="60",
        Content_Type="Application/SDP ; charset=x",
    )
    assert request.via == Via("UDP", "127.0.0.1", 5070, {"branch": "z9hG4bK-1", "rport": None})
    assert (request.from_.tag, request.to.tag, request.to.uri.user) == ("caller", None, "101")
    assert (request.call_id, request.cseq) == ("call-1@127.0.0.1", CSeq(1, "INVITE"))
    assert (request.max_forwards, request.expires) == (70, 60)
    assert [route.uri.host for route in request.routes] == ["p1", "p2"]
    assert [route.uri.host for route in request.record_routes] == ["p3"]
    assert [contact.uri.port for contact in request.contacts] == [5070]
    assert request.content_type == "application/sdp"
    assert request.parsed_uri.user == "101"


def test_what_is_not_there():
    request = make_request()
    assert (request.contacts, request.routes, request.record_routes) == ([], [], [])
    assert (request.expires, request.content_type, request.is_star_contact) == (None, None, False)
    request.headers.remove("Max-Forwards")
    assert request.max_forwards is None


@pytest.mark.parametrize(
    ("header", "attribute"),
    [("Via", "via"), ("From", "from_"), ("To", "to"), ("Call-ID", "call_id"), ("CSeq", "cseq")],
)
def test_what_must_be_there(header, attribute):
    request = make_request()
    request.headers.remove(header)
    assert not is_answerable(request.headers)
    with pytest.raises(MalformedMessageError) as caught:
        getattr(request, attribute)
    assert (caught.value.field, caught.value.value) == (header, "missing")


def test_star_contact():
    request = make_register("*")
    assert request.is_star_contact
    assert request.contacts == []


def test_a_star_beside_other_contacts_is_an_error():
    request = make_register("*")
    request.headers.add("Contact", "<sip:a@h>")
    assert not request.is_star_contact
    with pytest.raises(MalformedMessageError):
        _ = request.contacts


def test_the_top_of_several_vias_in_a_line():
    request = make_request(via='SIP/2.0/UDP a;x="1,2", SIP/2.0/TCP b')
    assert request.via == Via("UDP", "a", None, {"x": '"1,2"'})


def test_the_top_via_changes_alone():
    request = make_request(via="SIP/2.0/UDP a;branch=1;rport, SIP/2.0/TCP b")
    request.headers.add("Via", "SIP/2.0/TLS c")
    via = Via("UDP", "a", None, {"branch": "1", "rport": "5062", "received": "192.0.2.1"})
    request.set_top_via(via)
    assert request.via == via
    assert request.headers.get_all("Via") == [
        "SIP/2.0/UDP a;branch=1;rport=5062;received=192.0.2.1, SIP/2.0/TCP b",
        "SIP/2.0/TLS c",
    ]
    assert parse_datagram(request.render()).via == via


CHANGES = {
    "set": lambda headers: headers.set("To", "<sip:b@h>;tag=2"),
    "set_first": lambda headers: headers.set_first("To", "<sip:b@h>;tag=2"),
    "remove and add": lambda headers: (headers.remove("t"), headers.add("to", "<sip:b@h>;tag=2")),
    "prepend": lambda headers: headers.prepend("TO", "<sip:b@h>;tag=2"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_changed_header_is_read_again(change):
    request = make_request(to="<sip:a@h>")
    assert request.to.tag is None
    change(request.headers)
    assert request.to.tag == "2"


def test_added_values_are_seen():
    request = make_register()
    assert len(request.contacts) == 1
    request.headers.add("Contact", "<sip:b@h>")
    assert len(request.contacts) == 2


def test_a_list_that_is_handed_out_is_the_callers():
    request = make_register()
    request.contacts.clear()
    assert len(request.contacts) == 1


def test_a_copy_goes_its_own_way():
    request = make_invite()
    assert request.from_.tag == "caller"
    other = request.copy()
    assert other == request
    other.headers.set("From", "<sip:x@h>;tag=other")
    assert (request.from_.tag, other.from_.tag) == ("caller", "other")
    assert other != request
    answer = make_answer(request)
    assert answer.copy() == answer
    assert answer.copy() != request


ANSWERS = {
    "the reason is that of the status": (404, "", None, (), b""),
    "its own reason": (403, "Too Many Wrong Passwords", "t", (("Warning", '399 h "x"'),), b""),
    "headers in their order, names twice": (
        200,
        "OK",
        "t",
        (("Contact", "<sip:a>"), ("Contact", "<sip:b>")),
        b"",
    ),
    "a body": (200, "", "t", (("Content-Type", "text/plain"),), b"hello"),
}


@pytest.mark.parametrize("vias", [1, 2])
@pytest.mark.parametrize("to", ["<sip:a@h>", "<sip:a@h>;tag=1"])
@pytest.mark.parametrize(("status", "reason", "tag", "extra", "body"), ANSWERS.values(), ids=ANSWERS)
def test_an_answer_as_octets_is_the_response_rendered(status, reason, tag, extra, body, to, vias):
    request = make_request(to=to)
    for number in range(1, vias):
        request.headers.add("Via", f"SIP/2.0/UDP proxy{number}")
    response = make_response(request, status, reason, to_tag=tag)
    response.headers.extend(extra)
    response.body = body
    if request.to.tag is not None:
        tag = None
    assert render_response(request, status, reason, tag, extra, body) == response.render()


@pytest.mark.parametrize(("reason", "extra"), [("O\nK", ()), ("OK", (("Contact", "<sip:a>\r\nVia: x"),))])
def test_nobody_writes_lines_into_an_answer(reason, extra):
    with pytest.raises(UsageError):
        render_response(make_request(), 200, reason, "t", extra)


def test_rendering_sets_the_length():
    request = make_invite(Content_Length="7")
    data = request.render()
    assert data == request.render()
    assert data.endswith(b"\r\n\r\n" + SDP)
    assert request.headers.get_all("Content-Length") == [str(len(SDP))]
    request.body = b"\xff\x00\r\n"
    assert parse_datagram(request.render()).body == b"\xff\x00\r\n"


def test_bytes_that_are_no_utf_8_come_back():
    data = make_request(Subject="x").render().replace(b"Subject: x", b"Subject: \xff\xfe\xc3")
    message = parse_datagram(data)
    assert message.render() == data
    assert parse_datagram(make_request(Subject=message.headers.get("Subject")).render()).render() == data


@pytest.mark.parametrize(
    "message",
    [
        Request("INVITE", "sip:a\r\nVia: x", Headers()),
        Request("INV\nITE", "sip:a", Headers()),
        Response(200, "OK\r\nVia: x", Headers()),
        Response(200, "OK\r", Headers()),
    ],
)
def test_the_start_line_cannot_be_broken(message):
    with pytest.raises(UsageError):
        message.render()


def test_success_is_a_2xx():
    assert [Response(status, "", Headers()).is_success for status in (199, 200, 299, 300)] == [
        False,
        True,
        True,
        False,
    ]


def test_an_answer_copies_what_section_8_2_6_2_names():
    request = make_invite(via="SIP/2.0/UDP a;branch=1, SIP/2.0/UDP b", Timestamp="54", Subject="x")
    request.headers.add("Via", "SIP/2.0/UDP c")
    answer = make_response(request, 180, to_tag="callee")
    assert list(answer.headers) == [
        ("Via", "SIP/2.0/UDP a;branch=1, SIP/2.0/UDP b"),
        ("Via", "SIP/2.0/UDP c"),
        ("From", "<sip:100@pbx.local>;tag=caller"),
        ("To", "<sip:101@pbx.local>;tag=callee"),
        ("Call-ID", "call-1@127.0.0.1"),
        ("CSeq", "1 INVITE"),
    ]
    assert (answer.status, answer.reason, answer.body) == (180, "Ringing", b"")
    assert answer.to.tag == "callee"


TAGS = {
    "a tag is added": ("<sip:a@h>", 200, "new", "<sip:a@h>;tag=new"),
    "also after a bare URI": ("sip:a@h;x=1", 404, "new", "sip:a@h;x=1;tag=new"),
    "one that is there stays": ("<sip:a@h>;tag=old", 200, "new", "<sip:a@h>;tag=old"),
    "a tag of the URI is none of To": ("<sip:a@h;tag=1>", 200, "new", "<sip:a@h;tag=1>;tag=new"),
    "none into a 100": ("<sip:a@h>", 100, "new", "<sip:a@h>"),
    "none when none is given": ("<sip:a@h>", 200, None, "<sip:a@h>"),
    "also when To is broken": ('"a <sip:a@h>', 400, "new", '"a <sip:a@h>;tag=new'),
    "a broken To with a tag stays": ('"a <sip:a@h>;tag=1', 400, "new", '"a <sip:a@h>;tag=1'),
}


@pytest.mark.parametrize(("to", "status", "tag", "expected"), TAGS.values(), ids=TAGS)
def test_the_tag_of_an_answer(to, status, tag, expected):
    assert make_response(make_request(to=to), status, to_tag=tag).headers.get("To") == expected


def test_a_100_has_the_timestamp():
    assert make_response(make_invite(Timestamp="54"), 100).headers.get("Timestamp") == "54"


def test_an_answer_does_not_change_its_request():
    request = make_invite()
    assert request.to.tag is None
    make_response(request, 200, to_tag="x")
    assert (request.to.tag, request.headers.get("To")) == (None, "<sip:101@pbx.local>")


def test_reasons():
    request = make_request()
    assert make_response(request, 488).reason == REASONS[488] == "Not Acceptable Here"
    assert make_response(request, 488, "No way").reason == "No way"
    assert make_response(request, 299).reason == "Unknown"


def test_messages_say_what_they_are():
    assert repr(make_request()) == "<'OPTIONS sip:101@pbx.local SIP/2.0' '1 OPTIONS' 'call-1@127.0.0.1'>"
    assert make_request() != make_response(make_request(), 200)
    with pytest.raises(TypeError):
        hash(make_request())
