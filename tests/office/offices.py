"""Whole offices, as hypothesis draws them: every table, every key, all of it valid."""

import datetime
from decimal import Decimal

from hypothesis import strategies as st

from pbx.office.blocked import Blocked
from pbx.office.branch import (
    AnyDigits,
    Caller,
    CallerIn,
    Dates,
    Equals,
    Expression,
    InDigits,
    Matches,
    NoDigits,
    OnHoliday,
    Otherwise,
    Times,
)
from pbx.office.caller_id import CallerId
from pbx.office.codes import Codes
from pbx.office.credentials import make_ha1
from pbx.office.device import Device
from pbx.office.extension import Extension
from pbx.office.gateway import Gateway
from pbx.office.group import Group
from pbx.office.holiday import Holiday
from pbx.office.incoming import Forward, Incoming
from pbx.office.line import Condition, Confirm, Gather, Goto, Line, Play, Record, Transfer, Webhook
from pbx.office.member import Member
from pbx.office.no_answer import NoAnswer
from pbx.office.number import Number
from pbx.office.outbound_rule import AllowedCountry, CallerIdPlanRow, DialPlanRow, OutboundRule
from pbx.office.prompt import Prompt
from pbx.office.rate import Rate
from pbx.office.room import Room
from pbx.office.settings import Settings
from pbx.office.snapshot import Office
from pbx.office.trunk import Trunk
from pbx.office.usage_limit import UsageLimit
from tests.office.fakes import REALM

EMERGENCY = ("995", "999", "112")
SIGNS = "aZ 0é日\U0001f600\"\\'#[]{}=,$"
labels = st.text(st.sampled_from(SIGNS), max_size=6)
texts = st.text(st.sampled_from(SIGNS + "\n\t"), max_size=8)
flags = st.booleans()
emails = st.sampled_from([f"{name}@acme.example" for name in ("ann", "bob", "cy+x", "d.e", "f_1")])
outside = st.integers(0, 9999).map(lambda number: f"+6561{number:06}")
pins = st.integers(0, 9999).map(lambda number: f"fake$0${number:04}")
amounts = st.integers(0, 10**9).map(lambda units: Decimal(units) / 10**6)
names = st.sampled_from(["main", "B 2", "x.y-z_", "7", "the third"])
prompts = st.builds(
    Prompt,
    text=texts,
    language=st.sampled_from(["en", "zh-HK"]),
    gender=st.sampled_from(["female", "male"]),
    pitch=st.integers(0, 9),
    rate=st.integers(0, 9),
) | st.builds(Prompt, mp3=st.just("sounds/hello.mp3"))
days = st.dates(datetime.date(2020, 1, 1), datetime.date(2030, 1, 1))
clocks = st.sampled_from(["00:00", "09:30", "18:00", "23:59"])
keyed = st.sampled_from(["1", "22", "*7#", "0"])
patterns = st.sampled_from(["+1900*", "+6531234567", "105"])


def several(values, low=0, high=3):
    return st.lists(values, min_size=low, max_size=high, unique=True).map(tuple)


def some_of(values, high=3):
    return several(st.sampled_from(values), high=high) if values else st.just(())


def one_or_none(values):
    return st.sampled_from(["", *values])


@st.composite
def gather_branches(draw, targets):
    to = st.sampled_from(targets)
    return draw(
        st.builds(Equals, digits=keyed, next=to)
        | st.builds(AnyDigits, max_digits=st.integers(1, 20), next=to)
        | st.builds(NoDigits, next=to)
        | st.builds(InDigits, list=several(keyed, 1), next=to)
        | st.builds(Matches, regex=st.sampled_from(["1[0-9]", '\\d"']), next=to)
    )


@st.composite
def condition_branches(draw, targets):
    to = st.sampled_from(targets)
    dates = st.tuples(days, days).map(sorted)
    return draw(
        st.builds(Caller, caller=patterns, next=to)
        | st.builds(CallerIn, list=several(patterns, 1), next=to)
        | st.builds(lambda pair, to: Dates(pair[0], pair[1], to), dates, to)
        | st.builds(
            Times, from_=clocks, to=clocks, days=st.sampled_from(["mon-fri", "mon-sun", "sat,sun"]), next=to
        )
        | st.builds(OnHoliday, next=to)
        | st.builds(Expression, expression=st.sampled_from(['vip == "yes"', "tries > 3"]), next=to)
        | st.builds(Otherwise, next=to)
    )


@st.composite
def blocks(draw, name, targets, callees):
    to, end = st.sampled_from(targets), one_or_none(targets)
    seconds = st.integers(1, 60)
    return draw(
        st.builds(
            Gather,
            name=name,
            prompt=prompts,
            plays=st.integers(1, 10),
            timeout=seconds,
            branches=several(gather_branches(targets), 1),
        )
        | st.builds(
            Transfer,
            name=name,
            to=several(st.sampled_from(callees), 1),
            seconds=st.integers(5, 600),
            next=end,
        )
        | st.builds(Record, name=name, emails=several(emails), voicemail=flags, prompt=prompts)
        | st.builds(Play, name=name, prompt=prompts, next=end)
        | st.builds(Condition, name=name, branches=several(condition_branches(targets), 1))
        | st.builds(Confirm, name=name, next=to, back=to, prompt=prompts, timeout=seconds)
        | st.builds(
            Webhook,
            name=name,
            url=st.just("https://crm.example/call?a=%22"),
            next=end,
            failed=end,
            timeout=st.integers(1, 10),
        )
        | st.builds(Goto, name=name, to=to, count=st.integers(1, 50), next=end)
    )


@st.composite
def lines(draw, name, callees):
    inner = draw(several(names, 1))
    return Line(name, tuple(draw(blocks(st.just(each), inner, callees)) for each in inner))


@st.composite
def phones(draw, key, usernames):
    kinds = draw(st.permutations(["ip_phone", "mobile", "desktop"]))
    made = []
    for kind, username in zip(kinds, usernames, strict=False):
        ha1 = make_ha1(username, REALM, draw(st.sampled_from(["a", "bc"])))
        mac = f"00:15:65:00:{key}:0{len(made)}" if draw(flags) else ""
        made.append(Device(kind, username, ha1.md5, ha1.sha256, draw(flags), mac, draw(flags)))
    return tuple(made)


@st.composite
def forwards(draw, keys):
    number, targets = draw(st.just("") | outside), draw(some_of(keys))
    enabled = draw(flags) and bool(number or targets)
    return Forward(enabled, number, targets, draw(some_of([*keys, "+6531234567"])))


@st.composite
def caller_ids(draw, ours):
    assigned = draw(some_of(ours))
    mode = draw(st.sampled_from(["fixed", "assigned", "random"]))
    number = draw(one_or_none(assigned if mode == "assigned" else ours))
    return CallerId(mode, number, assigned, draw(st.sampled_from(["extension", "caller"])))


@st.composite
def no_answers(draw):
    forward_to = draw(st.just("") | outside)
    actions = ["hangup", "notify", "voicemail", *(["forward"] if forward_to else [])]
    return NoAnswer(
        draw(st.sampled_from(actions)),
        draw(st.integers(5, 60)),
        forward_to,
        draw(several(emails)),
        draw(prompts),
    )


@st.composite
def extensions(draw, key, office_keys, members, ours, gateways, rules):
    assignee = draw(st.sampled_from([None, *members]))
    mobile = [assignee.mobile] if assignee and assignee.mobile else []
    count = draw(st.integers(0, 3))
    return Extension(
        key=key,
        label=draw(labels),
        assignee=assignee.email if assignee else "",
        type=draw(st.sampled_from(["normal", "call_centre"])),
        role=draw(st.sampled_from(["agent", "supervisor"])),
        passcode_hash=draw(st.just("") | pins),
        hot_desking=draw(flags),
        debug=draw(flags),
        outbound_rule=draw(one_or_none(rules)),
        local_sip_server=draw(st.sampled_from(["", "10.0.0.5:5060", "[::1]:5060", "pbx.example"])),
        call_waiting=draw(st.integers(1, 100)),
        record=draw(st.sampled_from(["off", "inbound", "outbound", "all"])),
        devices=draw(phones(key, [key, f"m{key}", f"{key}.desk"][:count])),
        incoming=Incoming(draw(flags), draw(one_or_none(gateways)), draw(forwards(office_keys))),
        caller_id=draw(caller_ids([*dict.fromkeys([*ours, *mobile])])),
        usage_limit=draw(
            st.builds(
                UsageLimit,
                kind=st.sampled_from(["none", "amount", "minutes"]),
                amount=amounts,
                minutes=st.integers(0, 10**6),
            )
        ),
        no_answer=draw(no_answers()),
    )


@st.composite
def member_lists(draw):
    addresses = draw(several(emails))
    hashes = draw(st.lists(pins, unique=True, min_size=len(addresses), max_size=len(addresses)))
    return tuple(
        Member(
            email,
            draw(labels),
            "owner" if at == 0 else draw(st.sampled_from(["admin", "member"])),
            hashes[at] if draw(flags) else "",
            draw(st.just("") | outside),
        )
        for at, email in enumerate(addresses)
    )


@st.composite
def rules(draw, name, trunks, ours):
    countries = draw(some_of(["MY", "VN", "US", "CA"]))  # not SG, where the forward targets are
    prefixes = draw(several(st.sampled_from(["", "93", "9388"]))) if ours else ()
    return OutboundRule(
        name,
        draw(some_of(trunks)),
        tuple(
            DialPlanRow(
                first, length, draw(st.integers(0, length or 20)), draw(st.sampled_from(["", "65", "+65"]))
            )
            for first, length in draw(
                st.lists(st.tuples(st.sampled_from(["", "3689"]), st.integers(0, 20)), max_size=3)
            )
        ),
        (*(AllowedCountry(country, draw(flags)) for country in countries), AllowedCountry("SG")),
        tuple(CallerIdPlanRow("VN", draw(st.sampled_from(ours)), prefix) for prefix in prefixes),
    )


@st.composite
def trunk_values(draw, name):
    username = draw(st.sampled_from(["", "acme", "acme@carrier.example"]))
    return Trunk(
        name=name,
        server=draw(st.sampled_from(["sip:carrier.example:5060;transport=udp", "sips:[2001:db8::1]"])),
        username=username,
        password=draw(st.sampled_from(["", "s3cret"])),
        register=draw(flags) if username else True,
        addresses=draw(some_of(["192.0.2.1", "10.0.0.0/8", "2001:db8::/32"])),
        foreign_caller_id=draw(flags),
        codecs=draw(several(st.sampled_from(["PCMA", "PCMU", "G722", "OPUS", "G729"]), 1)),
        max_calls=draw(st.integers(0, 100)),
        prefix=draw(st.sampled_from(["", "+", "00"])),
    )


@st.composite
def settings_values(draw, keys):
    return Settings(
        name=draw(labels),
        country=draw(st.sampled_from(["", "SG", "VN"])),
        timezone=draw(st.sampled_from(["UTC", "Asia/Singapore"])),
        language=draw(st.sampled_from(["en", "de"])),
        emergency=draw(some_of(EMERGENCY)),
        passcode_missing=draw(st.sampled_from(["connect", "refuse"])),
        voicemail_messages=draw(st.integers(1, 10_000)),
        voicemail_minutes=draw(st.integers(1, 10_000)),
        recording_days=draw(st.integers(0, 3650)),
        hot_desk_keys=draw(some_of(keys)),
        hot_desk_logout=draw(st.sampled_from(["never", "8h", "18:00"])),
        codes=draw(st.builds(Codes, park=st.sampled_from(["", "*85", "#5"]), hot_desk=some_of(["00", "*0"]))),
    )


@st.composite
def offices(draw):
    keys = [str(key) for key in draw(several(st.integers(10, 99), high=6)) if str(key) not in EMERGENCY]
    inside, keys_of_groups, keys_of_rooms = keys[:3], keys[3:5], keys[5:]
    members = draw(member_lists())
    ours = draw(several(outside))
    trunk_names, gateway_names, rule_names, line_names = (draw(several(names, high=2)) for _ in range(4))
    callees = [
        "keyed",
        "+6531112222",
        *(f"extension:{key}" for key in inside),
        *(f"group:{key}" for key in keys_of_groups),
    ]
    destinations = [
        *(f"{kind}:{key}" for key in inside for kind in ("extension", "voicemail")),
        *(f"group:{key}" for key in keys_of_groups),
        *(f"room:{key}" for key in keys_of_rooms),
        *(f"line:{name}" for name in line_names),
    ]
    server = st.just("sip:192.168.1.20")
    return Office(
        settings=draw(settings_values(keys)),
        members=members,
        extensions=tuple(
            draw(extensions(key, inside, members, ours, gateway_names, rule_names)) for key in inside
        ),
        numbers=tuple(Number(number, draw(one_or_none(destinations))) for number in ours),
        trunks=tuple(draw(trunk_values(name)) for name in trunk_names),
        gateways=tuple(
            Gateway(
                name, draw(server), "x", draw(st.sampled_from(["", "s3cret"])), draw(one_or_none(rule_names))
            )
            for name in gateway_names
        ),
        outbound_rules=tuple(draw(rules(name, trunk_names, ours)) for name in rule_names),
        rates=tuple(
            Rate(prefix, draw(amounts), draw(amounts), draw(st.integers(1, 3600)))
            for prefix in draw(some_of(["+", "+84", "+8493"]))
        ),
        groups=tuple(
            Group(
                key,
                draw(labels),
                draw(some_of(inside)),
                draw(st.sampled_from(["all", "sequence", "round_robin", "longest_idle"])),
                draw(st.integers(5, 600)),
            )
            for key in keys_of_groups
        ),
        rooms=tuple(Room(key, draw(st.just("") | pins)) for key in keys_of_rooms),
        lines=tuple(draw(lines(name, callees)) for name in line_names),
        holidays=tuple(Holiday(day, draw(labels)) for day in draw(several(days))),
        blocked=Blocked(draw(some_of(["+1900*", "+6531234567", "105"]))),
        realm=REALM,
    )
