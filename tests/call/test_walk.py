"""Whatever phones do, in whatever order: every call ends and leaves nothing behind."""

from hypothesis import given, settings
from hypothesis import strategies as st

from pbx.media.orders import EndpointFailed, Join, Resumed, Silent, WorkerRestarted
from pbx.office.snapshot import Office
from pbx.rtp.port_pool import PortPool
from pbx.sip.message import Request, Response, make_response
from tests.call.world import Phone, World, make_extension, talk

NAMES = ("100", "101", "102", "102m")
WHO = st.sampled_from([0, 0, 1, 1, 2, 2, 3])
STATUS = st.sampled_from(
    [200, 200, 200, 200, 200, 100, 180, 183, 183, 302, 404, 408, 422, 481, 486, 488, 491, 500, 503, 603]
)
METHODS = ("UPDATE", "BYE", "INFO", "PRACK", "OPTIONS", "MESSAGE", "NOTIFY", "CANCEL", "SUBSCRIBE")
METHOD = st.sampled_from(["INVITE", "INVITE", "REFER", "REFER", "UPDATE", *METHODS])
BODIES = ("none", "sendonly", "inactive", "video", "foreign", "rubbish", "secure", "off")
BODY = st.sampled_from(["sendrecv", "sendrecv", "sendrecv", *BODIES])
TARGET = st.sampled_from(["102", "101", "999", "replaces", "replaces"])
# Headers that a phone gets wrong, or that turn the call another way.
ODD = st.sampled_from(
    [
        {},
        {},
        {},
        {"Record-Route": "<sip:127.0.0.1:7000;lr>"},
        {"Record-Route": "no address <"},
        {"Contact": "<tel:+4930123>"},
        {"Allow": "INVITE, ACK, BYE"},
        {"Allow": "INVITE, ACK, BYE, UPDATE, PRACK"},
        {"Session-Expires": "90;refresher=uas", "Require": "timer"},
        {"Session-Expires": "soon"},
        {"Min-SE": "4000"},
        {"RSeq": "many", "Require": "100rel"},
        {"Reason": "Q.850;cause=16"},
    ]
)
OFFERED = st.sampled_from(["", "100rel", "100rel, timer", "timer"])
STEP = st.one_of(
    st.tuples(st.just("call"), WHO, st.sampled_from(["100", "101", "102", "102", "999"]), BODY, OFFERED),
    st.tuples(st.just("respond"), WHO, STATUS, BODY, st.sampled_from([0, 0, 0, 1, 2]), st.booleans(), ODD),
    st.tuples(st.just("respond"), WHO, STATUS, BODY, st.sampled_from([0, 0, 0, 1, 2]), st.booleans(), ODD),
    st.tuples(st.just("settle"), WHO),
    st.tuples(st.just("settle"), WHO),
    st.tuples(st.just("ack"), WHO, BODY),
    st.tuples(st.just("in dialog"), WHO, METHOD, BODY, TARGET, ODD),
    st.tuples(st.just("in dialog"), WHO, METHOD, BODY, TARGET, ODD),
    st.tuples(st.just("switch"), WHO),
    st.tuples(st.just("take over"), WHO, WHO, BODY, st.booleans()),
    st.tuples(st.just("wait"), st.sampled_from([0.1, 0.6, 5.0, 21.0, 33.0, 1000.0])),
    st.tuples(
        st.just("media"), st.sampled_from(["silent", "resumed", "failed", "restarted"]), st.integers(0, 5)
    ),
    st.tuples(st.just("cancel"), WHO),
)


class Walker(Phone):
    """A phone that keeps the dialogs it had, so that it may speak in any of them."""

    def __init__(self, *args, **options) -> None:
        super().__init__(*args, **options)
        self.dialogs: list[dict[str, str]] = []
        self.pending: Request | None = None  # our last INVITE outside of a dialog

    def body_of(self, kind: str) -> str:
        """Some SDP, or not."""
        self.count += 1
        if kind == "rubbish":
            return "v=0\r\nwhat is this\r\n"
        if kind == "foreign":
            return self.sdp(self.count, formats="96").replace("telephone-event", "EVS")
        if kind == "off":
            return self.sdp(self.count, port=0)
        if kind == "secure":
            key = "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:" + "A" * 40 + "\r\n"
            return self.sdp(self.count).replace("RTP/AVP", "RTP/SAVP") + key
        if kind == "video":
            return self.sdp(self.count) + "m=video 40002 RTP/AVP 97\r\na=rtpmap:97 H264/90000\r\n"
        return "" if kind == "none" else self.sdp(self.count, kind)

    def note_dialog(self, message: Request | Response, ours: bool) -> None:
        """Remember a dialog; `ours` when we sent the INVITE."""
        if not message.contacts:
            return
        names = ("From", "To") if ours else ("To", "From")
        local, remote = (message.headers.get(name) or "" for name in names)
        self.dialog = {
            "call_id": message.call_id,
            "local": local,
            "remote": remote,
            "target": message.contacts[0].uri.render(),
        }
        self.dialogs = [d for d in self.dialogs if d["call_id"] != message.call_id] + [self.dialog]

    def take(self, data: bytes, flow) -> None:
        super().take(data, flow)
        message = self.received[-1]
        if isinstance(message, Response) and message.cseq.method == "INVITE" and 100 < message.status < 300:
            self.note_dialog(message, ours=True)

    def react(self, request: Request, status: int, kind: str, headers: dict[str, str]) -> None:
        response = self.respond(request, status, self.body_of(kind), **headers)
        if request.method == "INVITE" and 100 < status < 300:
            self.note_dialog(response, ours=False)
            self.dialog["target"] = request.contacts[0].uri.render()

    def open_requests(self) -> list[Request]:
        """What came and is not answered finally."""
        answered = getattr(self, "answered", set())
        return [
            m for m in self.received if isinstance(m, Request) and m.method != "ACK" and id(m) not in answered
        ]

    def settle(self) -> None:
        """Do what a good phone would do: answer all, acknowledge all."""
        for request in self.open_requests():
            self.answered = getattr(self, "answered", set()) | {id(request)}
            self.react(request, 200, "sendrecv" if request.method in ("INVITE", "UPDATE") else "none", {})
        for message in [m for m in self.received if isinstance(m, Response) and "RSeq" in m.headers]:
            self.note_dialog(message, ours=True)
            rack = f"{message.headers.get('RSeq')} {message.cseq.number} INVITE"
            self.send(self.in_dialog("PRACK", RAck=rack))
        if 200 in self.statuses():
            self.ack()


def act(world: World, phones: list[Walker], step: tuple) -> None:
    """Do one thing, if it can be done now."""
    match step:
        case ("call", who, key, body, supported):
            phone = phones[who]
            phone.received.clear()
            call_id = f"walk-{phone.username}-{phone.count}"
            text, headers = phone.body_of(body), {"Supported": supported} if supported else {}
            phone.pending = phone.send_authenticated(
                lambda: phone.request("INVITE", f"sip:{key}@pbx.local", text, call_id=call_id, **headers)
            )
        case ("respond", who, status, body, back, reliable, odd):
            phone = phones[who]
            requests = [m for m in phone.received if isinstance(m, Request) and m.method != "ACK"]
            if not requests:
                return
            headers = {"Contact": "<sip:102@pbx.local>"} if status == 302 else dict(odd)
            if reliable and status in (180, 183):
                headers |= {"Require": "100rel", "RSeq": str(1 + phone.count % 3)}
            phone.react(requests[-1 - back % len(requests)], status, body, headers)
        case ("settle", who):
            phones[who].settle()
        case ("ack", who, body):
            if 200 in phones[who].statuses():
                phones[who].ack(phones[who].body_of(body))
        case ("in dialog", who, method, body, target, odd):
            phone = phones[who]
            if "target" not in phone.dialog:
                return
            headers = dict(odd)
            if method == "PRACK":
                headers["RAck"] = "1 1 INVITE"
            if method == "REFER":
                refer_to = f"<sip:{target}@pbx.local>"
                other = next((d for d in phone.dialogs if d is not phone.dialog), None)
                if target == "replaces" and other is not None:
                    tags = {name: other[name].partition(";tag=")[2] for name in ("local", "remote")}
                    replaces = f"{other['call_id']}%3Bto-tag%3D{tags['remote']}%3Bfrom-tag%3D{tags['local']}"
                    refer_to = f"<sip:102@pbx.local?Replaces={replaces}>"
                headers["Refer_To"] = refer_to
            text = phone.body_of(body) if method in ("INVITE", "UPDATE", "PRACK") else ""
            phone.send(phone.in_dialog(method, text, **headers))
        case ("switch", who):
            phone = phones[who]
            if phone.dialogs:
                phone.dialogs.append(phone.dialogs.pop(0))
                phone.dialog = phone.dialogs[-1]
        case ("take over", who, whose, body, early):
            phone, dialog = phones[who], phones[whose].dialog
            if "target" not in dialog:
                return
            tags = {name: dialog[name].partition(";tag=")[2] for name in ("local", "remote")}
            replaces = f"{dialog['call_id']};to-tag={tags['remote']};from-tag={tags['local']}"
            replaces += ";early-only" if early else ""
            call_id = f"over-{phone.username}-{phone.count}"
            text = phone.body_of(body)
            phone.received.clear()
            phone.pending = phone.send_authenticated(
                lambda: phone.request("INVITE", "sip:101@pbx.local", text, call_id=call_id, Replaces=replaces)
            )
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
                    "restarted": WorkerRestarted((name.partition(".")[0],), "it died"),
                }[what]
                world.perform(world.exchange.media_event(event, world.now))
        case ("cancel", who):
            sent = phones[who].pending
            if sent is not None:
                cancel = Request("CANCEL", sent.uri, sent.headers.copy(), b"")
                cancel.headers.set("CSeq", f"{sent.cseq.number} CANCEL")
                phones[who].send(cancel)


def set_up(world: World, phones: list[Walker], start: str) -> None:
    """Calls to begin the walk with."""
    ann, bob, eve, _ = phones
    if start == "ringing":
        ann.pending = ann.invite("101", Supported="100rel")
        bob.ring()
    elif start == "forked":
        ann.pending = ann.invite("102", Supported="100rel")
        eve.ring(183, eve.sdp())
    elif start == "late offer":
        ann.pending = ann.invite("101", "")
        bob.answer()
    elif start in ("talking", "talking twice", "consulting"):
        talk(world, ann, bob)
        bob.dialogs.append(bob.dialog)
        ann.received.clear()
        bob.received.clear()
    if start == "talking twice":
        talk(world, bob, eve)
        eve.received.clear()
        bob.received.clear()
    elif start in ("consulting", "handing over"):
        bob.pending = bob.invite("102")
        eve.ring()
    if start == "handing over":  # attended, while eve rings
        act(world, phones, ("switch", 1))
        act(world, phones, ("in dialog", 1, "REFER", "none", "replaces", {}))
    elif start == "merging":  # attended, both calls up
        talk(world, ann, bob)
        bob.dialogs.append(bob.dialog)
        talk(world, bob, eve)
        for phone in (ann, bob, eve):
            phone.received.clear()
        act(world, phones, ("switch", 1))
        act(world, phones, ("in dialog", 1, "REFER", "none", "replaces", {}))
    elif start == "sending on":  # blind
        talk(world, ann, bob)
        bob.send(bob.in_dialog("REFER", Refer_To="<sip:102@pbx.local>"))
        eve.ring()
    elif start in ("holding", "asking"):
        talk(world, ann, bob)
        ann.send(ann.in_dialog("INVITE", ann.sdp(2, "sendonly") if start == "holding" else ""))


STARTS = (
    "nothing",
    "ringing",
    "forked",
    "late offer",
    "talking",
    "talking twice",
    "consulting",
    "handing over",
    "merging",
    "sending on",
    "holding",
    "asking",
)


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(STARTS),
    st.lists(STEP, min_size=4, max_size=30),
    st.sampled_from([100, 100, 100, 6]),
)
def test_every_call_ends_and_every_port_is_freed(start, steps, ports):
    office = Office(
        extensions=(
            make_extension("100", ("100",)),
            make_extension("101", ("101",)),
            make_extension("102", ("102", "102m")),
        ),
        realm="pbx.local",
    )
    world = World(office, user_agent="SIPp")
    phones = [world.phone(name, kind=Walker) for name in NAMES]
    exchange = world.exchange
    exchange.endpoints.ports = PortPool(30000, 30000 + 2 * ports - 1, exchange.entropy, rest_s=1.0)
    set_up(world, phones, start)
    for step in steps:
        act(world, phones, step)
    for phone in phones:  # from now on nobody answers anything but a BYE
        phone.drops = True
    world.wait(4000.0)
    for phone in phones:
        for bye in phone.all("BYE"):
            phone.send(make_response(bye, 200))
    assert not world.exchange.calls  # all have ended by themselves
    world.perform(world.exchange.stop(world.now))
    world.wait(40.0)
    world.assert_nothing_left()
