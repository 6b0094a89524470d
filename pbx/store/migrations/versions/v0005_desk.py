"""Logins at hot-desk phones, and requests for caller IDs."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "hot_desk_login",
        sa.Column("device", sa.String(255), primary_key=True),
        sa.Column("member", sa.String(255), nullable=False),
        sa.Column("since", sa.Float, nullable=False),
    )
    op.create_table(
        "caller_id_request",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("extension", sa.String(16), nullable=False),
        sa.Column("number", sa.String(64), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("requested_at", sa.Float, nullable=False),
        sa.Column("decided_at", sa.Float),
        sa.Column("decided_by", sa.String(255), nullable=False),
    )
