"""What calls leave behind, as rows for the database: times there are seconds since 1970."""

from typing import Any

from pbx.address import hostport
from pbx.call.effects import CallRecord, TracedMessage


def record_row(record: CallRecord, ended_at: float) -> dict[str, Any]:
    """The row of a call that has ended just now."""
    return {
        "id": record.id,
        "started_at": ended_at - record.duration_s,
        "caller": record.caller,
        "callee": record.callee[:255],
        "state": record.state,
        "kind": record.kind,
        "body": record.as_row(),
    }


def trace_row(message: TracedMessage, ahead_s: float) -> dict[str, Any]:
    """The row of a SIP message; the wall clock is so far ahead of the monotonic one."""
    return {
        "subject": message.subject,
        "at": message.at + ahead_s,
        "is_sent": message.is_sent,
        "transport": message.flow.transport,
        "peer": hostport(*message.flow.peer),
        "local": hostport(*message.flow.local),
        "leg": message.leg,
        "text": message.text,
    }
