"""What calls to a prefix cost."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated

from pbx.office.values import Amount, Text, Whole

RATE_PREFIX = Text(16, r"\+[0-9]{0,15}", 'a "+" and first digits, such as "+84"', empty=False)


@dataclass(frozen=True, slots=True)
class Rate:
    """`increment`: talk time is rounded up to a multiple of so many seconds."""

    prefix: Annotated[str, RATE_PREFIX]
    per_minute: Annotated[Decimal, Amount()] = Decimal(0)
    connection: Annotated[Decimal, Amount()] = Decimal(0)
    increment: Annotated[int, Whole(1, 3600, "seconds")] = 60
