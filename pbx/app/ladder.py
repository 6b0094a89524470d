"""Traced SIP messages drawn as a ladder: a column for the PBX and for each leg, time going down."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from pbx.app.printable import printable

GAP: Final = 34  # characters between two columns
MARGIN: Final = 12  # for the time


def draw(messages: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Lines for a terminal; what strangers send is made printable.

    Args:
        messages: rows of store.Traces, in order. Times are shown from the first on.
    """
    if not messages:
        yield "no messages are kept of this"
        return
    legs = list(dict.fromkeys(each["leg"] for each in messages))
    columns = [legs[0], "", *legs[1:]]  # the caller, the PBX, and everybody else
    peers: dict[str, str] = {"": messages[0]["local"]}
    for each in messages:
        peers.setdefault(each["leg"], f"{each['peer']} {each['transport']}")
    yield _row([printable(column) or "PBX" for column in columns])
    yield _row([peers[column] for column in columns])
    started_at = messages[0]["at"]
    for each in messages:
        yield f"{each['at'] - started_at:+10.3f}  {_arrow(each, columns)}"


def _row(texts: Sequence[str]) -> str:
    return (" " * MARGIN + "".join(f"{text[: GAP - 1]:<{GAP}}" for text in texts)).rstrip()


def _arrow(message: Mapping[str, Any], columns: Sequence[str]) -> str:
    line = [" "] * (GAP * (len(columns) - 1) + 1)
    for place in range(len(columns)):
        line[place * GAP] = "|"
    ours, theirs = GAP, columns.index(message["leg"]) * GAP
    left, right = min(ours, theirs) + 1, max(ours, theirs)
    space = right - left
    text = f" {describe(message['text'])[: space - 6]} "
    body = list(f"{'-' * ((space - len(text)) // 2)}{text}".ljust(space, "-"))
    goes_right = (theirs > ours) == bool(message["is_sent"])
    body[-1 if goes_right else 0] = ">" if goes_right else "<"
    line[left:right] = body
    return "".join(line)


def describe(text: str) -> str:
    """One message in short: "INVITE 101 (SDP)", "200 OK to INVITE"."""
    head, _, body = text.partition("\r\n\r\n")
    first, *headers = head.split("\r\n")
    words = first.split(" ", 2)
    if words[0] == "SIP/2.0":
        cseq = next((line for line in headers if line.lower().startswith("cseq")), "")
        said = f"{' '.join(words[1:])} to {cseq.rpartition(' ')[2]}"
    else:
        user = words[1].partition(":")[2].partition("@")[0] if "@" in first else ""
        said = f"{words[0]} {user}".rstrip()
    return printable(said + (" (SDP)" if body.startswith("v=0") else ""))
