"""The first form of the agent's state.

Says in full what the models say today, so that it still creates these tables when the
models have moved on.
"""

import sqlalchemy as sa
from alembic import op

revision = "agent_state_1"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create every table."""
    op.create_table(
        "membership",
        sa.Column(
            "superlink",
            sa.String(255),
            primary_key=True,
            comment="address of the SuperLink",
        ),
        sa.Column(
            "node",
            sa.String(32),
            nullable=False,
            comment="node id there, needed to sign off after a crash",
        ),
    )
    _privacy()
    op.create_table(
        "refusals",
        sa.Column(
            "number",
            sa.Integer(),
            primary_key=True,
            comment="1, 2, 3 and so on",
        ),
        sa.Column(
            "at",
            sa.Double(),
            nullable=False,
            comment="seconds since 1970, UTC",
        ),
        sa.Column(
            "run",
            sa.String(63),
            comment="run of the spec; null: no spec of the model owner came",
        ),
        sa.Column(
            "round",
            sa.BigInteger(),
            comment="round of the spec",
        ),
        sa.Column(
            "purpose",
            sa.String(16),
            nullable=False,
            comment="train, evaluate or statistics",
        ),
        sa.Column(
            "code",
            sa.String(6),
            nullable=False,
            comment="FS-nnn of the reason",
        ),
        sa.Column(
            "detail",
            sa.Text(),
            nullable=False,
            comment="the reason; stays here",
        ),
    )
    op.create_table(
        "replies",
        sa.Column(
            "number",
            sa.Integer(),
            primary_key=True,
            comment="1, 2, 3 and so on",
        ),
        sa.Column(
            "at",
            sa.Double(),
            nullable=False,
            comment="seconds since 1970, UTC",
        ),
        sa.Column(
            "outcome",
            sa.String(16),
            nullable=False,
            comment="receipts or not_reported: all that a reply can say",
        ),
        sa.Column(
            "length",
            sa.BigInteger(),
            nullable=False,
            comment="bytes of the reply",
        ),
    )
    op.create_table(
        "reports",
        sa.Column(
            "spec",
            sa.String(64),
            primary_key=True,
            comment="digest of the round's spec",
        ),
        sa.Column(
            "aggregator",
            sa.String(63),
            primary_key=True,
            comment="which aggregator it is sealed for",
        ),
        sa.Column(
            "study",
            sa.String(64),
            nullable=False,
            index=True,
            comment="digest of the study (see studies)",
        ),
        sa.Column(
            "run",
            sa.String(63),
            nullable=False,
            comment="run of the spec",
        ),
        sa.Column(
            "round",
            sa.BigInteger(),
            nullable=False,
            comment="round of the spec",
        ),
        sa.Column(
            "purpose",
            sa.String(16),
            nullable=False,
            comment="train, evaluate or statistics",
        ),
        sa.Column(
            "attempt",
            sa.BigInteger(),
            nullable=False,
            comment="attempt of the spec",
        ),
        sa.Column(
            "deadline",
            sa.BigInteger(),
            nullable=False,
            comment="deadline of the spec, seconds since 1970, UTC",
        ),
        sa.Column(
            "kind",
            sa.String(8),
            nullable=False,
            comment="seed or vector",
        ),
        sa.Column(
            "length",
            sa.BigInteger(),
            nullable=False,
            comment="bytes of the payload",
        ),
        sa.Column(
            "header",
            sa.Text(),
            nullable=False,
            comment="signed header (JWS)",
        ),
        sa.Column(
            "receipt",
            sa.Text(),
            comment="the aggregator's receipt (JWS), once it came",
        ),
        sa.Column(
            "inclusion",
            sa.Text(),
            comment="what the aggregator said became of it (JWS), once decided",
        ),
        sa.Column(
            "fate",
            sa.String(16),
            comment="included, left out or void; both aggregators agree",
        ),
    )
    op.create_table(
        "studies",
        sa.Column(
            "digest",
            sa.String(64),
            primary_key=True,
            comment="of the task and its terms",
        ),
        sa.Column(
            "content",
            sa.String(64),
            nullable=False,
            index=True,
            comment="digest of the task alone, whatever its terms",
        ),
        sa.Column(
            "text",
            sa.Text(),
            nullable=False,
            comment="the task's text; of another ClientApp its config values (JSON)",
        ),
        sa.Column(
            "terms",
            sa.Text(),
            nullable=False,
            comment="what leaves and how it is hidden (canonical JSON)",
        ),
        sa.Column(
            "parameters",
            sa.BigInteger(),
            nullable=False,
            comment="of the model, the largest number seen; 0: not known yet",
        ),
        sa.Column(
            "asked_by",
            sa.String(63),
            comment="model owner whose signed spec asked; null: only a file did",
        ),
        sa.Column(
            "first_seen",
            sa.Double(),
            nullable=False,
            comment="seconds since 1970, UTC",
        ),
        sa.Column(
            "decision",
            sa.String(8),
            comment="approved or refused, by a person here; null: not decided",
        ),
        sa.Column(
            "decided_at",
            sa.Double(),
            comment="seconds since 1970, UTC",
        ),
        sa.Column(
            "note",
            sa.Text(),
            comment="what that person wrote about it",
        ),
        sa.Column(
            "roster",
            sa.Text(),
            nullable=True,
            comment="who took part then: name -> fingerprint of each party (JSON)",
        ),
    )


def _privacy() -> None:
    op.create_table(
        "privacy_spent",
        sa.Column(
            "spec",
            sa.String(64),
            primary_key=True,
            comment="digest of the round's spec",
        ),
        sa.Column(
            "study",
            sa.String(64),
            nullable=False,
            index=True,
            comment="digest of the study (see studies)",
        ),
        sa.Column(
            "unit",
            sa.String(16),
            comment="what noise protects, row or data-owner; null: no noise",
        ),
        sa.Column(
            "rho_pico",
            sa.BigInteger(),
            comment="cost in 1e-12 of rho (zCDP); null: unbounded, no noise",
        ),
        sa.Column(
            "epsilon",
            sa.Double(),
            comment="the study's budget: epsilon that all its rounds may cost; "
            "null: none",
        ),
        sa.Column(
            "delta",
            sa.Double(),
            comment="the delta at which the budget holds; null: none",
        ),
        sa.Column(
            "state",
            sa.String(10),
            nullable=False,
            comment="held until both aggregators said what became of it, then spent "
            "or, where neither counted it, returned",
        ),
    )
    op.create_table(
        "privacy_totals",
        sa.Column(
            "study",
            sa.String(64),
            primary_key=True,
            comment="digest of the study, or the word all",
        ),
        sa.Column(
            "unit",
            sa.String(16),
            primary_key=True,
            comment="what is protected, row or data-owner; none: a study without noise",
        ),
        sa.Column(
            "rounds",
            sa.BigInteger(),
            nullable=False,
            comment="how many rounds it is of",
        ),
        sa.Column(
            "held",
            sa.BigInteger(),
            nullable=False,
            comment="of those, how many are not decided yet",
        ),
        sa.Column(
            "rho_pico",
            sa.BigInteger(),
            comment="their cost in 1e-12 of rho (zCDP); null: unbounded",
        ),
        sa.Column(
            "limit_pico",
            sa.BigInteger(),
            comment="what the study's budget allows; null: no budget",
        ),
        sa.Column(
            "budget",
            sa.Double(),
            comment="the study's budget, an epsilon; null: no budget",
        ),
        sa.Column(
            "delta",
            sa.Double(),
            nullable=False,
            comment="the delta of every epsilon here",
        ),
        sa.Column(
            "epsilon",
            sa.Double(),
            comment="for who knows the noise of one aggregator; null: unbounded",
        ),
        sa.Column(
            "epsilon_outsider",
            sa.Double(),
            comment="for who knows the noise of neither; null: unbounded",
        ),
    )


def downgrade() -> None:
    """Drop every table."""
    for table in (
        "membership",
        "privacy_spent",
        "privacy_totals",
        "refusals",
        "replies",
        "reports",
        "studies",
    ):
        op.drop_table(table)
