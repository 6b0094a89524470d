"""What an extension may spend or talk in a calendar month."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Literal

from pbx.office.values import Amount, Whole


@dataclass(frozen=True, slots=True)
class UsageLimit:
    kind: Literal["none", "amount", "minutes"] = "none"
    amount: Annotated[Decimal, Amount()] = Decimal(0)
    minutes: Annotated[int, Whole(0, 1_000_000)] = 0
