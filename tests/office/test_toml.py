"""What an office file may say, and what it means when it says nothing."""

import datetime
from decimal import Decimal

from pbx.office.branch import Dates, Otherwise, Times
from pbx.office.caller_id import CallerId
from pbx.office.device import Device
from pbx.office.extension import Extension
from pbx.office.incoming import Forward, Incoming
from pbx.office.line import Condition, Confirm, Gather, Goto, Play, Record, Transfer, Webhook
from pbx.office.no_answer import NoAnswer
from pbx.office.prompt import Prompt
from pbx.office.settings import Settings
from pbx.office.usage_limit import UsageLimit
from tests.office.fakes import parse

FULL = """
[office]
name = "Acme Trading"
country = "SG"
timezone = "Asia/Singapore"
language = "de"
emergency = ["995", "999"]
passcode_missing = "refuse"

[[member]]
email = "ann@acme.example"
account = "owner"
mobile = "+6598765432"

[[gateway]]
name = "warehouse"
server = "sip:192.168.1.20"

[[trunk]]
name = "carrier"
server = "sip:sip.carrier.example:5060;transport=udp"

[[outbound_rule]]
name = "standard"
trunks = ["carrier"]

[[extension]]
key = "101"

[[extension]]
key = "100"
label = "Ann"
assignee = "ann@acme.example"
type = "normal"
role = "supervisor"
hot_desking = true
debug = true
outbound_rule = "standard"
local_sip_server = "10.0.0.5"
call_waiting = 3
record = "inbound"

[[extension.device]]
kind = "ip_phone"
username = "100"
tls = true
mac = "00-15-65-AA-BB-CC"
ring = false

[extension.incoming]
do_not_disturb = true
gateway = "warehouse"
[extension.incoming.forward]
enabled = true
number = "+6531112222"
extensions = ["101", "100"]
vip = ["+6531234567", "101", "+65 (3123) 45-68", "3123 4569"]

[extension.caller_id]
mode = "random"
number = "+6598765432"
assigned = ["+6598765432"]
forwarded = "caller"

[extension.usage_limit]
kind = "amount"
amount = 50.00
minutes = 300

[extension.no_answer]
action = "forward"
timeout = 60
forward_to = "+6531112222"
emails = ["Ann@acme.example"]
[extension.no_answer.greeting]
text = '''Please
leave a message.'''
language = "zh-HK"
gender = "male"
pitch = 0
rate = 9
"""


def test_every_key_of_an_extension_arrives():
    office = parse(FULL).office
    assert office.settings == Settings("Acme Trading", "SG", "Asia/Singapore", "de", ("995", "999"), "refuse")
    found = office.extension("100")
    assert found is not None
    device = found.devices[0]
    assert found == Extension(
        key="100",
        label="Ann",
        assignee="ann@acme.example",
        type="normal",
        role="supervisor",
        hot_desking=True,
        debug=True,
        outbound_rule="standard",
        local_sip_server="10.0.0.5",
        call_waiting=3,
        record="inbound",
        devices=(
            Device(
                "ip_phone", "100", device.ha1_md5, device.ha1_sha256, True, "00:15:65:aa:bb:cc", ring=False
            ),
        ),
        incoming=Incoming(
            True,
            "warehouse",
            Forward(True, "+6531112222", ("101", "100"), ("+6531234567", "101", "+6531234568", "31234569")),
        ),
        caller_id=CallerId("random", "+6598765432", ("+6598765432",), "caller"),
        usage_limit=UsageLimit("amount", Decimal(50), 300),
        no_answer=NoAnswer(
            "forward",
            60,
            "+6531112222",
            ("ann@acme.example",),
            Prompt("", "Please\nleave a message.", "zh-HK", "male", 0, 9),
        ),
    )


def test_what_is_not_said_has_its_default():
    office = parse('[[extension]]\nkey = "100"').office
    assert office.settings == Settings("Office", "", "UTC", "en", ("112", "911"), "connect")
    assert office.extensions[0] == Extension("100")
    assert office.extensions[0].no_answer == NoAnswer("voicemail", 20)
    assert office.extensions[0].call_waiting == 2


def test_a_key_that_the_file_no_longer_has_goes_back_to_its_default():
    first = parse('[[extension]]\nkey = "100"\nlabel = "Ann"').office
    assert parse('[[extension]]\nkey = "100"', existing=first).office.extensions[0].label == ""


def test_a_trunk_has_its_defaults():
    trunk = parse('[[trunk]]\nname = "a"\nserver = "sip:a.example"').office.trunks[0]
    assert (trunk.prefix, trunk.register, trunk.registers, trunk.codecs) == (
        "+",
        True,
        False,
        ("PCMA", "PCMU", "G722"),
    )
    named = parse(
        '[[trunk]]\nname = "a"\nserver = "sip:a.example"\nusername = "u"\npassword = "p"\nprefix = ""'
    ).office
    assert (named.trunks[0].registers, named.trunks[0].prefix) == (True, "")


LINE = """
[[extension]]
key = "100"
[[line]]
name = "main"
[[line.block]]
name = "hours"
kind = "condition"
branches = [
  { when = "caller", caller = "+1900*", next = "bye" },
  { when = "list", list = ["+6531234567"], next = "menu" },
  { when = "date", from = 2026-12-24, to = 2026-12-26, next = "bye" },
  { when = "time", from = "09:00", to = "18:00", days = "mon-fri, sun", next = "menu" },
  { when = "holiday", next = "bye" },
  { when = "expression", expression = "vip == 'yes'", next = "menu" },
  { when = "otherwise", next = "bye" },
]
[[line.block]]
name = "menu"
kind = "gather"
prompt = { text = "Press 1." }
branches = [
  { when = "equals", digits = "1", next = "call" },
  { when = "any", max_digits = 3, next = "call" },
  { when = "none", next = "again" },
  { when = "list", list = ["1", "2"], next = "call" },
  { when = "regex", regex = "1[0-9]", next = "call" },
]
[[line.block]]
name = "call"
kind = "transfer"
to = ["extension:100", "+6531112222", "keyed"]
next = "bye"
[[line.block]]
name = "again"
kind = "goto"
to = "menu"
count = 2
next = "sure"
[[line.block]]
name = "sure"
kind = "confirm"
next = "crm"
back = "menu"
[[line.block]]
name = "crm"
kind = "webhook"
url = "https://crm.acme.example/call"
next = "thanks"
failed = "bye"
[[line.block]]
name = "thanks"
kind = "play"
prompt = { mp3 = "thanks.mp3" }
[[line.block]]
name = "bye"
kind = "record"
emails = ["office@acme.example"]
voicemail = true
"""


def test_every_kind_of_block_arrives():
    blocks = parse(LINE).office.lines[0].blocks
    assert [type(block) for block in blocks] == [
        Condition,
        Gather,
        Transfer,
        Goto,
        Confirm,
        Webhook,
        Play,
        Record,
    ]
    hours, menu, call, again, sure, crm, thanks, bye = blocks
    assert isinstance(hours, Condition)
    assert hours.branches[2] == Dates(datetime.date(2026, 12, 24), datetime.date(2026, 12, 26), "bye")
    assert hours.branches[3] == Times("09:00", "18:00", "menu", "mon-fri,sun")
    assert hours.branches[6] == Otherwise("bye")
    assert isinstance(menu, Gather)
    assert [branch.when for branch in menu.branches] == ["equals", "any", "none", "list", "regex"]
    assert (menu.plays, menu.timeout) == (2, 5)
    assert call == Transfer("call", ("extension:100", "+6531112222", "keyed"), 25, "bye")
    assert again == Goto("again", "menu", 2, "sure")
    assert sure == Confirm("sure", "crm", "menu")
    assert crm == Webhook("crm", "https://crm.acme.example/call", "thanks", "bye", 3)
    assert thanks == Play("thanks", Prompt(mp3="thanks.mp3"))
    assert bye == Record("bye", ("office@acme.example",), voicemail=True)


def test_a_file_of_windows_is_read_as_well():
    assert parse('\ufeff[[extension]]\r\nkey = "100"\r\n').office.extensions[0].key == "100"


REMARKED = """
[[extension]]
key = "100"
type = "call_centre"
[extension.no_answer]
action = "forward"
forward_to = "+6531112222"
[extension.usage_limit]
kind = "minutes"
[extension.incoming]
do_not_disturb = true
gateway = "warehouse"
[[gateway]]
name = "warehouse"
server = "sip:192.168.1.20"
username = "u"
"""


def test_what_has_no_effect_is_remarked():
    assert parse(REMARKED).notes == (
        'extension "100": no_answer has no effect on a call_centre extension',
        'extension "100": usage_limit has no effect on a call_centre extension',
        'extension "100": calls cannot be forwarded to +6531112222: the extension has no outbound_rule',
        'extension "100": it is mapped to a gateway, so forwarding and do-not-disturb have no effect',
        'gateway "warehouse": there is a username and no password',
    )
