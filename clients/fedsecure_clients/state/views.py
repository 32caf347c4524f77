"""The agent's state as people read it.

    sqlite3 agent.db 'select * from v_privacy'

How views are made and what they promise: `fedsecure.storage.views`.
"""

from typing import Final

from fedsecure.storage.views import Column, Form, View

V_PRIVACY: Final = View(
    "v_privacy",
    "what rounds cost this data owner in privacy: one row for each study that was "
    "answered, and one for all together by what is protected",
    (
        Column("study", "t.study", "digest of the study, or the word all"),
        Column("unit", "t.unit", "row or data-owner; none: a study without noise"),
        Column("rounds", "t.rounds", "rounds that were answered and not returned"),
        Column("held", "t.held", "of those, how many are not decided yet"),
        Column("rho", "t.rho_pico * 1e-12", "cost (zCDP); null: unbounded"),
        Column("delta", "t.delta", "the delta of every epsilon of the row"),
        Column(
            "epsilon",
            "t.epsilon",
            "for who knows the noise of one aggregator; null: unbounded",
            Form.FRACTION,
        ),
        Column(
            "epsilon_outsider",
            "t.epsilon_outsider",
            "for who knows the noise of neither; null: unbounded",
            Form.FRACTION,
        ),
        Column("budget", "t.budget", "the study's epsilon; null: it has none"),
        Column(
            "used",
            "t.rho_pico * 1.0 / t.limit_pico",
            "part of the budget's rho that is used, 0 to 1; null: no budget",
            Form.FRACTION,
        ),
    ),
    "FROM privacy_totals t",
)

VIEWS: Final = (V_PRIVACY,)
