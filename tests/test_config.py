"""pbx.toml: every key has a default, a unit and a check."""

import ipaddress
from pathlib import Path

import pytest

from pbx.config import Config, ConfigFileError, load_config, parse_config
from pbx.config_values import Listen, PortRange
from pbx.office.mistakes import FileError

FOLDER = Path("/srv/pbx")

DEFAULTS = """
[server]
domain = "pbx.local"
data = "data"
advertise = "auto"
local_networks = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "127.0.0.0/8"]
[database]
url = "sqlite:///data/pbx.db"
[sip]
udp = ["0.0.0.0:5060"]
tcp = ["0.0.0.0:5060"]
tls = ["0.0.0.0:5061"]
certificate = ""
private_key = ""
trusted_ca = ""
[rtp]
ports = [16384, 32766]
workers = "auto"
srtp = "optional"
relay = "builtin"
kernel = "auto"
[web]
listen = "127.0.0.1:8080"
tls = false
[mail]
server = ""
sender = "pbx@pbx.local"
trusted_ca = ""
token_command = []
[limits]
calls = 500
calls_per_second = 0
failed_auth = 10
"""


def parse(text: str, existing_files: bool = True) -> Config:
    return parse_config(text, "pbx.toml", FOLDER, lambda path: existing_files)


def test_an_empty_file_says_the_same_as_all_the_defaults():
    assert parse("") == parse(DEFAULTS)


def test_the_defaults_are_those_of_the_manual():
    config = parse("")
    assert config.server.domain == "pbx.local"
    assert config.server.data == FOLDER / "data"
    assert config.server.advertise is None
    assert ipaddress.ip_network("172.16.0.0/12") in config.server.local_networks
    assert config.database.url == "sqlite:////srv/pbx/data/pbx.db"
    assert config.sip.udp == config.sip.tcp == (Listen("0.0.0.0", 5060),)
    assert config.sip.tls == (Listen("0.0.0.0", 5061),)
    assert config.sip.certificate is None
    assert config.rtp.ports == PortRange(16384, 32766)
    assert config.rtp.workers is None
    assert (config.rtp.srtp, config.rtp.relay, config.rtp.kernel) == ("optional", "builtin", "auto")
    assert config.web.listen == Listen("127.0.0.1", 8080)
    assert (config.limits.calls, config.limits.calls_per_second, config.limits.failed_auth) == (500, 0, 10)
    assert (config.mail.server, config.mail.sender) == ("", "pbx@pbx.local")


READ = {
    "a domain in capitals": (
        '[server]\ndomain = "PBX.Acme.example"',
        lambda c: c.server.domain,
        "pbx.acme.example",
    ),
    "an address to advertise": (
        '[server]\nadvertise = "203.0.113.5"',
        lambda c: c.server.advertise,
        "203.0.113.5",
    ),
    "the database goes where the data goes": (
        '[server]\ndata = "/var/lib/pbx"',
        lambda c: c.database.url,
        "sqlite:////var/lib/pbx/pbx.db",
    ),
    "a relative database": (
        '[database]\nurl = "sqlite:///x/y.db?timeout=5"',
        lambda c: c.database.url,
        "sqlite:////srv/pbx/x/y.db?timeout=5",
    ),
    "an absolute database": (
        '[database]\nurl = "sqlite:////y.db"',
        lambda c: c.database.url,
        "sqlite:////y.db",
    ),
    "a database in memory": (
        '[database]\nurl = "sqlite:///:memory:"',
        lambda c: c.database.url,
        "sqlite:///:memory:",
    ),
    "PostgreSQL": (
        '[database]\nurl = "postgresql+psycopg://u:p@/pbx?host=/run/pg"',
        lambda c: c.database.url,
        "postgresql+psycopg://u:p@/pbx?host=/run/pg",
    ),
    "no UDP": ("[sip]\nudp = []", lambda c: c.sip.udp, ()),
    "IPv6 and any port": ('[sip]\ntcp = ["[::]:0"]', lambda c: c.sip.tcp, (Listen("::", 0),)),
    "both IP versions": (
        '[sip]\nudp = ["0.0.0.0:5060", "[::]:5060"]',
        lambda c: [str(each) for each in c.sip.udp],
        ["0.0.0.0:5060", "[::]:5060"],
    ),
    "a certificate beside the file": (
        '[sip]\ncertificate = "tls/pbx.pem"\nprivate_key = "/etc/key.pem"',
        lambda c: (c.sip.certificate, c.sip.private_key),
        (FOLDER / "tls/pbx.pem", Path("/etc/key.pem")),
    ),
    "a number of workers": ("[rtp]\nworkers = 3", lambda c: c.rtp.workers, 3),
    "an rtpengine": (
        '[rtp]\nrelay = "rtpengine:127.0.0.1:2223"',
        lambda c: c.rtp.relay,
        "rtpengine:127.0.0.1:2223",
    ),
    "no portal": ('[web]\nlisten = ""', lambda c: c.web.listen, None),
    "a mail server": (
        '[mail]\nserver = "smtp://user:password@host:587?starttls=required"',
        lambda c: c.mail.server,
        "smtp://user:password@host:587?starttls=required",
    ),
    "a program that speaks": (
        '[speech]\ncommand = ["sh", "-c", "say -v {language} -r {rate}", "-c"]',
        lambda c: c.speech.command,
        ("sh", "-c", "say -v {language} -r {rate}", "-c"),
    ),
    "a mail server's authority": (
        '[mail]\ntrusted_ca = "ca.pem"',
        lambda c: c.mail.trusted_ca,
        FOLDER / "ca.pem",
    ),
    "a command for tokens": (
        '[mail]\nserver = "smtp://u@h?auth=xoauth2"\ntoken_command = ["/bin/token", "-q", "-q"]',
        lambda c: c.mail.token_command,
        ("/bin/token", "-q", "-q"),
    ),
    "UDP and TCP share a port": (
        '[sip]\nudp = ["127.0.0.1:5070"]\ntcp = ["127.0.0.1:5070"]',
        lambda c: c.sip.udp == c.sip.tcp,
        True,
    ),
}


@pytest.mark.parametrize(("text", "value", "expected"), READ.values(), ids=READ)
def test_values(text, value, expected):
    assert value(parse(text)) == expected


WRONG = {
    "an unknown table": ("[serve]\n", 1, "serve", "an unknown key", "server"),
    "an unknown key": ('[server]\ndomian = "x"', 2, "server.domian", "an unknown key", "domain"),
    "a domain with a space": ('[server]\ndomain = "my pbx"', 2, "server.domain", '"my pbx"', None),
    "a name to advertise": ('[server]\nadvertise = "pbx.local"', 2, "server.advertise", '"pbx.local"', None),
    "a network that is an address": (
        '[server]\nlocal_networks = [\n"10.1.1.1/8"]',
        3,
        "server.local_networks[1]",
        '"10.1.1.1/8"',
        '"10.0.0.0/8"',
    ),
    "no folder": ('[server]\ndata = ""', 2, "server.data", '""', None),
    "another database": (
        '[database]\nurl = "mysql://u:p@h/d"',
        2,
        "database.url",
        "15 characters (not shown)",
        None,
    ),
    "one address where a list belongs": (
        '[sip]\nudp = "0.0.0.0:5060"',
        2,
        "sip.udp",
        '"0.0.0.0:5060"',
        '["0.0.0.0:5060"]',
    ),
    "a host name": ('[sip]\nudp = ["localhost:5060"]', 2, "sip.udp[1]", '"localhost:5060"', None),
    "no port": ('[sip]\nudp = ["0.0.0.0"]', 2, "sip.udp[1]", '"0.0.0.0"', None),
    "a port too high": ('[sip]\nudp = ["[::]:65536"]', 2, "sip.udp[1]", '"[::]:65536"', None),
    "an address that is none": ('[sip]\nudp = ["300.0.0.1:5060"]', 2, "sip.udp[1]", '"300.0.0.1:5060"', None),
    "an address twice": (
        '[sip]\nudp = ["[::]:5060", "[0::0]:5060"]',
        2,
        "sip.udp[2]",
        '"[0::0]:5060" a second time',
        None,
    ),
    "TLS on the port of TCP": ('[sip]\ntls = ["0.0.0.0:5060"]', 2, "sip.tls[1]", '"0.0.0.0:5060"', None),
    "the portal on the port of TCP": (
        '[sip]\ntcp = ["127.0.0.1:8080"]\n[web]\nlisten = "127.0.0.1:8080"',
        4,
        "web.listen",
        '"127.0.0.1:8080"',
        None,
    ),
    "SIP among the RTP ports": ('[sip]\nudp = ["0.0.0.0:32767"]', 2, "sip.udp[1]", '"0.0.0.0:32767"', None),
    "a certificate without a key": ('[sip]\ncertificate = "x.pem"', 1, "sip.private_key", '""', None),
    "an odd port": ("[rtp]\nports = [16385, 32766]", 2, "rtp.ports", "[16385, 32766]", None),
    "one port": ("[rtp]\nports = [16384]", 2, "rtp.ports", "[16384]", None),
    "ports the wrong way round": ("[rtp]\nports = [32766, 16384]", 2, "rtp.ports", "[32766, 16384]", None),
    "no workers": ("[rtp]\nworkers = 0", 2, "rtp.workers", "0", None),
    "true workers": ("[rtp]\nworkers = true", 2, "rtp.workers", "true", None),
    "srtp misspelt": ('[rtp]\nsrtp = "require"', 2, "rtp.srtp", '"require"', '"required"'),
    "another relay": ('[rtp]\nrelay = "rtpengine"', 2, "rtp.relay", '"rtpengine"', None),
    "another mail": ('[mail]\nserver = "imap://u:p@h"', 2, "mail.server", "12 characters (not shown)", None),
    "a program that there is not": (
        '[speech]\ncommand = ["/nowhere/piper"]',
        2,
        "speech.command",
        '"/nowhere/piper"',
        None,
    ),
    "a program as one text": ('[speech]\ncommand = "piper"', 2, "speech.command", '"piper"', None),
    "a field that there is not": (
        '[speech]\ncommand = ["sh", "{voice}"]',
        2,
        "speech.command",
        '["sh", "{voice}"]',
        None,
    ),
    "mail by an unknown way to log in": (
        '[mail]\nserver = "smtp://u:p@h?auth=md5"',
        2,
        "mail.server",
        "21 characters (not shown)",
        None,
    ),
    "a token without a command": (
        '[mail]\nserver = "smtp://u@h?auth=xoauth2"',
        1,
        "mail.token_command",
        "[]",
        None,
    ),
    "a command and a password": (
        '[mail]\nserver = "smtp://u:p@h"\ntoken_command = ["x"]',
        3,
        "mail.token_command",
        "a command",
        None,
    ),
    "a command that is a string": (
        '[mail]\ntoken_command = "x"',
        2,
        "mail.token_command",
        "1 character (not shown)",
        None,
    ),
    "no calls": ("[limits]\ncalls = 0", 2, "limits.calls", "0", None),
    "a share of a call": ("[limits]\ncalls_per_second = 0.5", 2, "limits.calls_per_second", "0.5", None),
    "no table": ("rtp = 3", 1, "rtp", "3", None),
}


@pytest.mark.parametrize(("text", "line", "key", "found", "nearest"), WRONG.values(), ids=WRONG)
def test_mistakes(text, line, key, found, nearest):
    with pytest.raises(ConfigFileError) as raised:
        parse(text)
    mistakes = [(each.file, each.line, each.key, each.found, each.nearest) for each in raised.value.mistakes]
    assert mistakes == [("pbx.toml", line, key, found, nearest)]


def test_all_mistakes_come_at_once():
    with pytest.raises(ConfigFileError) as raised:
        parse('[sip]\nudp = ["x", "0.0.0.0:20000"]\ntls = ["0.0.0.0:5060"]\n[limits]\ncalls = "many"\n[x]\n')
    assert [mistake.key for mistake in raised.value.mistakes] == [
        "sip.udp[1]",
        "sip.udp[2]",
        "sip.tls[1]",
        "limits.calls",
        "x",
    ]


def test_a_certificate_that_is_not_there():
    with pytest.raises(
        ConfigFileError, match=r"sip.trusted_ca: found no file /srv/pbx/ca.pem; allowed: the path"
    ):
        parse('[sip]\ntrusted_ca = "ca.pem"', existing_files=False)


def test_a_file_is_read_and_its_folder_is_where_paths_begin(tmp_path):
    path = tmp_path / "pbx.toml"
    path.write_text('[server]\ndomain = "acme.example"\n')
    config = load_config(path)
    assert config.server.domain == "acme.example"
    assert config.server.data == tmp_path / "data"


def test_without_a_file_the_working_directory_is(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert load_config(None).server.data == tmp_path / "data"


def test_a_file_that_cannot_be_read_is_one_clear_line(tmp_path):
    with pytest.raises(
        FileError, match=r"none\.toml: found No such file or directory; allowed: a file to read"
    ):
        load_config(tmp_path / "none.toml")
    latin = tmp_path / "latin.toml"
    latin.write_bytes(b"[server]\n# B\xfcro\n")
    with pytest.raises(FileError, match=r"latin\.toml:2: found bytes that are no UTF-8"):
        load_config(latin)


def test_passwords_do_not_show():
    config = parse(
        '[database]\nurl = "postgresql+psycopg://u:battery@h/d"\n[mail]\nserver = "smtp://u:battery@h"'
    )
    assert "battery" not in repr(config)
