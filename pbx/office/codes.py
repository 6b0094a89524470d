"""What can be dialled besides keys and numbers, and pressed in a call (product §4 and §5): [office.codes]."""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Annotated, Final

from pbx.office.marks import Many
from pbx.office.values import Text

CODE: Final = Text(8, r"[*#][0-9*#]{1,7}", 'a code of 2 to 8 of 0-9 * #, the first * or #, such as "*78"')
LOGIN_CODE: Final = Text(
    8, r"[*#0][0-9*#]{1,7}", 'a code of 2 to 8 of 0-9 * #, the first *, # or 0, such as "00#"', empty=False
)
IN_CALL: Final = ("transfer", "back", "record")


@dataclass(frozen=True, slots=True)
class Codes:
    """No code ("") switches a service off. Something follows forward_on, fetch, pick_up, hide_caller_id."""

    own_mailbox: Annotated[str, CODE] = "*97"
    any_mailbox: Annotated[str, CODE] = "*98"
    do_not_disturb_on: Annotated[str, CODE] = "*78"
    do_not_disturb_off: Annotated[str, CODE] = "*79"
    forward_on: Annotated[str, CODE] = "*72"
    forward_off: Annotated[str, CODE] = "*73"
    pick_up: Annotated[str, CODE] = "**"
    pick_up_in_group: Annotated[str, CODE] = "*8"
    park: Annotated[str, CODE] = "*85"
    fetch: Annotated[str, CODE] = "*86"
    echo_test: Annotated[str, CODE] = "*43"
    say_keys: Annotated[str, CODE] = "*44"
    hide_caller_id: Annotated[str, CODE] = "*67"
    hot_desk: Annotated[tuple[str, ...], Many(LOGIN_CODE, limit=10)] = ("00#", "00", "*11")
    hot_desk_logout: Annotated[str, CODE] = "*12"
    transfer: Annotated[str, CODE] = "##2"
    back: Annotated[str, CODE] = "##3"
    record: Annotated[str, CODE] = "*1"

    def all(self) -> Iterator[tuple[str, str]]:
        """Every code that there is, with the name of its key."""
        for each in fields(self):
            value: str | tuple[str, ...] = getattr(self, each.name)
            for code in (value,) if isinstance(value, str) else value:
                if code:
                    yield each.name, code

    def in_call(self) -> dict[str, str]:
        """What is pressed in a call: code -> key."""
        return {code: name for name, code in self.all() if name in IN_CALL}

    def dialled(self) -> dict[str, str]:
        """What is dialled: code -> key."""
        return {code: name for name, code in self.all() if name not in IN_CALL}
