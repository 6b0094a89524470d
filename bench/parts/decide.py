"""CPU of deciding one call, in an office of many extensions.

    python -m bench.parts.decide [--extensions 1000] [--calls 2000] [--profile]

Every call is another one: other caller, other callee, other number, so that numbers are read once and not
remembered; `again` are the same calls a second time.
"""

import argparse
import cProfile
import gc
import pstats
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from statistics import median
from time import thread_time_ns

from pbx.office import country
from pbx.office.blocked import Blocked
from pbx.office.caller_id import CallerId
from pbx.office.device import Device
from pbx.office.extension import Extension
from pbx.office.group import Group
from pbx.office.incoming import Forward, Incoming
from pbx.office.member import Member
from pbx.office.number import Number
from pbx.office.outbound_rule import AllowedCountry, CallerIdPlanRow, DialPlanRow, OutboundRule
from pbx.office.rate import Rate
from pbx.office.settings import Settings
from pbx.office.snapshot import Office
from pbx.office.trunk import Trunk
from pbx.office.usage_limit import UsageLimit
from pbx.rules import number
from pbx.rules.dialled import decide_dialled
from pbx.rules.facts import Caller, Used
from pbx.rules.inbound import decide_inbound, decide_number

BATCH = 50


@dataclass
class World:
    """Everybody is there, and nobody talks."""

    now: datetime = datetime(2026, 11, 3, tzinfo=UTC)
    chance: float = 0.5

    def is_registered(self, _username):
        return True

    def calls(self, _key):
        return 0

    def idle_since(self, _key):
        return 0.0

    def turn(self, _group):
        return 7

    def used(self, _key):
        return Used(Decimal("12.50"), 900.0)

    def is_locked(self, _subject):
        return False

    def member_at(self, _username):
        return ""

    def phones_of(self, _member):
        return ()

    def approved_numbers(self, _key):
        return frozenset()


def make_office(count):
    """Extensions 1000, 1001 ... with every setting that costs time."""
    keys = [str(1000 + each) for each in range(count)]
    ours = [f"+65600{each:05}" for each in range(count)]
    rule = OutboundRule(
        "standard",
        ("carrier", "backup"),
        (DialPlanRow("5", 8, 0, "65"), DialPlanRow("3689", 8, 0, "65")),
        tuple(AllowedCountry(each) for each in ("MY", "ID", "TH", "VN", "US", "SG")),
        tuple(CallerIdPlanRow("VN", ours[0], str(90 + each)) for each in range(10)),
    )
    return Office(
        settings=Settings(country="SG", timezone="Asia/Singapore"),
        members=tuple(Member(f"m{key}@acme.example", mobile=f"+659{key:0>7}") for key in keys),
        extensions=tuple(
            Extension(
                key,
                f"Phone {key}",
                assignee=f"m{key}@acme.example",
                outbound_rule="standard",
                devices=(Device("ip_phone", key), Device("mobile", f"{key}m")),
                incoming=Incoming(
                    forward=Forward(
                        at % 2 == 1,
                        f"+6531{at:06}",
                        (keys[at - 1], keys[at - 2]),
                        tuple(f"+6532{each:06}" for each in range(20)),
                    )
                ),
                caller_id=CallerId("random", "", tuple(ours[at : at + 3])),
                usage_limit=UsageLimit("amount", Decimal(100)),
            )
            for at, key in enumerate(keys)
        ),
        numbers=tuple(Number(each, f"extension:{key}") for each, key in zip(ours, keys, strict=True)),
        trunks=(Trunk("carrier", "sip:carrier"), Trunk("backup", "sip:backup")),
        outbound_rules=(rule,),
        rates=tuple(Rate(f"+{each}", Decimal("0.1")) for each in range(1, 3000)),
        groups=(
            Group("98", members=tuple(keys[0:20:2]), strategy="round_robin"),
            Group("99", members=tuple(keys[1:20:2])),
        ),
        blocked=Blocked(tuple(f"+1{each:04}*" for each in range(5000))),
    )


def kinds(office, count):
    """What is measured: name, and the decisions to make."""
    keys = [extension.key for extension in office.extensions]
    quiet, forwards = keys[0::2], keys[1::2]
    world = World()

    def phone(at):
        key = keys[at % len(keys)]
        return Caller(key, key, name=key)

    def outside(at):
        return Caller(number=f"+6581{at:06}", trunk="carrier")

    calls = range(count)
    return {
        "a key": [
            lambda at=at: decide_inbound(office, world, phone(at), quiet[at % len(quiet)]) for at in calls
        ],
        "a key, dialled": [
            lambda at=at: decide_dialled(office, world, phone(at), quiet[at % len(quiet)]) for at in calls
        ],
        "a key that forwards": [
            lambda at=at: decide_inbound(office, world, outside(at), forwards[at % len(forwards)])
            for at in calls
        ],
        "a number of ours": [
            lambda at=at: decide_number(office, world, outside(at), f"+65600{at % len(keys):05}")
            for at in calls
        ],
        "a group of ten": [lambda at=at: decide_inbound(office, world, outside(at), "98") for at in calls],
        "ten that forward": [lambda at=at: decide_inbound(office, world, outside(at), "99") for at in calls],
        "outside": [lambda at=at: decide_dialled(office, world, phone(at), f"8{at:07}") for at in calls],
        "in no plan": [
            lambda at=at: decide_dialled(office, world, phone(at), f"+441{at:09}") for at in calls
        ],
        "abroad": [lambda at=at: decide_dialled(office, world, phone(at), f"+84938{at:06}") for at in calls],
    }


def forget():
    """Numbers that were read."""
    for each in (
        country.parse_number,
        country._place,
        number._to_e164,
        number._national,
        number._international,
    ):
        each.cache_clear()


def measure(decisions):
    """Microseconds for one: the median of batches, and the fastest, with the machine to itself."""
    gc.collect()
    gc.freeze()
    spent = []
    for at in range(0, len(decisions), BATCH):
        batch = decisions[at : at + BATCH]
        start = thread_time_ns()
        for decide in batch:
            decide()
        spent.append((thread_time_ns() - start) / len(batch) / 1000)
    return median(spent), min(spent)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--extensions", type=int, default=1000)
    parser.add_argument("--calls", type=int, default=2000)
    parser.add_argument("--profile", action="store_true")
    options = parser.parse_args()
    rows = kinds(make_office(options.extensions), options.calls)
    profile = cProfile.Profile() if options.profile else None
    for name, decisions in rows.items():
        for decide in decisions[:200]:  # the first calls load the plans of their countries
            decide()
        forget()
        if profile is not None:
            profile.enable()
        first = measure(decisions)
        again = measure(decisions)
        if profile is not None:
            profile.disable()
        print(
            f"{name:20} {first[0]:6.1f} us (fastest {first[1]:5.1f}), "
            f"again {again[0]:6.1f} us (fastest {again[1]:5.1f})",
            flush=True,
        )
    if profile is not None:
        pstats.Stats(profile).sort_stats("tottime").print_stats(30)


if __name__ == "__main__":
    main()
