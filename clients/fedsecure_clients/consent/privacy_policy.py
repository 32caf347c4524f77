"""What a data owner wants to have protected: `[policy.privacy]` of agent.toml."""

from typing import Annotated, Final, Self

from pydantic import Field, model_validator

from fedsecure.core.dp.sensitivity import Unit
from fedsecure.errors import PeerError
from fedsecure.protocol.statements import PrivacyField, RoundSpec
from fedsecure.system import toml_file
from fedsecure_clients.state.privacy import Budget, PrivacyAccount, Total

MAX_DELTA: Final = 1e-5


class PrivacyPolicy(toml_file.Settings):
    """The section `[policy.privacy]`; who writes it asks for noise in every round.

    `required`: whether rounds without noise are refused. `unit`: what must be
    protected at least; who protects a whole data owner protects each of its rows.
    `max_epsilon`: of a study, and of all studies together; None: each study's own
    budget alone. `max_delta`: at which it must hold.
    """

    required: bool = True
    unit: Annotated[Unit, Field(strict=False)] = Unit.ROW
    max_epsilon: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    max_delta: Annotated[float, Field(gt=0, lt=1)] = MAX_DELTA

    @model_validator(mode="after")
    def _a_limit_needs_noise(self) -> Self:
        if self.max_epsilon is not None and not self.required:
            msg = "max_epsilon cannot hold with required = false"
            raise ValueError(msg)
        return self

    @property
    def budget(self) -> Budget | None:
        """What all studies together may cost; None: no limit."""
        if self.max_epsilon is None:
            return None
        return Budget(self.max_epsilon, self.max_delta)

    def require(self, asked: PrivacyField | None) -> None:
        """Refuse a study that promises less than this data owner asks for.

        Raises:
            PeerError: FS-430 with both sides' values.
        """
        self.require_unit(asked.unit if asked else None)
        if asked is not None:
            self.require_delta(asked.delta)
            self.require_epsilon(asked.epsilon)

    def require_unit(self, unit: Unit | None) -> None:
        """Refuse what protects nothing (None), or less than is asked for.

        Raises:
            PeerError: FS-430 with both sides' values.
        """
        if unit is None and self.required:
            raise PeerError("FS-430", "no noise, policy says required")
        if self.unit is Unit.DATA_OWNER and unit is Unit.ROW:
            raise PeerError("FS-430", f"unit {unit}, policy says {self.unit}")

    def require_delta(self, delta: float) -> None:
        """Refuse a budget that leaves too much to chance.

        Raises:
            PeerError: FS-430 with both numbers.
        """
        if not delta <= self.max_delta:
            raise PeerError(
                "FS-430", f"delta {delta:g}, policy says {self.max_delta:g}"
            )

    def require_epsilon(self, epsilon: float) -> None:
        """Refuse a study whose own budget is larger than what all may tell together.

        Raises:
            PeerError: FS-430 with both numbers.
        """
        if self.max_epsilon is not None and not epsilon <= self.max_epsilon:
            raise PeerError(
                "FS-430", f"epsilon {epsilon:g}, policy says {self.max_epsilon:g}"
            )


def require_room(
    account: PrivacyAccount,
    policy: PrivacyPolicy | None,
    spec: RoundSpec,
    study: str,
    cost: int | None,
) -> None:
    """Refuse a round that would tell more than a budget allows. Run by a data owner.

    Guarantee: by this agent's own account, no study costs more than the epsilon under
    which it was approved, in whatever runs, rounds, attempts and purposes it is asked;
    and all studies together no more than `max_epsilon`.

    Args:
        account: What was told so far.
        policy: This data owner's; None: the study's own budget alone.
        spec: Of the round.
        study: Its digest, as computed here.
        cost: Of the round, in 1e-12 of rho; None: it has no noise.

    Raises:
        PeerError: FS-431 with what is spent and what is allowed.
    """
    own = spec.privacy
    if own is not None:
        budget = Budget(own.epsilon, own.delta)
        _require(budget, account.of_study(study), cost, f"study {study[:12]}")
    if policy is not None and policy.budget is not None:
        total = account.of_unit(policy.unit)
        _require(policy.budget, total, cost, "all studies together")


def _require(budget: Budget, total: Total, cost: int | None, where: str) -> None:
    if budget.holds(total.plus(cost)):
        return
    spent = total.at(budget.delta)
    told = f"{spent.one_server_corrupt:.4g}" if spent else "without bound"
    raise PeerError(
        "FS-431",
        f"{where}: epsilon {told} is spent, with this round it would be above "
        f"{budget.epsilon:g}",
    )
