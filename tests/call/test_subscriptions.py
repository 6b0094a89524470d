"""SUBSCRIBE and NOTIFY (RFC 6665) with the message-waiting lamp (RFC 3842) as what is subscribed to."""

from dataclasses import replace
from itertools import product

import pytest

from pbx.call.mailbox_lamps import render_summary
from pbx.call.subscription import TRANSITIONS, Input, State
from pbx.call.subscriptions import MOST
from pbx.office.snapshot import Office
from pbx.sip.flow import Flow
from pbx.sip.message import make_response
from tests.call.world import DOMAIN, SERVER, Phone, World, make_extension, make_office

MWI = "message-summary"


class Watcher(Phone):
    """A phone that subscribes, and answers NOTIFYs as it is told."""

    answers: int | None = 200

    def take(self, data, flow):
        super().take(data, flow)
        message = self.received[-1]
        if getattr(message, "method", "") == "NOTIFY" and self.answers is not None:
            self.send(make_response(message, self.answers, to_tag=self.tag))

    def subscribe(self, uri: str = "", event: str = MWI, expires: int | str | None = 600, **headers: str):
        """Outside of dialogs."""
        options = {"Event": event, **headers}
        if expires is not None:
            options["Expires"] = str(expires)
        call_id = f"sub-{self.tag}-{self.count}"
        uri = uri or f"sip:{self.username}@{DOMAIN}"
        self.send_authenticated(lambda: self.request("SUBSCRIBE", uri, call_id=call_id, **options))
        response = self.responses("SUBSCRIBE")[-1]
        if response.status == 200:
            self.dialog = {
                "call_id": call_id,
                "remote": response.headers.get("To"),
                "local": response.headers.get("From"),
                "target": response.contacts[0].uri.render(),
            }
        return response

    def refresh(self, expires: int = 600, event: str = MWI, authenticated: bool = True):
        """Inside the dialog."""
        options = {"Event": event, "Expires": str(expires)}

        def make():
            return self.in_dialog("SUBSCRIBE", **options)

        made = make()
        self.send(made)
        if self.responses("SUBSCRIBE")[-1].status == 401 and authenticated:
            self.received.pop()
            self.send_authenticated(make)
        return self.responses("SUBSCRIBE")[-1]

    def responses(self, method):
        return [m for m in self.received if hasattr(m, "status") and m.cseq.method == method]

    @property
    def told(self) -> list[tuple[str, str]]:
        """Of each NOTIFY: the state of the subscription, and the counts."""
        return [
            (
                each.headers.get("Subscription-State"),
                each.body.decode().partition("Voice-Message: ")[2].partition(" ")[0],
            )
            for each in self.all("NOTIFY")
        ]


@pytest.fixture
def ann(world):
    return world.phone("100", kind=Watcher)


@pytest.fixture
def bob(world):
    return world.phone("101", kind=Watcher)


def change(world, new, saved=0, mailbox="100"):
    world.perform(world.exchange.mailbox_changed(mailbox, new, saved, world.now))


# --- the life of a subscription ---------------------------------------------------------------------------


def test_a_lamp_is_told_at_once_and_when_the_mailbox_changes(world, ann):
    response = ann.subscribe()
    assert response.headers.get("Expires") == "600"
    assert response.headers.get("Allow-Events").split(", ")[0] == MWI
    assert ann.told == [("active;expires=600", "0/0")]
    world.wait(5)
    change(world, 2, 1)
    assert ann.told[1:] == [("active;expires=595", "2/1")]
    notify = ann.last("NOTIFY")
    assert notify.headers.get("Event") == MWI
    assert notify.headers.get("Content-Type") == "application/simple-message-summary"
    assert notify.body == (
        b"Messages-Waiting: yes\r\nMessage-Account: sip:100@pbx.local\r\nVoice-Message: 2/1 (0/0)\r\n"
    )
    assert notify.uri == "sip:100@192.0.2.9:5100"
    assert (notify.call_id, notify.to.tag) == (ann.dialog["call_id"], ann.tag)
    assert [each.cseq.number for each in ann.all("NOTIFY")] == [1, 2]
    change(world, 2, 1)
    assert len(ann.told) == 2  # nothing new
    world.wait(700)
    world.assert_nothing_left()


def test_refreshed_it_goes_on_and_unsubscribed_it_ends(world, ann):
    ann.subscribe(expires=100)
    world.wait(90)
    assert ann.refresh(100).status == 200
    world.wait(90)
    change(world, 1)
    assert ann.told[1:] == [("active;expires=100", "0/0"), ("active;expires=10", "1/0")]
    assert ann.refresh(0).headers.get("Expires") == "0"
    assert ann.told[3:] == [("terminated;reason=timeout", "1/0")]
    change(world, 2)
    assert ann.refresh().status == 481
    world.assert_nothing_left()


def test_not_refreshed_it_expires(world, ann):
    ann.subscribe(expires=60)
    world.wait(61)
    assert ann.told[1:] == [("terminated;reason=timeout", "0/0")]
    world.assert_nothing_left()


def test_expires_0_tells_once(world):
    change(world, 3, 4)
    ann = world.phone("100", kind=Watcher)
    assert ann.subscribe(expires=0).headers.get("Expires") == "0"
    assert ann.told == [("terminated;reason=timeout", "3/4")]
    assert len(world.exchange.subscriptions) == 0
    world.assert_nothing_left()


GRANTED = {
    "what is asked for": (60, "60"),
    "no more than an hour": (999999, "3600"),
    "an hour without asking": (None, "3600"),
}


@pytest.mark.parametrize(("asked", "granted"), GRANTED.values(), ids=GRANTED)
def test_how_long_it_lasts(world, ann, asked, granted):
    assert ann.subscribe(expires=asked).headers.get("Expires") == granted


def test_a_phone_that_starts_anew_takes_its_own_place(world, ann):
    for _ in range(MOST + 5):
        ann.subscribe()
    assert len(world.exchange.subscriptions) == 1
    world.wait(5)
    change(world, 1)
    assert [counts for _, counts in ann.told].count("1/0") == 1
    world.wait(700)
    world.assert_nothing_left()


def reconnect(world, phone, port):
    """A phone loses its connection and comes by another one."""
    world.perform(world.exchange.flow_lost(phone.flow, "the connection broke", world.now))
    phone.address = (phone.address[0], port)
    phone.flow = Flow("TCP", phone.address, SERVER, accepted=True)
    phone.contact = f"<sip:100@{phone.address[0]}:{port};transport=tcp>"
    world.phones[phone.address] = phone


def test_a_phone_that_comes_back_over_another_connection_is_told_there(world):
    ann = world.phone("100", port=40001, kind=Watcher, transport="TCP")
    ann.subscribe()
    reconnect(world, ann, 40002)
    ann.register()
    world.wait(5)
    change(world, 3)
    assert [counts for _, counts in ann.told] == ["0/0", "3/0"]


def test_a_phone_that_starts_anew_over_other_connections_takes_its_own_place(world):
    ann = world.phone("100", port=40001, kind=Watcher, transport="TCP")
    for port in range(40002, 40004 + MOST):
        assert ann.subscribe().status == 200
        reconnect(world, ann, port)
    assert len(world.exchange.subscriptions) == 1


# --- notifies ---------------------------------------------------------------------------------------------


def test_one_notify_at_a_time_and_the_last_state_wins(world, ann):
    ann.subscribe()
    world.wait(5)
    ann.answers = None
    for new in (1, 2, 3):
        change(world, new)
    assert [counts for _, counts in ann.told] == ["0/0", "1/0"]
    ann.answers = 200
    ann.ok("NOTIFY")
    world.wait(2)
    assert [counts for _, counts in ann.told] == ["0/0", "1/0", "3/0"]
    world.wait(700)
    world.assert_nothing_left()


def test_many_changes_are_told_once_a_second(world, ann):
    ann.subscribe()
    world.wait(5)
    for new in range(1, 21):
        change(world, new)
        world.wait(0.1)
    world.wait(1)
    assert [counts for _, counts in ann.told] == ["0/0", "1/0", "10/0", "20/0"]


def test_ended_while_a_notify_is_on_its_way_the_last_one_waits(world, ann):
    ann.answers = None
    ann.subscribe()
    ann.refresh(0)
    assert ann.refresh().status == 481
    assert len(ann.told) == 1
    ann.ok("NOTIFY")
    assert [state for state, _ in ann.told[1:]] == ["terminated;reason=timeout"]
    ann.ok("NOTIFY")
    world.assert_nothing_left()


ANSWERS = {
    "it knows of no subscription": (481, False),
    "it does not know the event": (489, False),
    "it does not know NOTIFY": (405, False),
    "an error that passes": (500, True),
}


@pytest.mark.parametrize(("status", "goes_on"), ANSWERS.values(), ids=ANSWERS)
def test_what_a_phone_answers_to_a_notify(world, ann, status, goes_on):
    ann.answers = status
    ann.subscribe()
    assert len(world.exchange.subscriptions) == goes_on
    ann.answers = 200
    assert ann.refresh().status == (200 if goes_on else 481)
    world.wait(700)
    world.assert_nothing_left()


def test_a_phone_that_is_gone_is_forgotten(world, ann):
    ann.answers = None
    ann.subscribe(expires=3600)
    world.wait(40)
    assert len(world.exchange.subscriptions) == 0
    world.assert_nothing_left()


def test_a_connection_that_is_lost_ends_it_when_there_is_something_to_tell(world):
    ann = world.phone("100", kind=Watcher, transport="TCP")
    ann.subscribe()
    assert world.exchange.keeps(ann.flow)
    world.wait(5)
    ann.takes_tcp = False
    world.perform(world.exchange.flow_lost(ann.flow, "closed", world.now))
    change(world, 1)
    assert len(world.exchange.subscriptions) == 0
    world.assert_nothing_left()


# --- who may, and what ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "uri", [f"sip:100@{DOMAIN}", f"sip:{DOMAIN}", "sip:100@192.0.2.1:5060;transport=udp"]
)
def test_its_own_mailbox_by_any_name(world, ann, uri):
    assert ann.subscribe(uri).status == 200


def test_its_own_mailbox_by_the_name_of_the_device():
    world = World(Office(extensions=(make_extension("100", ("ann-desk",)),), realm=DOMAIN))
    ann = world.phone("ann-desk", kind=Watcher)
    assert ann.subscribe().status == 200
    change(world, 1)
    world.wait(1)
    assert ann.told[-1][1] == "1/0"
    assert b"sip:100@pbx.local" in ann.last("NOTIFY").body


REFUSED = {
    "somebody else's mailbox": ({"uri": f"sip:101@{DOMAIN}"}, 403, ()),
    "nobody's mailbox": ({"uri": f"sip:999@{DOMAIN}"}, 403, ()),
    "another server's": ({"uri": "sip:100@elsewhere.example"}, 404, ()),
    "an event that we do not have": ({"event": "presence"}, 489, ("Allow-Events", MWI)),
    "too short": ({"expires": 59}, 423, ("Min-Expires", "60")),
    "another body": ({"Accept": "application/pidf+xml"}, 406, ()),
    "no number": ({"expires": "soon"}, 400, ()),
    "no event": ({"event": ";id=1"}, 400, ()),
}


@pytest.mark.parametrize(("options", "status", "header"), REFUSED.values(), ids=REFUSED)
def test_what_is_refused(world, ann, options, status, header):
    if options.get("expires") == "soon" or status == 404:
        uri, options = options.get("uri", f"sip:100@{DOMAIN}"), dict(options)
        event, expires = options.get("event", MWI), str(options.get("expires", 600))
        ann.send(ann.request("SUBSCRIBE", uri, Event=event, Expires=expires, Authorization="Digest x=y"))
        response = ann.responses("SUBSCRIBE")[-1]
    else:
        response = ann.subscribe(**options)
    assert response.status == status
    if header:
        assert header[1] in response.headers.get(header[0])
    assert ann.told == []
    assert len(world.exchange.subscriptions) == 0
    world.assert_nothing_left()


def test_without_an_event(world, ann):
    ann.send_authenticated(lambda: ann.request("SUBSCRIBE", f"sip:100@{DOMAIN}"))
    assert ann.responses("SUBSCRIBE")[-1].status == 489


@pytest.mark.parametrize(
    "accept", ["*/*", "application/*", "text/plain, Application/Simple-Message-Summary;q=1"]
)
def test_accept(world, ann, accept):
    assert ann.subscribe(Accept=accept).status == 200


def test_nothing_is_kept_for_a_stranger(world, ann):
    before = len(world.exchange.stack.layer)
    ann.send(ann.request("SUBSCRIBE", f"sip:100@{DOMAIN}", Event=MWI))
    assert ann.statuses("SUBSCRIBE") == [401]
    assert len(world.exchange.stack.layer) == before


def test_a_device_has_only_so_many(world, ann):
    for port in range(MOST):
        ann.contact = f"<sip:100@192.0.2.9:{6000 + port}>"
        assert ann.subscribe().status == 200
    ann.contact = "<sip:100@192.0.2.9:7000>"
    assert ann.subscribe().status == 403
    assert len(world.exchange.subscriptions) == MOST


# --- hostile ----------------------------------------------------------------------------------------------


def test_a_forged_refresh_changes_nothing(world, ann, bob):
    ann.subscribe()
    ann.cseq += 1000
    assert ann.refresh(0, authenticated=False).status == 401
    ann.cseq -= 1000
    bob.dialog, bob.tag, bob.cseq = ann.dialog, ann.tag, 5000
    bob.refresh(0)  # with credentials of his own: From is not his
    assert bob.statuses("SUBSCRIBE")[-1] == 403
    bob.dialog = {**ann.dialog, "local": f"<sip:101@{DOMAIN}>;tag={ann.tag}"}
    bob.refresh(0)
    assert bob.statuses("SUBSCRIBE")[-1] == 403
    assert ann.refresh().status == 200  # its CSeq is still the next one
    assert [state for state, _ in ann.told] == ["active;expires=600"] * 2
    assert bob.told == []


def test_a_refresh_that_is_out_of_order(world, ann):
    ann.subscribe()
    ann.cseq -= 4
    assert ann.refresh(0).status == 500
    assert len(world.exchange.subscriptions) == 1


def test_a_refresh_of_something_else(world, ann):
    ann.subscribe()
    assert ann.refresh(event="dialog").status == 489
    assert ann.refresh(event=f"{MWI};id=7").status == 489
    assert ann.refresh(30).status == 423
    assert ann.refresh().status == 200


def test_the_id_of_an_event_is_given_back(world, ann):
    ann.subscribe(event=f"{MWI};id=7")
    assert ann.last("NOTIFY").headers.get("Event") == f"{MWI};id=7"


@pytest.mark.parametrize("method", ["BYE", "INVITE", "NOTIFY", "REFER", "OPTIONS"])
def test_another_request_in_its_dialog(world, ann, method):
    ann.subscribe()
    ann.send(ann.in_dialog(method))
    assert ann.responses(method)[-1].status == 405
    ann.send(ann.in_dialog("ACK"))
    assert len(world.exchange.subscriptions) == 1
    world.wait(700)
    world.assert_nothing_left()


# --- the office changes, the server stops -----------------------------------------------------------------


def test_a_device_that_is_removed_or_has_another_password_is_told_so(world, ann, bob):
    ann.subscribe()
    bob.subscribe()
    office = make_office("101", "102")
    changed = replace(office.extensions[0].devices[0], ha1_sha256="other")
    extensions = (replace(office.extensions[0], devices=(changed,)), office.extensions[1])
    world.perform(world.exchange.swap_office(replace(office, extensions=extensions), world.now))
    assert ann.told[1:] == [("terminated;reason=rejected", "")]
    assert bob.told[1:] == [("terminated;reason=rejected", "")]
    world.assert_nothing_left()


def test_a_device_that_goes_to_another_extension(world, ann):
    ann.subscribe()
    extensions = (make_extension("105", ("100",)),)
    world.perform(world.exchange.swap_office(Office(extensions=extensions, realm=DOMAIN), world.now))
    assert ann.told[1:] == [("terminated;reason=noresource", "")]


def test_an_office_that_changes_elsewhere_changes_nothing(world, ann):
    ann.subscribe()
    world.perform(world.exchange.swap_office(make_office("100", "101"), world.now))
    assert len(ann.told) == len(world.exchange.subscriptions) == 1


def test_a_server_that_stops_forgets_them(world, ann):
    ann.subscribe()
    world.perform(world.exchange.stop(world.now))
    assert world.exchange.is_quiet
    assert ann.subscribe().status == 503


# --- phones that do not subscribe -------------------------------------------------------------------------


def test_a_phone_is_told_after_it_registers_when_there_is_something(world):
    change(world, 1)
    ann = world.phone("100", kind=Watcher)
    assert ann.told == []  # it may subscribe
    world.wait(3)
    assert ann.told == [("active", "1/0")]
    notify = ann.last("NOTIFY")
    assert notify.uri == "sip:100@192.0.2.9:5100"
    assert notify.headers.get("Event") == MWI
    ann.register()
    world.wait(3)
    assert len(ann.told) == 1  # a refresh
    change(world, 0, 1)
    assert ann.told[1:] == [("active", "0/1")]
    ann.send_authenticated(
        lambda: ann.request(
            "REGISTER", f"sip:{DOMAIN}", to=f"<sip:100@{DOMAIN}>", call_id="restarted", User_Agent="x"
        )
    )
    world.wait(3)
    assert ann.told[2:] == [("active", "0/1")]
    world.assert_nothing_left()


def test_an_empty_mailbox_is_nothing_to_tell(world, ann):
    world.wait(10)
    assert ann.told == []


def test_a_lamp_that_went_out_while_the_phone_was_away(world, ann):
    change(world, 1)
    assert ann.told == [("active", "1/0")]
    ann.answers = None
    change(world, 0)
    world.wait(40)
    ann.answers = 200
    ann.register()
    world.wait(3)
    assert ann.told[-1] == ("active", "0/0")


def test_a_lamp_follows_the_phone_to_another_extension(world, ann):
    change(world, 1)
    extensions = (make_extension("105", ("100",)), make_extension("100", ("100b",)))
    world.perform(world.exchange.swap_office(Office(extensions=extensions, realm=DOMAIN), world.now))
    world.wait(3)
    assert ann.told == [("active", "1/0"), ("active", "0/0")]
    world.perform(world.exchange.swap_office(make_office("100", "101"), world.now))
    world.wait(3)
    assert ann.told[2:] == [("active", "1/0")]
    world.assert_nothing_left()


def test_a_phone_that_subscribes_is_not_told_twice(world):
    change(world, 1)
    ann = world.phone("100", kind=Watcher)
    ann.subscribe()
    world.wait(10)
    change(world, 2)
    assert [counts for _, counts in ann.told] == ["1/0", "2/0"]


@pytest.mark.parametrize(
    ("user_agent", "told"), [("test phone", 1), ("", 1), ("SIPp/Linux", 0)], ids=["named", "nameless", "SIPp"]
)
def test_only_a_load_generator_is_not_told(user_agent, told):
    world = World(make_office("100"), user_agent=user_agent)
    ann = world.phone("100", kind=Watcher)
    change(world, 1)
    assert len(ann.told) == told


@pytest.mark.parametrize("user_agent", ["test phone", ""], ids=["named", "nameless"])
@pytest.mark.parametrize("status", [405, 481, 489, 501])
def test_a_phone_that_does_not_take_it_is_left_alone(status, user_agent):
    world = World(make_office("100"), user_agent=user_agent)
    ann = world.phone("100", kind=Watcher)
    ann.answers = status
    for new in (1, 2, 3):
        change(world, new)
        world.wait(5)
    assert len(ann.told) == 1
    world.assert_nothing_left()


def test_every_phone_of_the_extension_is_told(forked):
    world, _, phones = forked
    change(world, 1, mailbox="101")
    assert [len(phone.all("NOTIFY")) for phone in phones] == [1, 1, 1]


def test_a_mailbox_of_nobody(world):
    change(world, 1, mailbox="999")
    world.assert_nothing_left()


# --- tables -----------------------------------------------------------------------------------------------


def test_every_pair_has_a_row_or_no_meaning():
    without = {pair for pair in product(State, Input) if pair not in TRANSITIONS}
    assert {state for state, what in without if what == Input.ENDED} == {
        State.CLOSING,
        State.LAST,
        State.OVER,
    }
    assert all((State.OVER, what) in without for what in Input)
    answered = {state for state, what in TRANSITIONS if what in (Input.DELIVERED, Input.REFUSED)}
    sent = {State.NOTIFYING, State.BEHIND, State.CLOSING, State.LAST}
    assert answered == sent  # one that is on its way, and no other, is answered
    assert {state for (state, what), (_, then) in TRANSITIONS.items() if then == State.OVER} == sent


@pytest.mark.parametrize(
    ("new", "saved", "text"),
    [(0, 0, "no|0/0"), (0, 5, "no|0/5"), (1, 0, "yes|1/0"), (100, 3, "yes|100/3")],
)
def test_a_summary(new, saved, text):
    waiting, counts = text.split("|")
    assert render_summary("sip:1@x", new, saved).decode().split("\r\n") == [
        f"Messages-Waiting: {waiting}",
        "Message-Account: sip:1@x",
        f"Voice-Message: {counts} (0/0)",
        "",
    ]
