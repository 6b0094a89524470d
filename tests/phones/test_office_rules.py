"""Who rings: the manual's example of forwarding with real phones, no-answer actions, groups, 302, busy."""

from collections.abc import Iterator

import pytest

from tests.phones.conftest import Workshop
from tests.phones.support.letters import Letterbox
from tests.phones.support.office import TestDevice, extension_toml
from tests.phones.support.outside import (
    OFFICE,
    OWNER,
    Bells,
    Carriers,
    arrive,
    carriers,
    dialled,
    invites,
    place,
    trunk_toml,
)
from tests.phones.support.phone import Account, Answering, CallState, Phone, PhoneCall
from tests.phones.support.pjsua_phone import PjsuaPhone
from tests.phones.support.records import payers, wait_calls
from tests.phones.support.server import PbxServer, running
from tests.phones.support.sip_client import SipClient, sip_client
from tests.phones.support.talk import connect, hang_up, hear_each_other
from tests.phones.support.waiting import wait_until

DID = "+6560001000"
VIPS = ("+6531234567", "+6569876543")
STRANGER = "+6588880000"
FORWARDED_TO = "+6531112222"
HANGUP, NOTIFY, VOICEMAIL, FORWARD = ACTIONS = ("110", "111", "113", "114")  # 112 calls for help
TIMEOUT_S, GIVE_S = 5.0, 0.5
ELSEWHERE = 'SIP;cause=200;text="Call completed elsewhere"'


def office(carrier: Phone, *, forwarding: bool = False) -> str:
    """100 with three devices, one of which does not ring; whom it forwards to; who does what unanswered."""
    rule = 'outbound_rule = "standard"'
    ann = extension_toml("100", rule)
    for name, kind, ring in (("100m", "mobile", "true"), ("100d", "desktop", "false")):
        ann += f'[[extension.device]]\nkind = "{kind}"\nusername = "{name}"\n'
        ann += f'password = "{TestDevice("100", name).password}"\nring = {ring}\n'
    ann += f"[extension.incoming.forward]\nenabled = {str(forwarding).lower()}\n"
    ann += f'extensions = ["101", "102", "103"]\nvip = {list(VIPS)}\n'
    unanswered = {
        HANGUP: 'action = "hangup"',
        NOTIFY: 'action = "notify"\nemails = ["desk@acme.example"]',
        VOICEMAIL: 'action = "voicemail"\n[extension.no_answer.greeting]\ntext = "Hello."',
        FORWARD: f'action = "forward"\nforward_to = "{FORWARDED_TO}"',
    }
    parts = [
        *(OFFICE, OWNER, ann),
        *(extension_toml(key, rule) for key in ("101", "102", "103")),
        extension_toml("104", "call_waiting = 1", '[extension.no_answer]\naction = "hangup"\n'),
        extension_toml("105"),
        extension_toml("106"),
    ]
    for key, action in unanswered.items():
        lines = action.partition("\n")
        table = f"[extension.no_answer]\ntimeout = 5\n{lines[0]}\n{lines[2]}\n"
        parts.append(extension_toml(key, rule, table))
        parts.append(f'[[number]]\nnumber = "+6560001{key}"\ndestination = "extension:{key}"\n')
    strategies = {"600": "all", "601": "sequence", "602": "round_robin", "603": "longest_idle"}
    for key, strategy in strategies.items():
        parts.append(
            f'[[group]]\nkey = "{key}"\nstrategy = "{strategy}"\nmembers = ["101", "102"]\nring_seconds = 5\n'
        )
    parts += [
        f'[[number]]\nnumber = "{DID}"\ndestination = "extension:100"\n',
        trunk_toml("world", place(carrier)),
        '[[outbound_rule]]\nname = "standard"\ntrunks = ["world"]\n',
        '[[outbound_rule.country]]\ncountry = "SG"\n',
    ]
    return "\n".join(parts)


@pytest.fixture(scope="module")
def outside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Carriers]:
    with carriers(tmp_path_factory.mktemp("outside")) as made:
        made.add("127.0.0.2")
        yield made


@pytest.fixture(scope="module")
def world(outside: Carriers) -> PjsuaPhone:
    """The carrier, and everybody whom it reaches."""
    phone = outside.phones[0]
    assert isinstance(phone, PjsuaPhone)
    return phone


@pytest.fixture(scope="module")
def letterbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Letterbox]:
    made = Letterbox(tmp_path_factory.mktemp("mail") / "letters")
    yield made
    made.close()


@pytest.fixture(scope="module")
def server(
    tmp_path_factory: pytest.TempPathFactory, letterbox: Letterbox, world: PjsuaPhone
) -> Iterator[PbxServer]:
    yield from running(
        tmp_path_factory.mktemp("rules"), office(world), limits=letterbox.configuration, rtp_ports=140
    )


@pytest.fixture
def phones(server: PbxServer, shop: Workshop, world: PjsuaPhone) -> "Phones":
    world.answering(Answering(200))
    return Phones(server, shop)


class Phones:
    """Makes the phones of the office by the names of their devices."""

    def __init__(self, server: PbxServer, shop: Workshop) -> None:
        self._server, self._shop = server, shop

    def __call__(self, *usernames: str, program: str = "pjsua") -> list[Phone]:
        return [
            self._shop.registered(program, TestDevice("", name).account(self._server.address))
            for name in usernames
        ]


def assert_cancelled(phone: Phone, count: int) -> None:
    """It was told that somebody else has answered."""
    found = phone.wait_received("CANCEL ", count=count)
    assert len({each.header("Call-ID") for each in found}) == count
    assert found[-1].header("Reason") == ELSEWHERE


def test_worked_example_of_forwarding_and_vips(
    server: PbxServer, phones: Phones, world: PjsuaPhone, shop: Workshop
):
    server.apply(office(world, forwarding=True))
    [desk, first, second, third] = phones("100", "101", "102", "103")
    [mobile] = phones("100m", program="baresip")
    [desktop] = phones("100d")
    for phone in (desk, mobile, desktop, first, second, third):
        phone.answering(Answering(180))
    everybody = {"desk": desk, "mobile": mobile, "desktop": desktop}
    everybody |= {"101": first, "102": second, "103": third}

    def call(caller: str, answering: Phone, rings: set[str]) -> None:
        bells, number = Bells(**everybody), len(answering.calls)
        call = arrive(world, server, DID, caller)
        incoming = answering.wait_incoming(number=number)
        wait_until("all of them ring", lambda: bells.rung() == rings)
        answering.answer(incoming)
        world.wait_established(call)
        answering.wait_established(incoming)
        if caller == VIPS[0]:
            hear_each_other((world, call), (answering, incoming))
        hang_up((world, call), (answering, incoming))
        assert bells.rung() == rings

    own, others = {"desk", "mobile"}, {"101", "102", "103"}
    call(VIPS[0], desk, own)
    assert f"sip:{VIPS[0]}@" in invites(desk)[-1].header("From")
    assert_cancelled(mobile, 1)
    call(VIPS[1], mobile, own)
    assert_cancelled(desk, 1)
    call(STRANGER, second, others)
    for phone in (first, third):
        assert_cancelled(phone, 1)
    assert "sip:100@" in invites(second)[-1].header("From")  # who forwards
    server.apply(office(world))
    call(VIPS[0], desk, own)
    call(STRANGER, mobile, own)
    assert_cancelled(mobile, 2)
    assert_cancelled(desk, 2)
    assert not invites(desktop)


def bound(client: SipClient, keys: tuple[str, ...], target: Phone, expires: int = 300) -> None:
    """Let a phone have the calls of several extensions."""
    for key in keys:
        contact = f"<sip:{key}@127.0.0.1:{target.sip_port}>"
        reply = client.register(key, TestDevice(key, key).password, contact, expires)
        assert reply is not None
        assert reply.status == 200, reply.text


def outcome(calls: dict[str, PhoneCall], world: PjsuaPhone, before: int) -> dict[str, tuple[int, float]]:
    """What came of a call to each of the four, and how long after its beginning."""
    world.wait_for(
        "all four are done with",
        lambda: (
            len([call for call in world.calls[before:] if call.is_incoming]) >= 1
            and all(calls[key].state is CallState.ENDED for key in (HANGUP, NOTIFY))
            and all(
                calls[key].state in (CallState.ESTABLISHED, CallState.ENDED) for key in (VOICEMAIL, FORWARD)
            )
        ),
    )
    forwarded = next(call for call in world.calls[before:] if call.is_incoming)
    times = {
        HANGUP: calls[HANGUP].since[CallState.ENDED],
        NOTIFY: calls[NOTIFY].since[CallState.ENDED],
        VOICEMAIL: calls[VOICEMAIL].since[CallState.ESTABLISHED],
        FORWARD: forwarded.since[CallState.INCOMING],
    }
    return {key: (call.status, times[key] - call.since[CallState.CALLING]) for key, call in calls.items()}


def test_no_answer_actions_after_their_time_or_at_once(
    server: PbxServer, phones: Phones, world: PjsuaPhone, shop: Workshop, letterbox: Letterbox
):
    ringer = shop.make("pjsua", Account(), name="ringer")

    def call_all() -> dict[str, tuple[int, float]]:
        before = len(world.calls)
        calls = {key: arrive(world, server, f"+6560001{key}", STRANGER) for key in ACTIONS}
        found = outcome(calls, world, before)
        assert [dialled(each) for each in invites(world)][-1] == FORWARDED_TO
        for key in (VOICEMAIL, FORWARD):
            world.hangup(calls[key])
        for call in calls.values():
            world.wait_ended(call)
        return found

    with sip_client(("127.0.0.1", server.port)) as client:
        bound(client, ACTIONS, ringer)
        ringer.answering(Answering(180))
        late = call_all()
        ringer.answering(Answering(486))
        refused = call_all()
        bound(client, ACTIONS, ringer, 0)
        alone = call_all()
    print(late, refused, alone)
    for key, status in ((HANGUP, 480), (NOTIFY, 480), (VOICEMAIL, 200), (FORWARD, 200)):
        assert late[key][0] == status, key
        assert late[key][1] > TIMEOUT_S - GIVE_S, late
        assert refused[key][1] < TIMEOUT_S - GIVE_S, refused
        assert alone[key][0] == status, key
        assert alone[key][1] < TIMEOUT_S - GIVE_S, alone
    assert refused[HANGUP][0] == 486  # what its phone has said
    wait_until("each missed call is mailed", lambda: len(letterbox.letters()) >= 3)
    letter = letterbox.letters()[0]
    assert letter["To"] == "desk@acme.example"
    assert STRANGER in letter.as_string()


def test_a_group_of_all(phones: Phones):
    first, second, caller = phones("101", "102", "103")
    for phone in (first, second):
        phone.answering(Answering(180))
    call = caller.dial("600")
    first.wait_incoming()
    answered = second.wait_incoming()
    second.answer(answered)
    caller.wait_established(call)
    second.wait_established(answered)
    assert_cancelled(first, 1)
    hang_up((caller, call), (second, answered))


def test_a_group_one_after_the_other(phones: Phones):
    """The first for its 5 s, the second when these are over."""
    first, second, caller = phones("101", "102", "103")
    first.answering(Answering(180))
    call = caller.dial("601")
    rung = first.wait_incoming()
    answered = second.wait_incoming()
    assert answered.since[CallState.INCOMING] - rung.since[CallState.INCOMING] > 5.0 - GIVE_S
    caller.wait_established(call)
    first.wait_ended(rung)
    hang_up((caller, call), (second, answered))


def test_a_group_in_turn(phones: Phones):
    """Each call begins with the next; who refuses passes it on at once."""
    first, second, caller = phones("101", "102", "103")
    members = {"101": first, "102": second}
    begun = []
    for _ in range(3):
        bells = Bells(**members)
        call = caller.dial("602")
        caller.wait_established(call)
        begun += bells.rung()
        caller.hangup(call)
        caller.wait_ended(call)
    assert begun in (["101", "102", "101"], ["102", "101", "102"])
    first.answering(Answering(486))
    for _ in range(2):
        call, answered = connect(caller, second, "602")
        hang_up((caller, call), (second, answered))


def test_a_group_in_which_who_was_idle_longest_is_first(phones: Phones):
    """After a call of his own he is not, whoever would be next in turn."""
    first, second, caller = phones("101", "102", "103")
    call, answered = connect(caller, first)
    hang_up((caller, call), (first, answered))
    for _ in range(2):
        call, answered = connect(caller, second, "603")
        hang_up((caller, call), (second, answered))
        call, answered = connect(first, caller)
        hang_up((first, call), (caller, answered))
    call, answered = connect(second, caller)
    hang_up((second, call), (caller, answered))
    bells = Bells(second=second)
    call, answered = connect(caller, first, "603")
    hang_up((caller, call), (first, answered))
    assert not bells.rung()


def test_a_phone_sends_a_call_on(server: PbxServer, phones: Phones, world: PjsuaPhone):
    """302: to another extension, and to a number outside at the expense of who sends it there."""
    [phone] = phones("101")
    [other] = phones("106", program="linphone")
    [caller] = phones("103")
    phone.answering(Answering(302, contact=f"sip:106@{server.address}"))
    call, answered = connect(caller, other, "101")
    hang_up((caller, call), (other, answered))
    phone.answering(Answering(302, contact=f"sip:{FORWARDED_TO}@{server.address}"))
    call, answered = connect(caller, world, "101")
    assert dialled(invites(world)[-1]) == FORWARDED_TO
    hear_each_other((caller, call), (world, answered))
    hang_up((caller, call), (world, answered))
    assert payers(wait_calls(server, "--trunk", "world", "--caller", "103")[0]) == ["101"]


def test_who_takes_one_call_is_busy_in_it(server: PbxServer, phones: Phones):
    phone, caller, late = phones("104", "103", "105")
    call, answered = connect(caller, phone)
    assert late.wait_ended(late.dial("104")) == 486
    assert len(invites(phone)) == 1
    hang_up((caller, call), (phone, answered))
    assert wait_calls(server, "--caller", "105")[0]["state"] == "busy"
    call, answered = connect(late, phone)
    hang_up((late, call), (phone, answered))
