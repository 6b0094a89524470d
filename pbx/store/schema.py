"""The tables. They are made and changed by the migrations only; this is what queries are built from.

The office is read and written whole, as one immutable value, so each of its rows is kept as one JSON document
(docs/decisions/store.md): a new setting needs no new column, and a change of the model no join.
"""

from sqlalchemy import JSON, Boolean, Column, Float, Index, Integer, MetaData, String, Table, Text

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

hot_desk_login = Table(
    "hot_desk_login",
    metadata,
    Column("device", String(255), primary_key=True),  # SIP user
    Column("member", String(255), nullable=False),  # email
    Column("since", Float, nullable=False),  # seconds since 1970
)

caller_id_request = Table(
    "caller_id_request",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("extension", String(16), nullable=False),
    Column("number", String(64), nullable=False),
    Column("state", String(16), nullable=False),  # store.caller_ids.State
    Column("requested_at", Float, nullable=False),
    Column("decided_at", Float),  # NULL while it is pending
    Column("decided_by", String(255), nullable=False),  # the email of a member, "" while it is pending
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

voicemail = Table(
    "voicemail",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("mailbox", String(16), nullable=False, index=True),  # the key of an extension
    Column("caller", String(64), nullable=False),  # number or key, "" = withheld or unknown
    Column("caller_name", String(255), nullable=False),
    Column("called", String(64), nullable=False),  # what the caller had dialled
    Column("started_at", Float, nullable=False),  # seconds since 1970
    Column("seconds", Float, nullable=False),
    Column("state", String(16), nullable=False),  # store.voicemail.State
    Column("path", String(255), nullable=False),  # of the finished file, relative to the data folder
)

mailbox = Table(
    "mailbox",
    metadata,
    Column("key", String(16), primary_key=True),
    Column("greeting", String(255), nullable=False),  # path relative to the data folder, "" = none of its own
    Column("is_full_mail_sent", Boolean, nullable=False),  # the owner knows that it is full
)

recording = Table(
    "recording",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("call_id", String(64), nullable=False, index=True),
    Column("extension", String(16), nullable=False),
    Column("started_at", Float, nullable=False),
    Column("seconds", Float),  # NULL while it is being recorded
    Column("path", String(255), nullable=False),
    Column("keep_until", Float, index=True),  # NULL = for ever
)

outbox_mail = Table(
    "outbox_mail",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("created_at", Float, nullable=False),  # seconds since 1970, like all times here
    Column(
        "since", Float, nullable=False
    ),  # when trying began: at `created_at`, or at the last `pbx mail retry`
    Column("recipient", String(254), nullable=False),
    Column("subject", String(255), nullable=False),
    Column("body", JSON, nullable=False),  # mail.outbox: the letter and its attachment; {} once it is sent
    Column("state", String(16), nullable=False),  # waiting, sending, sent, refused
    Column("attempts", Integer, nullable=False),
    Column("doubts", Integer, nullable=False),  # attempts after which nobody knows whether it arrived
    Column("next_at", Float, nullable=False),
    Column("changed_at", Float, nullable=False),
    Column("words", Text, nullable=False),  # the server's, at the last attempt
    Index("ix_outbox_mail_state_next_at", "state", "next_at"),
)
