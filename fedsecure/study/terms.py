"""What a data owner is asked to agree to: a study, known by its digest.

A study is the task that its agent is to do, and the terms of its sums: what leaves, and
how it is hidden. Both are in the digest, because each alone says too little. A model
owner who may change the terms from round to round reads single values: with the same
model it halves a metric's range, C or W again and again, and the opened counts of what
was `clamped` or `clipped` tell each time on which side of the bound one data owner's
value lies. With other terms it is another study, and a person's consent to the one says
nothing about the other.

What may change within a study is what changes in any training: the global model, the
number of the round, the cohort, the deadline and the sealing key.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import Annotated, Final

from pydantic import Field

from fedsecure.core.modulus import suite
from fedsecure.errors import PeerError
from fedsecure.protocol.statement_fields import MAX_INTEGER, MAX_SCALARS, Label
from fedsecure.protocol.statements import (
    PrivacyField,
    Purpose,
    RoundSpec,
    ScalarField,
    StatisticsField,
    Weighting,
)
from fedsecure.study.metrics import ScalarDeclaration
from fedsecure.study.statistics.task import (
    StatisticsTask,
    form_for,
    read_statistics_task,
)
from fedsecure.study.strict import Strict, canonical
from fedsecure.study.task import (
    KERAS_CONFIG,
    ROUND,
    STUDY,
    ConfigValue,
    Task,
    encode_config,
    encode_value,
    parse_task,
)

DOMAIN: Final = b"fedsecure v1 study digest"
CONTENT_DOMAIN: Final = b"fedsecure v1 study content"
SHOWN: Final = 5  # metrics that an error names
SUITE: Final = "sum32"  # of what this version proposes


class Terms(Strict):
    """What leaves a data owner in a study, and how it is hidden.

    `scalars` are the declared metrics in order; the others as in a round's spec.
    """

    scalars: Annotated[tuple[ScalarField, ...], Field(max_length=MAX_SCALARS)]
    clip: Annotated[float, Field(gt=0)]
    statistics: StatisticsField | None = None
    privacy: PrivacyField | None = None
    weight_cap: Annotated[int, Field(ge=1, le=MAX_INTEGER)]
    weighting: Weighting
    min_cohort: Annotated[int, Field(ge=2)]
    suite: Label

    @property
    def text(self) -> str:
        """The canonical JSON text."""
        return canonical(self)


def terms_of(spec: RoundSpec) -> Terms:
    """Return the terms that a signed spec sets."""
    return Terms(
        scalars=tuple(spec.scalars),
        clip=spec.clip,
        statistics=spec.statistics,
        privacy=spec.privacy,
        weight_cap=spec.weight_cap,
        weighting=spec.weighting,
        min_cohort=spec.min_cohort,
        suite=spec.suite,
    )


def scalar_fields(declared: Iterable[ScalarDeclaration]) -> tuple[ScalarField, ...]:
    """Return declared metrics as a spec names them."""
    return tuple(
        ScalarField(name=one.name, low=one.low, high=one.high, size=one.size)
        for one in declared
    )


def studied(config: Mapping[str, ConfigValue]) -> dict[str, ConfigValue]:
    """Return the part of a task's config that makes the study.

    For Keras studies it is the text of the task; for other ClientApps every value but
    the number of the round, for nobody knows what they do with it.
    """
    if is_keras(config):
        return {STUDY: config[STUDY]}
    return {key: value for key, value in config.items() if key != ROUND}


def is_keras(config: Mapping[str, ConfigValue]) -> bool:
    """Tell whether a config has the form of a Keras study's."""
    return isinstance(config.get(STUDY), str) and config.keys() <= KERAS_CONFIG


def study_digest(config: Mapping[str, ConfigValue], terms: Terms) -> bytes:
    """Return the 32-byte name of a study; run by model owner and data owner alike.

    Guarantee: two studies have the same digest only if what `studied` returns of their
    configs and every one of their terms are the same (SHA-256 over an encoding in which
    every part bears its type and length). The module says why the terms are in it.

    Raises:
        PeerError: FS-421, a config value of a type that a ConfigRecord does not have.
    """
    return _hashed(
        encode_value(DOMAIN), encode_value(terms.text), encode_config(studied(config))
    )


def _hashed(*parts: Iterable[bytes]) -> bytes:
    return hashlib.sha256(b"".join(chain.from_iterable(parts))).digest()


@dataclass(frozen=True)
class StudyRequest:
    """What a model owner wants data owners to agree to."""

    config: Mapping[str, ConfigValue]
    terms: Terms

    @cached_property
    def digest(self) -> str:
        """The study's name, in hex."""
        return study_digest(self.config, self.terms).hex()

    @cached_property
    def content(self) -> str:
        """SHA-256, in hex, over the task alone: the same under whatever terms."""
        parts = encode_value(CONTENT_DOMAIN), encode_config(studied(self.config))
        return _hashed(*parts).hex()

    @cached_property
    def task(self) -> Task | None:
        """The Keras task, or None when another ClientApp is asked."""
        text = self.config.get(STUDY)
        if not (isinstance(text, str) and is_keras(self.config)):
            return None
        try:
            return parse_task(text)
        except PeerError:
            return None  # some other app's; ours refuses it (FS-421)

    @cached_property
    def statistics(self) -> StatisticsTask | None:
        """The task of a round of statistics, or None when something else is asked."""
        text = self.config.get(STUDY)
        if not (isinstance(text, str) and is_keras(self.config)):
            return None
        return read_statistics_task(text)

    @property
    def purposes(self) -> frozenset[Purpose]:
        """What its rounds may be held for."""
        if self.statistics is not None:
            return frozenset({Purpose.STATISTICS})
        return frozenset({Purpose.TRAIN, Purpose.EVALUATE})

    @property
    def reads(self) -> tuple[str, ...] | None:
        """Columns, arrays or folders that a data owner must offer; None: not said."""
        asked = self.task or self.statistics
        return asked.features.reads if asked else None

    @property
    def text(self) -> str:
        """What a person looks at: the task's text, or the config values as JSON."""
        if is_keras(self.config):
            return str(self.config[STUDY])
        return json.dumps(
            studied(self.config), default=_shown, sort_keys=True, ensure_ascii=True
        )


def _shown(value: object) -> str:
    return value.hex() if isinstance(value, bytes) else str(value)


def require_purpose(request: StudyRequest, purpose: Purpose) -> None:
    """Check that a round is held for what its task is. Run by a data owner.

    Else who approved counts of its rows would have a model trained, or the reverse: the
    purpose of a round is in no digest of a study.

    Raises:
        PeerError: FS-376 with both.
    """
    if purpose not in request.purposes:
        known = " or ".join(sorted(request.purposes))
        raise PeerError("FS-376", f"a {purpose.value} round, its task is to {known}")


def require_declared(request: StudyRequest) -> None:
    """Check that a spec's scalars are those that the task itself declares.

    Else a range of the spec's own could be chosen to tell something. Sums that are
    exact are for rounds without noise alone. Run by a data owner.

    Raises:
        PeerError: FS-427 naming those that are not; FS-206 for an unknown suite.
    """
    suite(request.terms.suite)
    if request.statistics is not None:
        _require_form(request.statistics, request.terms.privacy)
        _require_same(request.terms.scalars, request.statistics.scalars)
    elif request.task is not None:
        _require_same(request.terms.scalars, scalar_fields(request.task.scalars))


def _require_form(task: StatisticsTask, privacy: PrivacyField | None) -> None:
    needed = form_for(privacy)
    if task.form != needed:
        raise PeerError(
            "FS-427", f"the task asks for {task.form}, this noise is for {needed}"
        )


def _require_same(
    asked: Sequence[ScalarField], declared: Sequence[ScalarField]
) -> None:
    if tuple(asked) != tuple(declared):
        others = [one.name for one in asked if one not in declared][:SHOWN]
        raise PeerError(
            "FS-427",
            f"{len(asked)} in the spec, {len(declared)} in the task; "
            f"not declared: {', '.join(others) or 'none'}",
        )
