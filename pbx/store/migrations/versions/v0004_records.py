"""Call records to be looked for, what is charged to extensions, and SIP traces."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Make the tables; call records of before have no parties, and are found by caller, callee and time."""
    op.add_column("call_record", sa.Column("kind", sa.String(16), nullable=False, server_default="internal"))
    op.drop_index("ix_call_record_started_at", "call_record")
    op.create_index("ix_call_record_listed", "call_record", ["started_at", "id", "state", "kind"])
    op.create_index("ix_call_record_caller", "call_record", ["caller", "started_at"])
    op.create_index("ix_call_record_callee", "call_record", ["callee", "started_at"])
    op.create_table(
        "call_party",
        sa.Column("party", sa.String(80), primary_key=True),
        sa.Column("started_at", sa.Float, primary_key=True),
        sa.Column("call_id", sa.String(64), primary_key=True),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_call_party_call_id", "call_party", ["call_id"])
    _usage()
    op.create_table(
        "trace",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("subject", sa.String(96), nullable=False),
        sa.Column("at", sa.Float, nullable=False),
        sa.Column("is_sent", sa.Boolean, nullable=False),
        sa.Column("transport", sa.String(8), nullable=False),
        sa.Column("peer", sa.String(64), nullable=False),
        sa.Column("local", sa.String(64), nullable=False),
        sa.Column("leg", sa.String(64), nullable=False),
        sa.Column("text", sa.Text, nullable=False),
    )
    op.create_index("ix_trace_subject", "trace", ["subject"])
    op.create_index("ix_trace_at", "trace", ["at"])


def _usage() -> None:
    op.create_table(
        "usage_charge",
        sa.Column("leg", sa.String(96), primary_key=True),
        sa.Column("call_id", sa.String(64), nullable=False),
        sa.Column("key", sa.String(16), nullable=False),
        sa.Column("month", sa.String(7), nullable=False),
        sa.Column("number", sa.String(64), nullable=False),
        sa.Column("started_at", sa.Float, nullable=False),
        sa.Column("seconds", sa.Float, nullable=False),
        sa.Column("amount", sa.String(32), nullable=False),
    )
    op.create_index("ix_usage_charge_month_key", "usage_charge", ["month", "key"])
    op.create_index("ix_usage_charge_started_at", "usage_charge", ["started_at"])
    op.create_table(
        "usage_open",
        sa.Column("leg", sa.String(96), primary_key=True),
        sa.Column("call_id", sa.String(64), nullable=False),
        sa.Column("key", sa.String(16), nullable=False),
        sa.Column("month", sa.String(7), nullable=False),
        sa.Column("number", sa.String(64), nullable=False),
        sa.Column("per_minute", sa.String(32), nullable=False),
        sa.Column("connection", sa.String(32), nullable=False),
        sa.Column("increment", sa.Integer, nullable=False),
        sa.Column("started_at", sa.Float, nullable=False),
        sa.Column("answered_s", sa.Float, nullable=False),
    )
    alive = op.create_table(
        "usage_alive",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("alive_s", sa.Float, nullable=False),
    )
    op.bulk_insert(alive, [{"id": 1, "alive_s": 0.0}])
    op.create_table(
        "usage_adjustment",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("key", sa.String(16), nullable=False),
        sa.Column("month", sa.String(7), nullable=False),
        sa.Column("at", sa.Float, nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("seconds", sa.Float, nullable=False),
        sa.Column("amount", sa.String(32), nullable=False),
    )
    op.create_index("ix_usage_adjustment_month", "usage_adjustment", ["month"])
    op.create_table(
        "usage_note",
        sa.Column("key", sa.String(16), primary_key=True),
        sa.Column("month", sa.String(7), primary_key=True),
        sa.Column("percent", sa.Integer, primary_key=True),
        sa.Column("at", sa.Float, nullable=False),
    )
