"""The block list (product §2, step 1)."""

from pbx.office.snapshot import Office
from pbx.rules.decision import Reject
from pbx.rules.facts import Caller
from pbx.rules.number import forms_of
from pbx.rules.people import number_of


def blocked(office: Office, caller: Caller) -> Reject | None:
    """Who is on the block list is rejected with 603: he shall not try elsewhere (RFC 3261 §21.6.2).

    A caller inside is blocked by his key alone, one outside by his number, however it is written in the list.
    """
    entry = caller.key if office.blocked.is_listed(caller.key) else ""
    if not caller.key:
        entry = _entry(office, number_of(office, caller))
    if not entry:
        return None
    why = f"the caller is on the block list: {entry} (blocked.numbers)"
    return Reject(603, "Decline", why, state="blocked")


def _entry(office: Office, number: str) -> str:
    """The entry of the list that a number is meant by."""
    if not number or not office.blocked.numbers:
        return ""
    forms = forms_of(number, office.settings.country)
    for form in (*forms, number.removeprefix("+")):
        if office.blocked.is_listed(form):
            return form
    return next((entry for form in forms if (entry := office.blocked.beginning_of(form))), "")
