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
    Column("started_at", Float, nullable=False),  # seconds since 1970
    Column("caller", String(64), nullable=False),  # key, or number in E.164; "" = withheld
    Column("callee", String(255), nullable=False),  # what was dialled
    Column("state", String(16), nullable=False),
    Column("body", JSON, nullable=False),  # call.effects.CallRecord
    Column("kind", String(16), nullable=False, server_default="internal"),
    Index("ix_call_record_listed", "started_at", "id", "state", "kind"),  # the newest first
    Index("ix_call_record_caller", "caller", "started_at"),
    Index("ix_call_record_callee", "callee", "started_at"),
)

call_party = Table(
    "call_party",
    metadata,
    Column("party", String(80), primary_key=True),  # store.records.parties: "100", "trunk carrier"
    Column("started_at", Float, primary_key=True),
    Column("call_id", String(64), primary_key=True, index=True),
    sqlite_with_rowid=False,
)

usage_charge = Table(
    "usage_charge",
    metadata,
    Column("leg", String(96), primary_key=True),
    Column("call_id", String(64), nullable=False),
    Column("key", String(16), nullable=False),  # of the extension whose limit counts it
    Column("month", String(7), nullable=False),  # "2026-11", of the office's zone, in which the call began
    Column("number", String(64), nullable=False),
    Column("started_at", Float, nullable=False, index=True),  # when it was answered
    Column("seconds", Float, nullable=False),
    Column("amount", String(32), nullable=False),  # decimal, exact in every database
    Index("ix_usage_charge_month_key", "month", "key"),
)

usage_open = Table(
    "usage_open",
    metadata,
    Column("leg", String(96), primary_key=True),
    Column("call_id", String(64), nullable=False),
    Column("key", String(16), nullable=False),
    Column("month", String(7), nullable=False),
    Column("number", String(64), nullable=False),
    Column("per_minute", String(32), nullable=False),
    Column("connection", String(32), nullable=False),
    Column("increment", Integer, nullable=False),
    Column("started_at", Float, nullable=False),
    Column("answered_s", Float, nullable=False),  # monotonic: no jump of the clock counts
)

usage_alive = Table(
    "usage_alive",
    metadata,
    Column("id", Integer, primary_key=True),  # always 1
    Column("alive_s", Float, nullable=False),  # monotonic, of the same run as `usage_open`
)

usage_adjustment = Table(
    "usage_adjustment",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("key", String(16), nullable=False),
    Column("month", String(7), nullable=False, index=True),
    Column("at", Float, nullable=False),
    Column("kind", String(16), nullable=False),  # reset, topup
    Column("seconds", Float, nullable=False),  # added to what is used: below zero
    Column("amount", String(32), nullable=False),
)

usage_note = Table(
    "usage_note",
    metadata,
    Column("key", String(16), primary_key=True),
    Column("month", String(7), primary_key=True),
    Column("percent", Integer, primary_key=True),  # of the limit, that was mailed about
    Column("at", Float, nullable=False),
)

trace = Table(
    "trace",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("subject", String(96), nullable=False, index=True),  # a call's id, or "register " and a key
    Column("at", Float, nullable=False, index=True),  # seconds since 1970
    Column("is_sent", Boolean, nullable=False),  # by us
    Column("transport", String(8), nullable=False),
    Column("peer", String(64), nullable=False),
    Column("local", String(64), nullable=False),
    Column("leg", String(64), nullable=False),
    Column("text", Text, nullable=False),  # without credentials
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
