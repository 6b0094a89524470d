"""Call records for people and programs: lists, tables of figures, and all of one call."""

import csv
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime, timedelta
from typing import Any, Final, TextIO
from zoneinfo import ZoneInfo

from pbx.app.printable import printable
from pbx.errors import PbxError
from pbx.mail.letter import show_duration
from pbx.office.values import KEY, NotAllowedError
from pbx.rtp.mos import Quality, quality_in, quality_out
from pbx.rtp.statistics import EndpointStats
from pbx.rules.number import forms_of, to_e164

CSV_COLUMNS: Final = (
    *("when", "id", "kind", "state", "caller", "caller_name", "member", "callee", "number", "answered_by"),
    *("trunk", "payer", "cost", "waited_s", "talked_s", "mos", "why"),
)
_PLAIN: Final = re.compile(r"[+-]?[0-9.]*")
# What begins a formula, in full width too, at the start of a cell; in some countries a semicolon begins one.
_FORMULA: Final = re.compile("(?:^|(?<=;))(?=[=+@\uff1d\uff0b\uff0d\uff20-])")

Row = Mapping[str, Any]


def parse_moment(text: str, zone: ZoneInfo, *, is_end: bool) -> float:
    """A date or time as it is typed, in seconds since 1970; a day without a time means all of it.

    Args:
        zone: of a time that names none.

    Raises:
        PbxError: it is neither.
    """
    try:
        day = date.fromisoformat(text) + timedelta(days=is_end)
        return datetime(day.year, day.month, day.day, tzinfo=zone).timestamp()
    except (ValueError, OverflowError):
        pass
    try:
        at = datetime.fromisoformat(text)
        return (at if at.tzinfo is not None else at.replace(tzinfo=zone)).timestamp()
    except (ValueError, OverflowError):
        allowed = "2026-11-30, 2026-11-30 14:05 and 2026-11-30T14:05:00+08:00"
        raise PbxError(f"{text!r} is no date or time: allowed are {allowed}") from None


def parse_party(text: str, country: str) -> str:
    """A caller as records have it: a key, E.164, or whatever it called itself."""
    try:
        return str(KEY.read(text))
    except NotAllowedError:
        return to_e164(text, country) or text


def parse_callee(text: str, country: str) -> tuple[str, ...]:
    """What was dialled for a callee: as it is typed, and as the same number may be dialled."""
    number = parse_party(text, country)
    forms = forms_of(number, country) if number != text or number.startswith("+") else ()
    return tuple(dict.fromkeys((text, *forms))) if text else ()


# --- many calls -------------------------------------------------------------------------------------------


def as_lines(rows: Iterable[Row], zone: ZoneInfo) -> Iterator[str]:
    """A table."""
    is_empty = True
    for row in rows:
        if is_empty:
            yield f"{'ID':<16} {'WHEN':<19} {'KIND':<8} {'STATE':<10} {'TALK':>7}  FROM -> TO"
        is_empty = False
        body = row["body"]
        talk = show_duration(talked_s(body) or 0.0) if talked_s(body) is not None else "-"
        who = _named(row["caller"], body.get("caller_name", ""))
        yield (
            f"{row['id']:<16} {_when(row, zone):<19} {row['kind']:<8} {row['state']:<10} {talk:>7}  "
            f"{who} -> {printable(row['callee'])}"
        )
    if is_empty:
        yield "no calls"


def write_json(rows: Iterable[Row], zone: ZoneInfo, out: TextIO) -> None:
    """One array, a call a line; however many they are, one at a time is in memory."""
    before = "["
    for row in rows:
        out.write(f"{before}\n{json.dumps(as_json(row, zone))}")
        before = ","
    out.write("\n]\n" if before == "," else "[]\n")


def write_csv(rows: Iterable[Row], zone: ZoneInfo, out: TextIO) -> None:
    """A line a call, after one with the names; the same."""
    writer = csv.writer(out, lineterminator="\r\n")  # RFC 4180
    writer.writerow(CSV_COLUMNS)
    for row in rows:
        writer.writerow([_cell(value) for value in _csv_values(row, zone)])


def as_json(row: Row, zone: ZoneInfo) -> dict[str, Any]:
    """All that is kept of a call; `quality` of a leg's media lines is how it was heard, and how it heard."""
    legs = [
        {**leg, "quality": {name: _qualities(stats, leg) for name, stats in leg.get("media", {}).items()}}
        for leg in row["body"].get("legs", ())
    ]
    started = datetime.fromtimestamp(row["started_at"], zone)
    times = {"started_at": row["started_at"], "when": started.isoformat(timespec="milliseconds")}
    return {"id": row["id"], **times, "talked_s": talked_s(row["body"]), **row["body"], "legs": legs}


def talked_s(body: Row) -> float | None:
    """How long the call was up; None: nobody answered."""
    answered_s = body.get("answered_s")
    return None if answered_s is None else max(0.0, body["duration_s"] - answered_s)


def _csv_values(row: Row, zone: ZoneInfo) -> list[Any]:
    body = row["body"]
    legs = body.get("legs", ())
    answered = [leg for leg in legs if leg["role"] == "callee" and leg.get("answered_s") is not None]
    scores = [
        quality.mos
        for leg in legs
        for stats in leg.get("media", {}).values()
        for quality in _heard(stats, leg)
        if quality is not None and quality.mos is not None
    ]
    talked, answered_s = talked_s(body), body.get("answered_s")
    waited = body.get("duration_s", 0.0) if answered_s is None else answered_s
    return [
        _when(row, zone),
        *(row[name] for name in ("id", "kind", "state", "caller")),
        *(body.get(name, "") for name in ("caller_name", "member")),
        row["callee"],
        body.get("number", ""),
        " ".join(leg.get("party") or leg.get("number", "") for leg in answered),
        " ".join(dict.fromkeys(leg["trunk"] for leg in legs if leg.get("trunk"))),
        " ".join(dict.fromkeys(leg["payer"] for leg in legs if leg.get("payer"))),
        " ".join(leg["cost"] for leg in legs if leg.get("cost")),
        f"{waited:.1f}",
        "" if talked is None else f"{talked:.1f}",
        f"{min(scores):.2f}" if scores else "",  # whoever heard worst
        body.get("why", ""),
    ]


def _cell(value: Any) -> str:
    """A spreadsheet takes what begins like a formula for one; callers may call themselves anything."""
    text = printable(str(value))
    return text if _PLAIN.fullmatch(text) else _FORMULA.sub("'", text)


# --- one call ---------------------------------------------------------------------------------------------


def describe(row: Row, zone: ZoneInfo, traced: int) -> Iterator[str]:
    """All of a call, in words.

    Args:
        traced: how many SIP messages are kept of it.
    """
    body = row["body"]
    who = _named(row["caller"], body.get("caller_name", ""))
    yield f"call {row['id']}: {who} dials {printable(row['callee'])}: {row['kind']}, {row['state']}"
    yield f"  began      {_when(row, zone)} ({zone.key})"
    for name, text in _facts(body):
        if text:
            yield f"  {name:<10} {printable(text)}"
    for number, sentence in enumerate(body.get("decisions", ()), 1):
        yield f"  {'happened' if number == 1 else '':<10} {number}. {printable(sentence)}"
    for leg in body.get("legs", ()):
        yield from _describe_leg(leg)
    if traced:
        yield f"  traced     {traced} SIP messages: `pbx calls show {row['id']} --ladder`, or --pcap FILE"


def _facts(body: Row) -> Iterator[tuple[str, str]]:
    talked = talked_s(body)
    if talked is None:
        yield "waited", f"{body.get('duration_s', 0.0):.1f} s"
    else:
        yield "waited", f"{body['answered_s']:.1f} s, then talked {show_duration(talked)}"
    yield "ended", body.get("why", "")
    yield "phone", body.get("caller_device", "")
    yield "member", body.get("member", "")
    yield "number", body.get("number", "")
    yield "recorded", ", ".join(body.get("recordings", ()))


def _describe_leg(leg: Row) -> Iterator[str]:
    way = f" by {leg['trunk']}" if leg.get("trunk") else ""
    way += f' (outbound rule "{leg["rule"]}")' if leg.get("rule") else ""
    who = " ".join(filter(None, (leg["party"], leg.get("number", "")))) or "somebody"
    phone = f" at {leg['device']}" if leg.get("device") else ""
    status = f", {leg['status']}" if leg.get("status") else ""
    yield printable(f"  leg {leg['name']:<6} {leg['role']} {who}{way}{phone}{status}")
    times = [
        f"{name} after {leg[key]:.1f} s"
        for name, key in (("answered", "answered_s"), ("ended", "ended_s"))
        if leg.get(key) is not None
    ]
    said = ", ".join(times) + (f": {leg['why']}" if leg.get("why") else "")
    if said:
        yield printable(f"             {said}")
    if leg.get("payer"):
        yield printable(f"             paid by {leg['payer']}: {leg.get('cost') or 'nothing'}")
    if leg.get("call_id"):
        yield printable(f"             Call-ID {leg['call_id']}")
    for name, stats in leg.get("media", {}).items():
        codec = f" {leg['codec']}" if leg.get("codec") else ""
        for side, quality in zip(("is heard", "hears"), _heard(stats, leg), strict=True):
            yield printable(f"             media {name}{codec} {side}: {_in_words(quality)}")


def _in_words(quality: Quality | None) -> str:
    if quality is None:
        return "not measured"
    score = "no score for this codec" if quality.mos is None else f"MOS {quality.mos:.2f}"
    return (
        f"{quality.packets} packets, {100 * quality.loss:.1f} % lost, "
        f"jitter {1000 * quality.jitter_s:.0f} ms, delay {1000 * quality.delay_s:.0f} ms, {score}"
    )


def _qualities(stats: Row, leg: Row) -> dict[str, Any]:
    sides = zip(("in", "out"), _heard(stats, leg), strict=True)
    return {
        side: None
        if quality is None
        else {
            "packets": quality.packets,
            "loss": round(quality.loss, 5),
            "jitter_s": quality.jitter_s,
            "delay_s": round(quality.delay_s, 4),
            "mos": None if quality.mos is None else round(quality.mos, 2),
        }
        for side, quality in sides
    }


def _heard(stats: Row, leg: Row) -> tuple[Quality | None, Quality | None]:
    """How the peer of a leg is heard, and how it hears."""
    counters, codec = EndpointStats(**stats), leg.get("codec", "")
    return quality_in(counters, codec), quality_out(counters, codec)


def _named(number: str, name: str) -> str:
    shown = number or "a withheld number"
    return printable(f"{shown} ({name})" if name and name != number else shown)


def _when(row: Row, zone: ZoneInfo) -> str:
    return datetime.fromtimestamp(row["started_at"], zone).strftime("%Y-%m-%d %H:%M:%S")
