"""The first form of the agent's state."""

import sqlalchemy as sa
from alembic import op

revision = "agent_state_1"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create every table."""
    op.create_table(
        "reports",
        sa.Column("spec", sa.String(64), primary_key=True),
        sa.Column("aggregator", sa.String(63), primary_key=True),
        sa.Column("run", sa.String(63), nullable=False),
        sa.Column("round", sa.BigInteger, nullable=False),
        sa.Column("purpose", sa.String(16), nullable=False),
        sa.Column("attempt", sa.BigInteger, nullable=False),
        sa.Column("kind", sa.String(8), nullable=False),
        sa.Column("length", sa.BigInteger, nullable=False),
        sa.Column("header", sa.Text, nullable=False),
        sa.Column("receipt", sa.Text),
        sa.Column("inclusion", sa.Text),
        sa.Column("fate", sa.String(16)),
    )
    op.create_table(
        "replies",
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("at", sa.Float, nullable=False),
        sa.Column("outcome", sa.String(16), nullable=False),
        sa.Column("length", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "membership",
        sa.Column("superlink", sa.String(255), primary_key=True),
        sa.Column("node", sa.String(32), nullable=False),
    )


def downgrade() -> None:
    """Drop every table."""
    for table in ("membership", "replies", "reports"):
        op.drop_table(table)
