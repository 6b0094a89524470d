"""Whatever three phones do, in whatever order: no call is stuck, nothing is left behind, nothing is a bug of ours."""

from hypothesis import given, settings
from hypothesis import strategies as st

from pbx.media.orders import EndpointFailed, Join, Resumed, Silent
from pbx.sip.message import Request, make_response
from tests.call.world import Phone, World, make_office

NAMES = ("100", "101", "102")
WHO = st.sampled_from(range(3))
STATUS = st.sampled_from([180, 183, 200, 302, 404, 408, 481, 486, 488, 491, 500, 503, 603])
METHOD = st.sampled_from(
    ["INVITE", "UPDATE", "BYE", "REFER", "INFO", "PRACK", "OPTIONS", "MESSAGE", "NOTIFY", "CANCEL"]
)
BODY = st.sampled_from(["", "sendrecv", "sendonly", "inactive", "rubbish", "video", "foreign"])
STEP = st.one_of(
    st.tuples(st.just("call"), WHO, st.sampled_from(["100", "101", "102", "999"]), BODY),
    st.tuples(st.just("respond"), WHO, STATUS, BODY, st.integers(0, 3), st.booleans()),
    st.tuples(st.just("ack"), WHO, BODY),
    st.tuples(st.just("in dialog"), WHO, METHOD, BODY, st.sampled_from(["102", "101", "999", "replaces"])),
    st.tuples(st.just("wait"), st.sampled_from([0.1, 0.6, 5.0, 21.0, 33.0, 1000.0])),
    st.tuples(st.just("media"), st.sampled_from(["silent", "resumed", "failed"]), st.integers(0, 5)),
    st.tuples(st.just("cancel"), WHO),
)


def body_of(phone: Phone, kind: str) -> str:
    """Some SDP, or not."""
    phone.count += 1
    if kind == "rubbish":
        return "v=0\r\nwhat is this\r\n"
    if kind == "foreign":
        return phone.sdp(phone.count, formats="96").replace("telephone-event", "EVS")
    if kind == "video":
        return phone.sdp(phone.count) + "m=video 40002 RTP/AVP 97\r\na=rtpmap:97 H264/90000\r\n"
    return phone.sdp(phone.count, kind) if kind else ""


def take(world: World, phones: list[Phone], step: tuple) -> None:  # noqa: PLR0912
    """Do one thing, if it can be done now."""
    match step:
        case ("call", who, key, body):
            phone = phones[who]
            phone.received.clear()
            call_id = f"walk-{phone.username}-{phone.count}"
            made = body_of(phone, body)
            phone.send_authenticated(
                lambda: phone.request(
                    "INVITE", f"sip:{key}@pbx.local", made, call_id=call_id, Supported="100rel"
                )
            )
            phone.dialog = {}
        case ("respond", who, status, body, back, reliable):
            phone = phones[who]
            requests = [m for m in phone.received if isinstance(m, Request) and m.method != "ACK"]
            if not requests:
                return
            request = requests[-1 - back % len(requests)]
            text = body_of(phone, body)
            headers = {"Contact": "<sip:102@pbx.local>"} if status == 302 else {}
            if reliable and status in (180, 183):
                headers |= {"Require": "100rel", "RSeq": "1"}
            response = phone.respond(request, status, text, **headers)
            if request.method == "INVITE" and status < 300:
                phone.dialog = {
                    "call_id": request.call_id,
                    "remote": request.headers.get("From") or "",
                    "local": response.headers.get("To") or "",
                    "target": request.contacts[0].uri.render(),
                }
        case ("ack", who, body):
            phone = phones[who]
            if 200 in phone.statuses():
                phone.ack(body_of(phone, body))
        case ("in dialog", who, method, body, target):
            phone = phones[who]
            if not phone.dialog:
                return
            headers = {"RAck": "1 1 INVITE"} if method == "PRACK" else {}
            if method == "REFER":
                refer_to = f"<sip:{target}@pbx.local>"
                other = phones[(who + 1) % 3].dialog
                if target == "replaces" and other:
                    tags = {name: other[name].partition(";tag=")[2] for name in ("local", "remote")}
                    replaces = f"{other['call_id']}%3Bto-tag%3D{tags['remote']}%3Bfrom-tag%3D{tags['local']}"
                    refer_to = f"<sip:102@pbx.local?Replaces={replaces}>"
                headers = {"Refer_To": refer_to}
            text = body_of(phone, body) if method in ("INVITE", "UPDATE", "PRACK") else ""
            phone.send(phone.in_dialog(method, text, **headers))
        case ("wait", seconds):
            world.wait(seconds)
        case ("media", what, number):
            names = [name for order in world.orders if isinstance(order, Join) for name in (order.a, order.b)]
            if names:
                name = names[number % len(names)]
                event = {
                    "silent": Silent(name, 30.0),
                    "resumed": Resumed(name),
                    "failed": EndpointFailed(name, "the port is taken"),
                }[what]
                world.perform(world.exchange.media_event(event, world.now))
        case ("cancel", who):
            phone = phones[who]
            sent = getattr(phone, "sent_invite", None)
            if sent is not None:
                cancel = Request("CANCEL", sent.uri, sent.headers.copy(), b"")
                cancel.headers.set("CSeq", f"{sent.cseq.number} CANCEL")
                phone.send(cancel)


@settings(max_examples=150, deadline=None)
@given(st.lists(STEP, max_size=25))
def test_every_call_ends_and_every_port_is_freed(steps):
    world = World(make_office(*NAMES))
    phones = [world.phone(name) for name in NAMES]
    for step in steps:
        take(world, phones, step)
    for phone in phones:  # from now on nobody answers anything but a BYE
        phone.drops = True
    world.wait(4000.0)
    for phone in phones:
        for bye in phone.all("BYE"):
            phone.send(make_response(bye, 200))
    world.perform(world.exchange.stop(world.now))
    world.wait(40.0)
    world.assert_nothing_left()
