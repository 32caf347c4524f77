"""A study as a person at a data owner has to judge it, in figures and plain words.

Everything is read from what the digest covers, the task's text and its terms; only who
asks, since when, and the number of parameters come from the agent's state.
"""

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from fedsecure.errors import PeerError
from fedsecure.protocol.identity import Federation
from fedsecure.protocol.statements import Purpose, Weighting
from fedsecure.study.keras.allowlist import layers_in, parse_allowed
from fedsecure.study.keras.architecture import MODEL
from fedsecure.study.task import STUDY, Task
from fedsecure.study.terms import StudyRequest, Terms, require_declared
from fedsecure_clients.consent.checks import require_layers
from fedsecure_clients.consent.policy import Policy, few
from fedsecure_clients.consent.privacy_review import PrivacyReview, Spent
from fedsecure_clients.consent.rules import Rule, code_of
from fedsecure_clients.consent.what_is_counted import what_is_counted
from fedsecure_clients.consent.what_leaves import what_leaves
from fedsecure_clients.state.roster import came_in, differences, roster_of
from fedsecure_clients.state.studies import Decision, KnownStudy

SIZES: Final = ("units", "filters", "kernel_size", "pool_size", "rate", "activation")


@dataclass(frozen=True, slots=True)
class Review:
    """One study, the data owner's policy, and how both go together."""

    known: KnownStudy
    study: StudyRequest
    policy: Policy
    federation: Federation
    answered_as: str | None
    now: float
    spent: Spent = field(default_factory=Spent)

    @property
    def privacy(self) -> PrivacyReview:
        """What it may tell about one unit, beside what was told so far."""
        asked = self.study.terms.privacy
        return PrivacyReview(asked, self.policy.privacy, self.spent)

    @property
    def name(self) -> str:
        """What the model owner calls the study."""
        if self.study.statistics:
            return f"{self.study.statistics.study}: statistics"
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
        yield from self.privacy.rules()
        yield from self._rules_of_task()
        yield from self._rules_of_time()

    def objections(self) -> list[Rule]:
        """Return the rules by which the agent would refuse a round just now."""
        return [rule for rule in self.rules() if rule.code]

    def leaves(self) -> Iterator[str]:
        """Say what leaves this data owner's machine, one sentence each."""
        terms, statistics = self.study.terms, self.study.statistics
        if statistics:
            return what_is_counted(statistics, terms, self.federation)
        return what_leaves(terms, self.federation)

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
            "privacy": self.privacy.as_json(),
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
            code_of(partial(policy.require_cohort, terms.min_cohort)),
        )
        yield Rule(
            "longest update (clip)",
            f"{terms.clip:g}",
            f"at most {policy.max_clip:g}",
            code_of(partial(policy.require_clip, terms.clip)),
        )
        if terms.statistics is not None:
            yield Rule(
                "longest statistics (clip)",
                f"{terms.statistics.clip:g}",
                f"at most {policy.max_clip:g}",
                code_of(partial(policy.require_clip, terms.statistics.clip)),
            )
        yield Rule(
            "weighting",
            terms.weighting.value,
            _listed(policy.weightings),
            code_of(partial(policy.require_weighting, terms.weighting)),
        )
        yield Rule(
            "metrics",
            f"{len(terms.scalars)} shared",
            "as declared",
            code_of(partial(require_declared, self.study)),
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
            code_of(partial(policy.require_offered, reads)),
        )
        if study.statistics is None:
            yield self._rule_of_parameters()
        if study.task is not None:
            yield Rule(
                "layers",
                str(len(layers(study.task))),
                f"at most {policy.max_layers:,}",
                code_of(partial(require_layers, policy, study)),
            )

    def _rule_of_parameters(self) -> Rule:
        policy, parameters = self.policy, self.known.parameters
        return Rule(
            "parameters",
            f"{parameters:,}" if parameters else "not known yet",
            f"at most {policy.max_dimension:,}",
            code_of(partial(policy.require_dimension, parameters)),
        )

    def _rules_of_time(self) -> Iterator[Rule]:
        policy, answered = self.policy, self.known.answered
        for purpose in [one for one in Purpose if one in self.study.purposes]:
            count = answered.get(purpose.value, 0)
            forbidden = code_of(partial(policy.require_purpose, purpose))
            spent = code_of(partial(policy.require_rounds_left, count, purpose))
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
                code_of(partial(policy.require_hour, self.now)),
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


def _listed(values: frozenset[Weighting]) -> str:
    return ", ".join(sorted(value.value for value in values)) or "none"
