"""Requests for caller IDs: what the commands do, and who hears of it by mail (product §3)."""

import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, Final, Literal
from zoneinfo import ZoneInfo

from pbx.app.mail import leave_mail
from pbx.config import MailConfig
from pbx.entropy import SystemEntropy
from pbx.errors import PbxError
from pbx.mail import facts
from pbx.office.snapshot import Office
from pbx.office.values import E164, NotAllowedError
from pbx.store.caller_ids import CallerIds, Request
from pbx.store.store import Store

ID_CHARACTERS: Final = 8


def ask_for(store: Store, office: Office, mail: MailConfig, key: str, number: str, by: str) -> Request:
    """An extension wants to be shown as a number; staff are mailed, unless the same was asked for already.

    Args:
        by: the email of the member who asks, "" = an administrator of this machine.

    Raises:
        PbxError: there is no such extension or member, or the number is none, or may be shown already.
    """
    extension = office.extension(key)
    if extension is None:
        raise PbxError(f"there is no extension {key}")
    if by and office.member(by) is None:
        raise PbxError(f"no member has the email address {by}")
    try:
        e164 = E164(empty=False).read(number)
    except NotAllowedError as error:
        near = f"; did you mean {error.nearest}?" if error.nearest else ""
        raise PbxError(f"{number!r} is not {error.allowed}{near}") from None
    if office.is_own(e164, extension):
        raise PbxError(f"{key} may show {e164} without a request")
    requests = CallerIds(store)
    wanted = Request(SystemEntropy().token()[:ID_CHARACTERS], key, e164, "pending", time.time())
    request = requests.add(wanted)
    if request == wanted:
        _tell(store, office, mail, request, by.lower(), request.requested_at)
    return request


def decide(
    store: Store,
    office: Office,
    mail: MailConfig,
    request_id: str,
    state: Literal["approved", "rejected"],
    by: str,
) -> Request:
    """Approve or reject a request; staff and whoever has the extension are mailed.

    Args:
        by: the email of the member who decides; "" = an administrator of this machine.

    Raises:
        PbxError: he may not, or there is nothing to decide.
    """
    if by and by.lower() not in office.staff:
        who = "no member has the email address" if office.member(by) is None else "no owner or admin:"
        raise PbxError(f"{who} {by}; caller IDs are decided on by {', '.join(office.staff) or 'nobody'}")
    request = CallerIds(store).decide(request_id, state, by.lower(), time.time())
    _tell(store, office, mail, request, request.decided_by, request.decided_at or 0.0)
    return request


def _tell(store: Store, office: Office, mail: MailConfig, request: Request, by: str, at: float) -> None:
    extension = office.extension(request.extension)
    label, assignee = (extension.label, extension.assignee) if extension is not None else ("", "")
    about = facts.CallerIdRequest(
        facts.Extension(request.extension, label),
        datetime.fromtimestamp(at, UTC),
        request.number,
        request.state,
        by,
    )
    recipients = office.staff if request.state == "pending" or not assignee else (*office.staff, assignee)
    leave_mail(store, mail, office.settings, about, recipients)


def as_rows(requests: Sequence[Request]) -> list[dict[str, Any]]:
    """For JSON."""
    return [
        {
            "id": each.id,
            "extension": each.extension,
            "number": each.number,
            "state": each.state,
            "requested_at": each.requested_at,
            "decided_at": each.decided_at,
            "decided_by": each.decided_by,
        }
        for each in requests
    ]


def as_lines(requests: Sequence[Request], zone: str) -> Iterator[str]:
    """For people."""
    if not requests:
        yield "no requests"
        return
    yield f"{'ID':<10}{'EXT':<8}{'NUMBER':<18}{'STATE':<10}{'SINCE':<18}BY"
    for each in requests:
        at = datetime.fromtimestamp(each.decided_at or each.requested_at, ZoneInfo(zone))
        since = f"{at:%Y-%m-%d %H:%M}"
        words = f"{each.id:<10}{each.extension:<8}{each.number:<18}{each.state:<10}{since:<18}"
        yield f"{words}{each.decided_by}".rstrip()
