"""The SIP messages that a phone program writes into its log: three formats, one list."""

import re
from typing import Final, Literal, NamedTuple


class Seen(NamedTuple):
    """One message as a phone saw it."""

    way: Literal["RX", "TX"]
    text: str  # with plain line ends

    @property
    def first_line(self) -> str:
        return self.text.partition("\n")[0]

    @property
    def status(self) -> int:
        """The status of a response; 0 for a request."""
        return int(self.text[8:11]) if self.text.startswith("SIP/2.0 ") else 0

    @property
    def method(self) -> str:
        """The method of the transaction, from CSeq."""
        return self.header("CSeq").rpartition(" ")[2]

    def header(self, name: str) -> str:
        """The first header of that name, or nothing."""
        found = re.search(rf"^{re.escape(name)}[ \t]*:[ \t]*(.*)$", self.text, re.MULTILINE | re.IGNORECASE)
        return found[1].strip() if found else ""

    @property
    def body(self) -> str:
        return self.text.partition("\n\n")[2]


PJSUA: Final = re.compile(r"(RX|TX) \d+ bytes [^\n]*:\n(.*?)\n--end msg--", re.DOTALL)
BARESIP: Final = re.compile(r"^#\n(?:UDP|TCP|TLS) (\S+) -> (\S+)\n(.*?)(?=^#\n|\Z)", re.DOTALL | re.MULTILINE)
LINPHONE: Final = re.compile(
    r"(message sent to|\] received \[\d+\] new bytes from|: received \[\d+\] new bytes from) [^\n]*\n(.*?)"
    r"(?=^\d{4}-\d\d-\d\d \d\d:)",
    re.DOTALL | re.MULTILINE,
)


def parse_pjsua(log: str) -> list[Seen]:
    """RX and TX are said; a message ends with a mark."""
    return [
        Seen("RX" if found[1] == "RX" else "TX", found[2])
        for found in PJSUA.finditer(log.replace("\r\n", "\n"))
    ]


def parse_baresip(log: str, own_ports: range, server_port: int) -> list[Seen]:
    """Each message has a line with source and destination; over streams only the server's port is known."""
    seen = []
    for found in BARESIP.finditer(log.replace("\r\n", "\n")):
        source, destination = (int(found[i].rpartition(":")[2]) for i in (1, 2))
        is_sent = destination == server_port or (source in own_ports and source != server_port)
        seen.append(Seen("TX" if is_sent else "RX", found[3].rstrip("\n") + "\n"))
    return seen


def parse_linphone(log: str) -> list[Seen]:
    """The message follows the line that says so, up to the next line with a date."""
    return [
        Seen("TX" if "sent" in found[1] else "RX", found[2].rstrip("\n") + "\n")
        for found in LINPHONE.finditer(log.replace("\r\n", "\n"))
        if found[2].strip()
    ]


def registration_status(messages: list[Seen]) -> int:
    """The final answer to the latest REGISTER, 0 when there is none yet. A first challenge is not final."""
    status, had_credentials = 0, False
    for message in messages:
        if message.method != "REGISTER":
            continue
        if message.status == 0 and message.way == "TX":
            status, had_credentials = 0, bool(message.header("Authorization"))
        elif message.status >= 200 and (message.status not in (401, 407) or had_credentials):
            status = message.status
    return status


def invite_status(messages: list[Seen], call_id: str = "") -> int:
    """The latest final answer that an INVITE of ours got (challenges apart)."""
    answers = [
        message.status
        for message in messages
        if message.way == "RX" and message.method == "INVITE" and message.status >= 200
        if message.status not in (401, 407) and call_id in ("", message.header("Call-ID"))
    ]
    return answers[-1] if answers else 0
