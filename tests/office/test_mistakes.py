"""What is wrong with an office.toml is said with line and key, all of it at once."""

import pytest

from pbx.office.toml import OfficeFileError
from tests.office.fakes import parse

OFFICE = """\
[[member]]
email = "ann@acme.example"
account = "owner"
mobile = "+6598765432"
[[extension]]
key = "100"
assignee = "ann@acme.example"
outbound_rule = "standard"
[[extension.device]]
kind = "ip_phone"
username = "100"
mac = "00:15:65:aa:bb:cc"
[[extension]]
key = "101"
[[number]]
number = "+6560001000"
[[trunk]]
name = "carrier"
server = "sip:carrier.example"
[[outbound_rule]]
name = "standard"
trunks = ["carrier"]
[[outbound_rule.country]]
country = "SG"
[[outbound_rule.country]]
country = "VN"
passcode = true
[[group]]
key = "600"
[[room]]
key = "700"
[[line]]
name = "main"
[[line.block]]
kind = "play"
name = "hello"
"""  # 36 lines: what is added begins on line 37
NEXT = OFFICE.count("\n") + 1

PASSCODE_COUNTRY = 'a number in a country without passcode; VN has one in outbound rule "standard"'

EXTENSION = '[[extension]]\nkey = "102"\n'
DEVICE = '[[extension.device]]\nkind = "mobile"\n'
RULE = '[[outbound_rule]]\nname = "b"\n'
TRUNK = '[[trunk]]\nname = "b"\nserver = "sip:x.example"\n'
BLOCK = '[[line]]\nname = "b"\n[[line.block]]\nname = "x"\n'

# What is added to the office: the line of the mistake within it, key, found, and a part of what is allowed.
ADDED = {
    "an unknown table, near a known one": (
        "[ofice]\n",
        0,
        "ofice",
        "an unknown key",
        "one of office, member",
    ),
    "a key with a typo": ('[office]\nnmae = "x"', 1, "office.nmae", "an unknown key", "name"),
    "a number where a string belongs": ("[office]\nname = 3", 1, "office.name", "3", "a string"),
    "no such country": ('[office]\ncountry = "XX"', 1, "office.country", '"XX"', "ISO code"),
    "no such time zone": (
        '[office]\ntimezone = "Asia/Singapur"',
        1,
        "office.timezone",
        '"Asia/Singapur"',
        "time zone",
    ),
    "a folder of time zones": ('[office]\ntimezone = "Asia"', 1, "office.timezone", '"Asia"', "time zone"),
    "an emergency number as a number": (
        "[office]\nemergency = [995]",
        1,
        "office.emergency[1]",
        "995",
        "2 to 8 digits",
    ),
    "an element of a long list": (
        '[office]\nemergency = [\n  "995",\n  "99x",\n]',
        3,
        "office.emergency[2]",
        '"99x"',
        "2 to 8 digits",
    ),
    "one value where a list belongs": (
        '[office]\nemergency = "995"',
        1,
        "office.emergency",
        '"995"',
        "a list, each",
    ),
    "a value twice in a list": (
        '[office]\nemergency = ["995", "995"]',
        1,
        "office.emergency[2]",
        '"995" a second time',
        "each only once",
    ),
    "a mailbox that takes nothing": (
        "[office]\nvoicemail_messages = 0",
        1,
        "office.voicemail_messages",
        "0",
        "a whole number from 1 to 10000",
    ),
    "a word that is none of the choices": (
        '[office]\npasscode_missing = "refused"',
        1,
        "office.passcode_missing",
        '"refused"',
        '"connect" | "refuse"',
    ),
    "a second owner": (
        '[[member]]\nemail = "bob@acme.example"\naccount = "owner"',
        2,
        'member "bob@acme.example".account',
        '"owner" a second time',
        "exactly one owner; ann@acme.example is one already",
    ),
    "a member without an address": ("[[member]]", 0, "member[2].email", "nothing", "this key is needed"),
    "an address twice, in capitals": (
        '[[member]]\nemail = "ANN@acme.example"',
        1,
        'member "ANN@acme.example".email',
        '"ann@acme.example" a second time',
        "email of each member another",
    ),
    "no mail address": ('[[member]]\nemail = "bob"', 1, 'member "bob".email', '"bob"', "a mail address"),
    "a PIN that is too short is not shown": (
        '[[member]]\nemail = "bob@acme.example"\npin = "123"',
        2,
        'member "bob@acme.example".pin',
        "3 characters (not shown)",
        "4 to 10 digits",
    ),
    "a PIN that is no string": (
        '[[member]]\nemail = "bob@acme.example"\npin = 1234',
        2,
        'member "bob@acme.example".pin',
        "a value without quotes (not shown)",
        "4 to 10 digits",
    ),
    "a national number": (
        '[[member]]\nemail = "bob@acme.example"\nmobile = "98765432"',
        2,
        'member "bob@acme.example".mobile',
        '"98765432"',
        'a number as "+"',
    ),
    "a number that is too long for its country": (
        '[[number]]\nnumber = "+65600010001234"',
        1,
        'number "+65600010001234".number',
        '"+65600010001234"',
        "no number of +65",
    ),
    "a number of no country": (
        '[[number]]\nnumber = "+2101234567"',
        1,
        'number "+2101234567".number',
        '"+2101234567"',
        "no country has this code",
    ),
    "a number twice": (
        '[[number]]\nnumber = "+6560001000"',
        1,
        'number "+6560001000".number',
        '"+6560001000" a second time',
        "each number another",
    ),
    "single brackets": (
        '[rate]\nprefix = "+65"',
        0,
        "rate",
        "a single table",
        "[[rate]] with double brackets",
    ),
    "a key as a number": ("[[extension]]\nkey = 102", 1, "extension[3].key", "102", "2 to 6 digits"),
    "a key that begins with 0": (
        '[[extension]]\nkey = "012"',
        1,
        'extension "012".key',
        '"012"',
        "the first 1 to 9",
    ),
    "a key of one digit": ('[[extension]]\nkey = "1"', 1, 'extension "1".key', '"1"', "2 to 6 digits"),
    "a key of seven digits": (
        '[[extension]]\nkey = "1234567"',
        1,
        'extension "1234567".key',
        '"1234567"',
        "2 to 6 digits",
    ),
    "a code that begins like a key": (
        *('[office.codes]\npark = "85"', 1, "office.codes.park", '"85"'),
        "the first * or #",
    ),
    "one code for two services": (
        *('[office.codes]\npark = "*86"', 1, "office.codes.park", '"*86" a second time'),
        "each code once",
    ),
    "a code for login that is another's": (
        *('[office.codes]\nhot_desk = ["*85"]', 1, "office.codes.hot_desk", '"*85" a second time'),
        "each code once",
    ),
    "a code that is an emergency number": (
        *('[office]\nemergency = ["00"]', 0, "office.codes.hot_desk", '"00"'),
        "no emergency number",
    ),
    "a code in a call that another hides": (
        *('[office.codes]\ntransfer = "#*1"', 1, "office.codes.transfer", '"#*1"'),
        'a code in which record = "*1" is not pressed',
    ),
    "a hot desk that may dial nobody": (
        *('[office]\nhot_desk_keys = ["100", "199"]', 1, "office.hot_desk_keys[2]", '"199"'),
        "the key of an extension, a group or a room",
    ),
    "a logout at no time": (
        *('[office]\nhot_desk_logout = "25:00"', 1, "office.hot_desk_logout", '"25:00"'),
        '"never", a time after the login',
    ),
    "a feature code as a key": (
        '[[extension]]\nkey = "*97"',
        1,
        'extension "*97".key',
        '"*97"',
        "is a code ([office.codes])",
    ),
    "an emergency number as a key": (
        '[[room]]\nkey = "112"',
        1,
        'room "112".key',
        '"112"',
        "no emergency number",
    ),
    "a key twice among extensions": (
        '[[extension]]\nkey = "101"',
        1,
        'extension "101".key',
        '"101"',
        "an extension has it",
    ),
    "a key of a group that an extension has": (
        '[[group]]\nkey = "101"',
        1,
        'group "101".key',
        '"101"',
        "an extension has it",
    ),
    "a key of a room that a group has": (
        '[[room]]\nkey = "600"',
        1,
        'room "600".key',
        '"600"',
        "a group has it",
    ),
    "true is no whole number": (
        EXTENSION + "call_waiting = true",
        2,
        'extension "102".call_waiting',
        "true",
        "a whole number from 1",
    ),
    "a whole number is no truth": (
        EXTENSION + "debug = 1",
        2,
        'extension "102".debug',
        "1",
        "true or false",
    ),
    "an assignee who is nobody": (
        EXTENSION + 'assignee = "anne@acme.example"',
        2,
        'extension "102".assignee',
        '"anne@acme.example"',
        "the email of a member (ann@acme.example)",
    ),
    "an outbound rule that is not there": (
        EXTENSION + 'outbound_rule = "standrd"',
        2,
        'extension "102".outbound_rule',
        '"standrd"',
        "the name of an outbound rule (standard)",
    ),
    "a gateway where there is none": (
        EXTENSION + '[extension.incoming]\ngateway = "x"',
        3,
        'extension "102".incoming.gateway',
        '"x"',
        "the name of a gateway; there is none",
    ),
    "a key in the wrong table": (
        EXTENSION + 'action = "hangup"',
        2,
        'extension "102".action',
        "an unknown key",
        "one of key",
    ),
    "a passcode of letters": (
        EXTENSION + 'passcode = "abcd"',
        2,
        'extension "102".passcode',
        "4 characters (not shown)",
        "4 to 10 digits",
    ),
    "a second device of a kind": (
        EXTENSION + DEVICE + 'username = "a"\n[[extension.device]]\nkind = "mobile"\nusername = "b"',
        6,
        'extension "102".device "b".kind',
        '"mobile" a second time',
        "at most one device of each kind",
    ),
    "a device of no kind": (
        EXTENSION + '[[extension.device]]\nusername = "a"',
        2,
        'extension "102".device "a".kind',
        "nothing",
        '"ip_phone" | "mobile" | "desktop"; this key is needed',
    ),
    "a username twice": (
        EXTENSION + DEVICE + 'username = "100"',
        4,
        'extension "102".device "100".username',
        '"100" a second time',
        "",
    ),
    "a username that is another's key": (
        EXTENSION + DEVICE + 'username = "101"',
        4,
        'extension "102".device "101".username',
        '"101"',
        "no other extension's",
    ),
    "an empty password": (
        EXTENSION + DEVICE + 'username = "a"\npassword = ""',
        5,
        'extension "102".device "a".password',
        "0 characters (not shown)",
        "1 to 128 characters",
    ),
    "a hardware address twice, written otherwise": (
        EXTENSION + DEVICE + 'username = "a"\nmac = "001565AABBCC"',
        5,
        'extension "102".device "a".mac',
        '"00:15:65:aa:bb:cc" a second time',
        "mac of each device another",
    ),
    "no hardware address": (
        EXTENSION + DEVICE + 'username = "a"\nmac = "00:15:65:aa:bb"',
        5,
        'extension "102".device "a".mac',
        '"00:15:65:aa:bb"',
        "a hardware address",
    ),
    "forwarding on, to nowhere": (
        EXTENSION + "[extension.incoming.forward]\nenabled = true",
        3,
        'extension "102".incoming.forward.enabled',
        "true without a target",
        "a number or extensions",
    ),
    "a forward extension that is not there": (
        EXTENSION + '[extension.incoming.forward]\nextensions = ["101", "199"]',
        3,
        'extension "102".incoming.forward.extensions[2]',
        '"199"',
        "the key of an extension (100, 101, 102)",
    ),
    "a group as a forward extension": (
        EXTENSION + '[extension.incoming.forward]\nextensions = ["600"]',
        3,
        'extension "102".incoming.forward.extensions[1]',
        '"600"',
        "the key of an extension",
    ),
    "more than 20 forward extensions": (
        EXTENSION
        + "[extension.incoming.forward]\nextensions = ["
        + ", ".join(f'"{key}"' for key in range(200, 221))
        + "]\n"
        + "".join(f'[[extension]]\nkey = "{key}"\n' for key in range(200, 221)),
        3,
        'extension "102".incoming.forward.extensions',
        "a list of 21",
        "at most 20 of them",
    ),
    "a VIP extension that is not there": (
        EXTENSION + '[extension.incoming.forward]\nvip = ["+6531234567", "199"]',
        3,
        'extension "102".incoming.forward.vip[2]',
        '"199"',
        "the key of an extension",
    ),
    "a VIP that is neither number nor key": (
        EXTENSION + '[extension.incoming.forward]\nvip = ["Ann"]',
        3,
        'extension "102".incoming.forward.vip[1]',
        '"Ann"',
        "or the key of an extension",
    ),
    "a national VIP in an office of no country": (
        EXTENSION + '[extension.incoming.forward]\nvip = ["3123 4567"]',
        3,
        'extension "102".incoming.forward.vip[1]',
        '"31234567"',
        'a number with "+"',
    ),
    "a VIP that no country has": (
        EXTENSION + '[extension.incoming.forward]\nvip = ["+65 31"]',
        3,
        'extension "102".incoming.forward.vip[1]',
        '"+65 31"',
        "or the key of an extension",
    ),
    "a forward number in a country with a passcode": (
        EXTENSION + 'outbound_rule = "standard"\n[extension.incoming.forward]\nnumber = "+84938812345"',
        4,
        'extension "102".incoming.forward.number',
        '"+84938812345"',
        PASSCODE_COUNTRY,
    ),
    "a no-answer number in a country with a passcode": (
        EXTENSION + 'outbound_rule = "standard"\n[extension.no_answer]\nforward_to = "+84938812345"',
        4,
        'extension "102".no_answer.forward_to',
        '"+84938812345"',
        PASSCODE_COUNTRY,
    ),
    "no answer forwards to nowhere": (
        EXTENSION + '[extension.no_answer]\naction = "forward"',
        3,
        'extension "102".no_answer.action',
        '"forward" without a number',
        "only with no_answer.forward_to",
    ),
    "a timeout that is too short": (
        EXTENSION + "[extension.no_answer]\ntimeout = 4",
        3,
        'extension "102".no_answer.timeout',
        "4",
        "from 5 to 60 seconds",
    ),
    "a timeout with a fraction": (
        EXTENSION + "[extension.no_answer]\ntimeout = 20.0",
        3,
        'extension "102".no_answer.timeout',
        "20.0",
        "a whole number",
    ),
    "a pitch of 10": (
        EXTENSION + "[extension.no_answer.greeting]\npitch = 10",
        3,
        'extension "102".no_answer.greeting.pitch',
        "10",
        "from 0 to 9",
    ),
    "a language without a voice": (
        EXTENSION + '[extension.no_answer.greeting]\nlanguage = "kaa"',
        3,
        'extension "102".no_answer.greeting.language',
        '"kaa"',
        "a language that there is a voice for: af am ar ",
    ),
    "a text of 2001 characters": (
        EXTENSION + f'[extension.no_answer.greeting]\ntext = "{"x" * 2001}"',
        3,
        'extension "102".no_answer.greeting.text',
        '"' + "x" * 58 + "…",
        "at most 2000 characters",
    ),
    "a file and a text": (
        EXTENSION + '[extension.no_answer.greeting]\nmp3 = "a.mp3"\ntext = "x"',
        4,
        'extension "102".no_answer.greeting.text',
        "mp3 and text",
        "one of the two",
    ),
    "a caller ID that is not among the assigned": (
        EXTENSION + '[extension.caller_id]\nmode = "assigned"\nnumber = "+6560001000"',
        4,
        'extension "102".caller_id.number',
        '"+6560001000"',
        "one of caller_id.assigned",
    ),
    "a negative limit": (
        EXTENSION + "[extension.usage_limit]\namount = -0.01",
        3,
        'extension "102".usage_limit.amount',
        "-0.01",
        "a number from 0",
    ),
    "an amount that is no number": (
        EXTENSION + "[extension.usage_limit]\namount = nan",
        3,
        'extension "102".usage_limit.amount',
        "NaN",
        "a number from 0",
    ),
    "a destination of no kind": (
        '[[number]]\nnumber = "+6560001001"\ndestination = "100"',
        2,
        'number "+6560001001".destination',
        '"100"',
        '"extension:KEY"',
    ),
    "a destination that is not there": (
        '[[number]]\nnumber = "+6560001001"\ndestination = "line:mian"',
        2,
        'number "+6560001001".destination',
        '"line:mian"',
        "the name of a line (main)",
    ),
    "a mailbox of nobody": (
        '[[number]]\nnumber = "+6560001001"\ndestination = "voicemail:600"',
        2,
        'number "+6560001001".destination',
        '"voicemail:600"',
        "the key of an extension",
    ),
    "a trunk twice": (
        '[[trunk]]\nname = "carrier"\nserver = "sip:x.example"',
        1,
        'trunk "carrier".name',
        '"carrier" a second time',
        "",
    ),
    "a trunk without a server": ('[[trunk]]\nname = "b"', 0, 'trunk "b".server', "nothing", "a SIP address"),
    "a trunk's server with no such port": (
        '[[trunk]]\nname = "b"\nserver = "sip:x.example:99999"',
        2,
        'trunk "b".server',
        '"sip:x.example:99999"',
        "a SIP address",
    ),
    "a trunk's server with no such address": (
        '[[trunk]]\nname = "b"\nserver = "sip:[::::]:5060"',
        2,
        'trunk "b".server',
        '"sip:[::::]:5060"',
        "a SIP address",
    ),
    "a trunk's server with no such transport": (
        '[[trunk]]\nname = "b"\nserver = "sip:x.example;transport=sctp"',
        2,
        'trunk "b".server',
        '"sip:x.example;transport=sctp"',
        "a SIP address",
    ),
    "a trunk's server that is no SIP address": (
        '[[trunk]]\nname = "b"\nserver = "https://x.example"',
        2,
        'trunk "b".server',
        '"https://x.example"',
        "a SIP address",
    ),
    "registering without a username": (
        TRUNK + "register = true",
        3,
        'trunk "b".register',
        "true without a username",
        "only with a username",
    ),
    "an unknown codec": (
        TRUNK + 'codecs = ["PCMB"]',
        3,
        'trunk "b".codecs[1]',
        '"PCMB"',
        '"PCMA" | "PCMU"',
    ),
    "no codec at all": (
        TRUNK + "codecs = []",
        3,
        'trunk "b".codecs',
        "a list of 0",
        "at least 1",
    ),
    "no network": (
        TRUNK + 'addresses = ["10.0.0.1/8"]',
        3,
        'trunk "b".addresses[1]',
        '"10.0.0.1/8"',
        "an IP address or network",
    ),
    "a prefix of letters": (
        TRUNK + 'prefix = "x"',
        3,
        'trunk "b".prefix',
        '"x"',
        "digits 0-9 * #",
    ),
    "a gateway's rule that is not there": (
        '[[gateway]]\nname = "b"\nserver = "sip:x.example"\noutbound_rule = "x"',
        3,
        'gateway "b".outbound_rule',
        '"x"',
        "an outbound rule",
    ),
    "a trunk of a rule that is not there": (
        RULE + 'trunks = ["carrier", "carier"]',
        2,
        'outbound_rule "b".trunks[2]',
        '"carier"',
        "the name of a trunk (carrier)",
    ),
    "more digits removed than there are": (
        RULE + "[[outbound_rule.dial_plan]]\nlength = 3\nremove = 4",
        4,
        'outbound_rule "b".dial_plan[1].remove',
        "4",
        "at most the 3 digits",
    ),
    "a country twice": (
        RULE + '[[outbound_rule.country]]\ncountry = "SG"\n[[outbound_rule.country]]\ncountry = "SG"',
        5,
        'outbound_rule "b".country "SG".country',
        '"SG" a second time',
        "each country once",
    ),
    "a country in small letters": (
        RULE + '[[outbound_rule.country]]\ncountry = "sg"',
        3,
        'outbound_rule "b".country "sg".country',
        '"sg"',
        "ISO code",
    ),
    "a caller-ID plan with a number that is not ours": (
        RULE + '[[outbound_rule.caller_id_plan]]\ncountry = "VN"\nnumber = "+6598765432"',
        4,
        'outbound_rule "b".caller_id_plan[1].number',
        '"+6598765432"',
        "an office number (+6560001000)",
    ),
    "a caller-ID plan with a prefix twice": (
        RULE
        + ""
        + '[[outbound_rule.caller_id_plan]]\ncountry = "VN"\nprefix = "93"\nnumber = "+6560001000"\n' * 2,
        8,
        'outbound_rule "b".caller_id_plan[2].prefix',
        '"VN 93" a second time',
        "each country and prefix once",
    ),
    "a rate's prefix without +": (
        '[[rate]]\nprefix = "84"',
        1,
        'rate "84".prefix',
        '"84"',
        'a "+" and first digits',
    ),
    "a rate twice": (
        '[[rate]]\nprefix = "+84"\n[[rate]]\nprefix = "+84"',
        3,
        'rate "+84".prefix',
        '"+84" a second time',
        "",
    ),
    "a group member that is no extension": (
        '[[group]]\nkey = "601"\nmembers = ["700"]',
        2,
        'group "601".members[1]',
        '"700"',
        "the key of an extension",
    ),
    "a room's PIN of three digits": (
        '[[room]]\nkey = "701"\npin = "123"',
        2,
        'room "701".pin',
        "3 characters (not shown)",
        "4 to 10 digits",
    ),
    "a date in quotes": (
        '[[holiday]]\ndate = "2026-12-25"',
        1,
        'holiday "2026-12-25".date',
        '"2026-12-25"',
        "a date without quotes",
    ),
    "a date with a time": (
        "[[holiday]]\ndate = 2026-12-25T10:00:00",
        1,
        "holiday[1].date",
        "2026-12-25 10:00:00",
        "a date without quotes",
    ),
    "a holiday twice": (
        "[[holiday]]\ndate = 2026-12-25\n[[holiday]]\ndate = 2026-12-25",
        3,
        "holiday 2026-12-25.date",
        '"2026-12-25" a second time',
        "",
    ),
    "a star in the middle": (
        '[blocked]\nnumbers = ["+1*900"]',
        1,
        "blocked.numbers[1]",
        '"+1*900"',
        "its first digits and *",
    ),
    "a line without a block": (
        '[[line]]\nname = "b"',
        0,
        'line "b"',
        "a line without a block",
        "at least one",
    ),
    "a block of an unknown kind": (
        BLOCK + 'kind = "gahter"',
        4,
        'line "b".block "x".kind',
        '"gahter"',
        '"gather" | "transfer"',
    ),
    "a block of no kind": (
        '[[line]]\nname = "b"\n[[line.block]]\nname = "x"',
        2,
        'line "b".block "x".kind',
        "nothing",
        '"gather" | ',
    ),
    "a block's key that its kind has not": (
        BLOCK + 'kind = "play"\nplays = 2',
        5,
        'line "b".block "x".plays',
        "an unknown key",
        "one of kind, name, prompt, next",
    ),
    "a block's name twice": (
        '[[line]]\nname = "b"\n' + '[[line.block]]\nname = "x"\nkind = "play"\n' * 2,
        6,
        'line "b".block "x".name',
        '"x" a second time',
        "",
    ),
    "a next that is not there": (
        BLOCK + 'kind = "play"\nnext = "hello"',
        5,
        'line "b".block "x".next',
        '"hello"',
        "a block of this line (x)",
    ),
    "a goto to nowhere": (
        BLOCK + 'kind = "goto"\nto = "y"',
        5,
        'line "b".block "x".to',
        '"y"',
        "a block of this line (x)",
    ),
    "a branch to nowhere": (
        BLOCK + 'kind = "gather"\n'
        'branches = [{ when = "none", next = "x" }, { when = "equals", digits = "1", next = "y" }]',
        5,
        'line "b".block "x".branches[2].next',
        '"y"',
        "a block of this line (x)",
    ),
    "a branch without a when": (
        BLOCK + 'kind = "gather"\nbranches = [{ next = "x" }]',
        5,
        'line "b".block "x".branches[1].when',
        "nothing",
        '"equals" | "any" | "none" | "list" | "regex"',
    ),
    "a condition's branch in a gather": (
        BLOCK + 'kind = "gather"\nbranches = [{ when = "otherwise", next = "x" }]',
        5,
        'line "b".block "x".branches[1].when',
        '"otherwise"',
        '"equals" | "any"',
    ),
    "no branch": (
        BLOCK + 'kind = "condition"',
        2,
        'line "b".block "x".branches',
        "none",
        "at least one branch",
    ),
    "no regular expression": (
        BLOCK + 'kind = "gather"\nbranches = [{ when = "regex", regex = "(1", next = "x" }]',
        5,
        'line "b".block "x".branches[1].regex',
        '"(1"',
        "a regular expression",
    ),
    "no time of day": (
        BLOCK + 'kind = "condition"\nbranches = [{ when = "time", from = "9:00", to = "24:00", next = "x" }]',
        5,
        'line "b".block "x".branches[1].from',
        '"9:00"',
        '"HH:MM"',
    ),
    "no days": (
        BLOCK + 'kind = "condition"\n'
        'branches = [{ when = "time", from = "09:00", to = "18:00", days = "mo-fr", next = "x" }]',
        5,
        'line "b".block "x".branches[1].days',
        '"mo-fr"',
        "days such as",
    ),
    "dates the wrong way round": (
        BLOCK + 'kind = "condition"\n'
        'branches = [{ when = "date", from = 2026-12-31, to = 2026-12-01, next = "x" }]',
        5,
        'line "b".block "x".branches[1].to',
        "2026-12-01",
        "a day not before from = 2026-12-31",
    ),
    "a transfer to a group that is not there": (
        BLOCK + 'kind = "transfer"\nto = ["extension:100", "group:601"]',
        5,
        'line "b".block "x".to[2]',
        '"group:601"',
        "the key of a group (600)",
    ),
    "a transfer to a bare key": (
        BLOCK + 'kind = "transfer"\nto = ["100"]',
        5,
        'line "b".block "x".to[1]',
        '"100"',
        '"extension:KEY"',
    ),
    "a confirm that cannot go back": (
        BLOCK + 'kind = "confirm"\nnext = "x"',
        2,
        'line "b".block "x".back',
        "nothing",
        "this key is needed",
    ),
    "a webhook that is no web address": (
        BLOCK + 'kind = "webhook"\nurl = "crm.example"',
        5,
        'line "b".block "x".url',
        '"crm.example"',
        "a web address",
    ),
    "a control character": (
        '[office]\nname = "a\\u0007"',
        1,
        "office.name",
        "'a\\x07'",
        "none of them a control character",
    ),
}


@pytest.mark.parametrize(("added", "line", "key", "found", "allowed"), ADDED.values(), ids=ADDED)
def test_a_mistake_is_named(added, line, key, found, allowed):
    with pytest.raises(OfficeFileError) as raised:
        parse(OFFICE + added)
    mistake = raised.value.mistakes[0]
    assert (mistake.file, mistake.line, mistake.key, mistake.found) == (
        "office.toml",
        NEXT + line,
        key,
        found,
    )
    assert allowed in mistake.allowed


NEAREST = {
    "the key that says which kind of row it is": (BLOCK + 'knid = "play"', "kind"),
    "a key": ('[office]\ntimezon = "UTC"', "timezone"),
    "a key of a table inside": (EXTENSION + 'action = "hangup"', "no_answer.action"),
    "a choice": (EXTENSION + 'record = "inbond"', '"inbound"'),
    "a time zone": ('[office]\ntimezone = "Asia/Singapur"', '"Asia/Singapore"'),
    "a country": (RULE + '[[outbound_rule.country]]\ncountry = "sg"', '"SG"'),
    "a name": (EXTENSION + 'outbound_rule = "Standart"', '"standard"'),
    "a destination": ('[[number]]\nnumber = "+6560001001"\ndestination = "line:mian"', '"line:main"'),
    "a number with spaces": ('[[number]]\nnumber = "+65 6000-1001"', '"+6560001001"'),
    "a network": (
        '[[trunk]]\nname = "b"\nserver = "sip:b.example"\naddresses = ["10.0.0.1/8"]',
        '"10.0.0.0/8"',
    ),
    "a number that lacks its quotes": ("[[extension]]\nkey = 102", '"102"'),
    "an outside number that lacks its quotes": ("[[number]]\nnumber = +6560001001", '"+6560001001"'),
    "a number in a list that lacks its quotes": (
        EXTENSION + "[extension.incoming.forward]\nextensions = [101]",
        '"101"',
    ),
    "one that should be a list": (RULE + 'trunks = "carrier"', '["carrier"]'),
    "one of another sort than the list's": (RULE + "trunks = 1.5", None),
    "quotes around a number": (EXTENSION + 'call_waiting = "3"', "3"),
    "quotes around true": (EXTENSION + 'debug = "true"', "true"),
    "yes for true": (EXTENSION + 'debug = "yes"', "true"),
    "0 for false": (EXTENSION + "debug = 0", "false"),
    "quotes would not make it right": ("[[extension]]\nkey = 1", None),
    "a secret is not repeated": ('[[member]]\nemail = "bob@acme.example"\npin = 1234', None),
    "a key is a number: another is no help": ('[[group]]\nkey = "601"\nmembers = ["102"]', None),
}


@pytest.mark.parametrize(("added", "nearest"), NEAREST.values(), ids=NEAREST)
def test_the_nearest_is_proposed(added, nearest):
    with pytest.raises(OfficeFileError) as raised:
        parse(OFFICE + added)
    assert raised.value.mistakes[0].nearest == nearest


SYNTAX = {
    "no value": ("a = 1\nb =\n", 2, "text in double quotes"),
    "no quotes": ("[office]\nname = Acme\n", 2, "text in double quotes"),
    "typographic quotes": ("[office]\nname = \u201cAcme\u201d\n", 2, "text in double quotes"),
    "a colon": ("[office]\nname: 'x'\n", 2, "key = value"),
    "a key twice": ("[office]\nname = 'x'\nname = 'y'\n", 3, "each key of a table once"),
    "a table twice": ("[office]\n[blocked]\n[office]\n", 3, "double brackets"),
    "single brackets after double ones": ("[[member]]\n[member]\n", 2, "double brackets"),
    "a string without end": ('\n\nname = "x\n', 3, "a quote at its end"),
    "the end comes too early": ("[office]\nemergency = [\n", 2, "text in double quotes"),
    "no number": ("[office]\nname = 0x\n", 2, "the syntax of TOML 1.0"),
    "a number too long to be read": (f"[office]\nname = -{'1_' * 5000}1\n", 2, "whole numbers from"),
    "a number too long to be printed": (
        f"[office]\nname = 0x{'f' * 5000}\n",
        2,
        "whole numbers from",
    ),
    "a number of more than 64 bits": ("[[rate]]\nincrement = 9223372036854775808\n", 2, "whole numbers from"),
    "an exponent without end": ("[office]\nvoicemail_minutes = 1e999999999999999999999\n", 2, "1 to 10000"),
    "lists inside lists": (f"[office]\nname = {'[' * 300}{']' * 300}\n", 2, "a few levels"),
    "tables inside tables": (f"[office]\nname = {'{a=' * 90}1{'}' * 90}\n", 2, "a few levels"),
}


@pytest.mark.parametrize(("text", "line", "allowed"), SYNTAX.values(), ids=SYNTAX)
def test_what_is_no_toml_is_named_with_its_line(text, line, allowed):
    with pytest.raises(OfficeFileError) as raised:
        parse(text)
    [mistake] = raised.value.mistakes
    assert mistake.line == line
    assert allowed in mistake.allowed


def test_a_long_unknown_key_is_cut():
    with pytest.raises(OfficeFileError) as raised:
        parse(f"[office]\n{'x' * 5000} = 1")
    assert len(str(raised.value)) < 1000


def test_lists_without_end_are_a_mistake_too():
    with pytest.raises(OfficeFileError):
        parse("a = " + "[" * 100_000)


def test_all_mistakes_come_at_once_from_the_top_to_the_end():
    with pytest.raises(OfficeFileError) as raised:
        parse(
            OFFICE
            + '[[group]]\nkey = "7"\nmembers = ["199"]\n[office]\nname = 1\n[[extension]]\nlabel = 2\n'
            + "[x]\ny = 1"
        )
    assert [(mistake.line - NEXT, mistake.key) for mistake in raised.value.mistakes] == [
        (1, 'group "7".key'),
        (2, 'group "7".members[1]'),
        (4, "office.name"),
        (5, "extension[3].key"),
        (6, "extension[3].label"),
        (7, "x"),
    ]


def test_a_mistake_reads_as_one_line():
    with pytest.raises(OfficeFileError) as raised:
        parse('[office]\npasscode_missing = "refused"\ncountry = "XX"')
    assert str(raised.value) == (
        'office.toml:2: office.passcode_missing: found "refused"; allowed: "connect" | "refuse"'
        ' - did you mean "refuse"?\n'
        'office.toml:3: office.country: found "XX"; allowed: the ISO code of a country, such as "SG", or ""'
    )


def test_members_need_an_owner_but_no_members_need_none():
    with pytest.raises(OfficeFileError, match="exactly one member with account"):
        parse('[[member]]\nemail = "ann@acme.example"')
    assert parse("").office.members == ()


def test_a_wrong_row_does_not_shift_the_lines_of_later_ones():
    with pytest.raises(OfficeFileError) as raised:
        parse('extension = [\n3,\n{ key = "100" },\n{ key = "100" },\n]')
    assert [(mistake.line, mistake.found) for mistake in raised.value.mistakes] == [(2, "3"), (4, '"100"')]


def test_a_misspelt_kind_of_block_causes_no_other_mistake():
    with pytest.raises(OfficeFileError) as raised:
        parse(
            '[[line]]\nname = "b"\n'
            '[[line.block]]\nname = "x"\nkind = "gahter"\nplays = 3\n'
            '[[line.block]]\nname = "y"\nkind = "play"\nnext = "x"'
        )
    assert [mistake.key for mistake in raised.value.mistakes] == ['line "b".block "x".kind']


def test_the_pins_of_one_file_differ():
    with pytest.raises(OfficeFileError) as raised:
        parse(
            '[[member]]\nemail = "a@x.example"\naccount = "owner"\npin = "1234"\n'
            '[[member]]\nemail = "b@x.example"\npin = "1234"'
        )
    assert [(mistake.line, mistake.found) for mistake in raised.value.mistakes] == [
        (7, "a PIN that another member has")
    ]
    assert "1234" not in str(raised.value)
