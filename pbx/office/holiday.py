"""A day on which the office is closed."""

import datetime
from dataclasses import dataclass
from typing import Annotated

from pbx.office.values import LABEL, Day


@dataclass(frozen=True, slots=True)
class Holiday:
    date: Annotated[datetime.date, Day()]
    name: Annotated[str, LABEL] = ""
