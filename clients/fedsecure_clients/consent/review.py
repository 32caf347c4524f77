"""A study as a person at a data owner has to judge it, in figures and plain words.

Everything is read from what the digest covers, the task's text and its terms; only who
asks, since when, and the number of parameters come from the agent's state.
"""

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from fedsecure.errors import FedsecureError, PeerError
from fedsecure.protocol.identity import Federation
from fedsecure.protocol.statements import Purpose, ScalarField, Weighting
from fedsecure.study.keras.allowlist import layers_in, parse_allowed
from fedsecure.study.keras.architecture import MODEL
from fedsecure.study.task import STUDY, Task
from fedsecure.study.terms import StudyRequest, Terms, require_declared
from fedsecure_clients.consent.checks import require_layers
from fedsecure_clients.consent.policy import Policy, few
from fedsecure_clients.state.roster import came_in, differences, roster_of
from fedsecure_clients.state.studies import Decision, KnownStudy

TOLD: Final[Mapping[Weighting, str]] = {
    Weighting.EQUAL: "Everybody weighs the same: weights tell nothing about your "
    "number of rows.",
    Weighting.ROUNDED: "Your weight is your number of training rows, rounded to a "
    "power of two, at most {cap:,}. Sums of weights are opened: two that differ by you "
    "alone tell your number within a factor of about 1.5.",
    Weighting.EXACT: "Your weight is your number of training rows, at most {cap:,}. "
    "Sums of weights are opened: two that differ by you alone tell your number.",
}
SIZES: Final = ("units", "filters", "kernel_size", "pool_size", "rate", "activation")


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule of the data owner's policy beside what a study asks for.

    `code`: of the error with which the agent would refuse, or None.
    """

    name: str
    asked: str
    allowed: str
    code: str | None


@dataclass(frozen=True, slots=True)
class Review:
    """One study, the data owner's policy, and how both go together."""

    known: KnownStudy
    study: StudyRequest
    policy: Policy
    federation: Federation
    answered_as: str | None
    now: float

    @property
    def name(self) -> str:
        """What the model owner calls the study."""
        return self.study.task.study if self.study.task else "another ClientApp"

    @property
    def since(self) -> list[str]:
        """What changed among those who take part since a person decided here."""
        if self.known.roster is None:
            return []
        return list(differences(self.known.roster, roster_of(self.federation)))

    @property
    def state(self) -> str:
        """What becomes of its next round, in a few words."""
        if self._others():
            return "waits for you"
        if self.known.decision is not None:
            return self.known.decision.value
        waits = self.policy.studies == "approved" or self.answered_as is not None
        return "waits for you" if waits else "needs no approval"

    def rules(self) -> Iterator[Rule]:
        """Yield every rule of the policy that this study meets."""
        yield from self._rules_of_terms()
        yield from self._rules_of_task()
        yield from self._rules_of_time()

    def objections(self) -> list[Rule]:
        """Return the rules by which the agent would refuse a round just now."""
        return [rule for rule in self.rules() if rule.code]

    def leaves(self) -> Iterator[str]:
        """Say what leaves this data owner's machine, one sentence each."""
        terms, federation = self.study.terms, self.federation
        a, b = (party.name for party in federation.pair)
        yield (
            f"Each round's numbers leave as two shares, one to {a} and one to {b}; "
            "either alone tells nothing."
        )
        yield (
            f"{federation.model_owner.name} opens one sum a round, over at least "
            f"{terms.min_cohort} data owners."
        )
        yield (
            "Train rounds: the change of the model's weights, clipped to a length of "
            f"{terms.clip:g}{_statistics(terms)}."
        )
        metrics = ", ".join(map(_metric, terms.scalars)) or "none"
        yield f"Every round: metrics on your held-out rows: {metrics}."
        yield TOLD[terms.weighting].format(cap=terms.weight_cap)
        yield (
            "Sums also say how many updates were clipped, how many values were out of "
            "range, and how many data owners could not measure a model. Who took part, "
            "and when, is not hidden."
        )

    def as_json(self) -> dict[str, Any]:
        """Return what `--json` prints; the keys are an interface."""
        owner, task, terms = (
            self.federation.model_owner,
            self.study.task,
            self.study.terms,
        )
        return {
            "digest": self.known.digest,
            "name": self.name,
            "state": self.state,
            "decision": self.known.decision,
            "decided_at": self.known.decided_at,
            "note": self.known.note,
            "changed_since": self.since,
            "first_seen": self.known.first_seen,
            "asked": self.known.asked_by is not None,
            "model_owner": {"name": owner.name, "fingerprint": owner.fingerprint},
            "parameters": self.known.parameters or None,
            "layers": layers(task) if task else None,
            "reads": self.study.reads,
            "classes": task.features.class_names if task else None,
            "terms": terms.model_dump(mode="json"),
            "leaves": list(self.leaves()),
            "answered": self.known.answered,
            "rules": [dataclasses.asdict(rule) for rule in self.rules()],
            "refused_by": [rule.code for rule in self.objections()],
        }

    def _others(self) -> list[str]:
        """Return who came in since the approval, where the policy asks for that."""
        approved = self.known.decision is Decision.APPROVED
        if not approved or self.policy.roster == "any":
            return []
        return came_in(self.known.roster or {}, roster_of(self.federation))

    def _rules_of_terms(self) -> Iterator[Rule]:
        policy, terms = self.policy, self.study.terms
        yield Rule(
            "sums over at least",
            str(terms.min_cohort),
            f"{policy.min_cohort} or more",
            _code(partial(policy.require_cohort, terms.min_cohort)),
        )
        yield Rule(
            "longest update (clip)",
            f"{terms.clip:g}",
            f"at most {policy.max_clip:g}",
            _code(partial(policy.require_clip, terms.clip)),
        )
        if terms.statistics is not None:
            yield Rule(
                "longest statistics (clip)",
                f"{terms.statistics.clip:g}",
                f"at most {policy.max_clip:g}",
                _code(partial(policy.require_clip, terms.statistics.clip)),
            )
        yield Rule(
            "weighting",
            terms.weighting.value,
            _listed(policy.weightings),
            _code(partial(policy.require_weighting, terms.weighting)),
        )
        yield Rule(
            "metrics",
            f"{len(terms.scalars)} shared",
            "as declared",
            _code(partial(require_declared, self.study)),
        )
        if self.answered_as is not None:
            undecided = self.known.decision is None
            yield Rule(
                "terms",
                "others than before",
                f"as in {self.answered_as[:12]}",
                "FS-426" if undecided else None,
            )

    def _rules_of_task(self) -> Iterator[Rule]:
        policy, study, reads = self.policy, self.study, self.study.reads
        offered = policy.columns
        others = [
            name for name in reads or () if offered is not None and name not in offered
        ]
        yield Rule(
            "reads",
            few(others) or ("not said" if reads is None else f"{len(reads)} names"),
            "whatever it is" if offered is None else f"{len(offered)} names offered",
            _code(partial(policy.require_offered, reads)),
        )
        parameters = self.known.parameters
        yield Rule(
            "parameters",
            f"{parameters:,}" if parameters else "not known yet",
            f"at most {policy.max_dimension:,}",
            _code(partial(policy.require_dimension, parameters)),
        )
        if study.task is not None:
            yield Rule(
                "layers",
                str(len(layers(study.task))),
                f"at most {policy.max_layers:,}",
                _code(partial(require_layers, policy, study)),
            )

    def _rules_of_time(self) -> Iterator[Rule]:
        policy, answered = self.policy, self.known.answered
        for purpose in Purpose:
            count = answered.get(purpose.value, 0)
            forbidden = _code(partial(policy.require_purpose, purpose))
            spent = _code(partial(policy.require_rounds_left, count, purpose))
            yield Rule(
                f"{purpose.value} rounds",
                f"{count:,} answered",
                f"at most {policy.max_rounds:,}" if not forbidden else "none",
                forbidden or spent,
            )
        if policy.hours is not None:
            yield Rule(
                "hours",
                "now",
                ", ".join(window.text for window in policy.hours),
                _code(partial(policy.require_hour, self.now)),
            )
        if self.known.decision is Decision.REFUSED:
            yield Rule("your decision", "refused", "", "FS-419")
        elif self.known.decision is None and policy.studies == "approved":
            yield Rule("your decision", "none yet", "approved", "FS-418")
        elif others := self._others():
            yield Rule("your decision", f"without {few(others)}", "for all", "FS-762")


def request_of(known: KnownStudy) -> StudyRequest:
    """Return what a stored study asks for; its text is not believed to be a task."""
    return StudyRequest({STUDY: known.text}, Terms.model_validate_json(known.terms))


def layers(task: Task) -> list[str]:
    """Return the layers of a Keras model in words, such as "Dense 12 relu"."""
    try:
        model = parse_allowed(task.model, MODEL)
    except PeerError:
        return []
    return [_layer(one) for one in layers_in(model)]


def _layer(layer: Mapping[str, Any]) -> str:
    config = layer.get("config", {})
    shape = config.get("batch_shape")
    facts = [
        config[key] for key in SIZES if isinstance(config.get(key), str | int | float)
    ]
    facts += [tuple(config[key]) for key in SIZES if isinstance(config.get(key), list)]
    if isinstance(shape, list):
        facts.append(tuple(shape[1:]))
    return " ".join([str(layer["class_name"]), *map(str, facts)])


def _metric(scalar: ScalarField) -> str:
    if scalar.low is None or scalar.high is None:
        return f"{scalar.name} (a count)"
    many = f"{scalar.size} bins, " if scalar.size > 1 else ""
    return f"{scalar.name} ({many}{scalar.low:g} to {scalar.high:g})"


def _listed(values: frozenset[Weighting]) -> str:
    return ", ".join(sorted(value.value for value in values)) or "none"


def _code(check: Callable[[], None]) -> str | None:
    try:
        check()
    except FedsecureError as error:
        return error.code
    return None


def _statistics(terms: Terms) -> str:
    if terms.statistics is None:
        return ""
    size = sum(end - start for start, end in terms.statistics.ranges)
    return (
        f"; and of {size:,} statistics that training updates, such as moving averages, "
        f"to a length of {terms.statistics.clip:g}"
    )
