"""The tables. They are made and changed by the migrations only; this is what queries are built from.

The office is read and written whole, as one immutable value, so each of its rows is kept as one JSON document
(docs/decisions/store.md): a new setting needs no new column, and a change of the model no join.
"""

from sqlalchemy import JSON, Column, Float, Integer, MetaData, String, Table, Text

metadata = MetaData()

office_item = Table(
    "office_item",
    metadata,
    Column("kind", String(32), primary_key=True),  # a field of office.snapshot.Office: "extensions" ...
    Column("position", Integer, primary_key=True),  # the order of the file
    Column("body", Text, nullable=False),  # JSON, as pydantic writes the frozen type
)

revision = Table(
    "revision",
    metadata,
    Column("id", Integer, primary_key=True),  # always 1: there is one row
    Column("number", Integer, nullable=False),  # 0, and one more with each change of the office
)

binding = Table(
    "binding",
    metadata,
    Column("username", String(255), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("body", JSON, nullable=False),  # sip.location.save_binding
)

member_password = Table(
    "member_password",
    metadata,
    Column("email", String(255), primary_key=True),
    Column("hash", String(255), nullable=False),  # store.passwords
)

call_record = Table(
    "call_record",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("started_at", Float, nullable=False, index=True),  # seconds since 1970
    Column("caller", String(64), nullable=False),
    Column("callee", String(255), nullable=False),
    Column("state", String(16), nullable=False),
    Column("body", JSON, nullable=False),  # call.effects.CallRecord
)
