"""Voicemail, mailboxes and recordings of calls."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "voicemail",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("mailbox", sa.String(16), nullable=False),
        sa.Column("caller", sa.String(64), nullable=False),
        sa.Column("caller_name", sa.String(255), nullable=False),
        sa.Column("called", sa.String(64), nullable=False),
        sa.Column("started_at", sa.Float, nullable=False),
        sa.Column("seconds", sa.Float, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("path", sa.String(255), nullable=False),
    )
    op.create_index("ix_voicemail_mailbox", "voicemail", ["mailbox"])
    op.create_table(
        "mailbox",
        sa.Column("key", sa.String(16), primary_key=True),
        sa.Column("greeting", sa.String(255), nullable=False),
        sa.Column("is_full_mail_sent", sa.Boolean, nullable=False),
    )
    op.create_table(
        "recording",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("call_id", sa.String(64), nullable=False),
        sa.Column("extension", sa.String(16), nullable=False),
        sa.Column("started_at", sa.Float, nullable=False),
        sa.Column("seconds", sa.Float),
        sa.Column("path", sa.String(255), nullable=False),
        sa.Column("keep_until", sa.Float),
    )
    op.create_index("ix_recording_call_id", "recording", ["call_id"])
    op.create_index("ix_recording_keep_until", "recording", ["keep_until"])
