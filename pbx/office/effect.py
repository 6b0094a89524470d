"""Which settings are stored and have no behaviour yet; each release takes lines out of this table."""

from collections.abc import Iterator
from dataclasses import fields
from typing import Any, Final

from pbx.office.codes import Codes
from pbx.office.snapshot import Office
from pbx.office.table import Nested, Rows, columns_of

PROMPT: Final = ("mp3", "text", "language", "gender", "pitch", "rate")
TRUNK: Final = (
    *("name", "server", "username", "password", "register", "addresses", "foreign_caller_id", "codecs"),
    *("max_calls", "prefix"),
)
IN_EFFECT: Final = frozenset(
    {
        "office.name",
        "office.country",
        "office.timezone",
        "office.voicemail_messages",
        "office.voicemail_minutes",
        "office.recording_days",
        "office.announce_recording",
        "office.language",
        "office.emergency",
        "office.passcode_missing",
        "office.hot_desk_keys",
        "office.hot_desk_logout",
        *(f"office.codes.{each.name}" for each in fields(Codes)),
        *(f"office.hold_music.{key}" for key in PROMPT),
        "member.email",
        "member.name",
        "member.account",
        "member.pin",
        "member.mobile",
        "extension.key",
        "extension.label",
        "extension.assignee",
        "extension.type",
        "extension.hot_desking",
        "extension.debug",
        "extension.passcode",
        "extension.record",
        "extension.outbound_rule",
        "extension.call_waiting",
        *(f"extension.incoming.{key}" for key in ("do_not_disturb", "gateway")),
        *(f"extension.incoming.forward.{key}" for key in ("enabled", "number", "extensions", "vip")),
        *(f"extension.caller_id.{key}" for key in ("mode", "number", "assigned", "forwarded")),
        "extension.device.kind",
        "extension.device.username",
        "extension.device.password",
        "extension.device.tls",
        "extension.device.ring",
        *(f"extension.usage_limit.{key}" for key in ("kind", "amount", "minutes")),
        "extension.no_answer.action",
        "extension.no_answer.timeout",
        "extension.no_answer.emails",
        "extension.no_answer.forward_to",
        *(f"extension.no_answer.greeting.{key}" for key in PROMPT),
        *(f"trunk.{key}" for key in TRUNK),
        *(f"rate.{key}" for key in ("prefix", "per_minute", "connection", "increment")),
        "gateway.name",
        "gateway.server",
        "gateway.username",
        "gateway.password",
        "gateway.outbound_rule",
        "number.number",
        "number.destination",
        *(f"outbound_rule.{key}" for key in ("name", "trunks")),
        *(f"outbound_rule.dial_plan.{key}" for key in ("starts_with", "length", "remove", "prepend")),
        *(f"outbound_rule.country.{key}" for key in ("country", "passcode")),
        *(f"outbound_rule.caller_id_plan.{key}" for key in ("country", "prefix", "number")),
        *(f"group.{key}" for key in ("key", "label", "members", "strategy", "ring_seconds")),
        "blocked.numbers",
        "room.key",
        "room.pin",
    }
)


def not_yet_in_effect(office: Office) -> list[str]:
    """The keys that are set to something and do nothing yet, each once: `extension.record`, `trunk`.

    Of a table in which nothing has an effect, only the table is named.
    """
    return list(dict.fromkeys(_widen(path) for path in _set_keys(office, "") if path not in IN_EFFECT))


def _widen(path: str) -> str:
    """The outermost table around the key in which nothing is in effect, else the key."""
    parts = path.split(".")
    tables = (".".join(parts[:depth]) for depth in range(1, len(parts)))
    return next(
        (table for table in tables if not any(known.startswith(f"{table}.") for known in IN_EFFECT)), path
    )


def _set_keys(value: Any, before: str) -> Iterator[str]:
    for column in columns_of(value):
        path = before + column.key
        content = getattr(value, column.attribute)
        if isinstance(column.shape, Nested):
            yield from _set_keys(content, f"{path}.")
        elif isinstance(column.shape, Rows):
            for row in content:
                yield from _set_keys(row, f"{path}.")
        elif column.required or column.is_tag or content != column.default:
            yield path
