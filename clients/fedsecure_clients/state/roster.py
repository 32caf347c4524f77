"""Who takes part, as it was when a person here decided about a study.

Each party's name stands with the fingerprint of its key. Who comes and goes is accepted
with `fedsecure join`; whether an approval holds for those who came in since is for the
policy to say (`roster`, docs/consent.md).
"""

import json
from collections.abc import Iterator, Mapping
from typing import TypeAlias

from fedsecure.protocol.identity import Federation

Roster: TypeAlias = Mapping[str, str]
"""The names of all who take part in trainings, and their fingerprints."""


def roster_of(federation: Federation) -> Roster:
    """Return who takes part in a version; clients and a dealer have no part in it."""
    servers, hospitals = federation.aggregators, federation.data_owners
    parties = (federation.model_owner, *servers, *hospitals)
    return {party.name: party.fingerprint for party in parties}


def written(roster: Roster) -> str:
    """Return a roster as it is kept, the same text for the same roster."""
    return json.dumps(roster, sort_keys=True, separators=(",", ":"))


def read(text: str) -> Roster:
    """Return a roster that was kept."""
    return {str(name): str(key) for name, key in json.loads(text).items()}


def came_in(then: Roster, now: Roster) -> list[str]:
    """Return who takes part now and did not then, or has another key."""
    return [name for name, key in now.items() if then.get(name) != key]


def differences(then: Roster, now: Roster) -> Iterator[str]:
    """Say for a person what changed, one party each."""
    for name in sorted(then.keys() | now.keys()):
        if name not in then:
            yield f"{name} came in"
        elif name not in now:
            yield f"{name} left"
        elif then[name] != now[name]:
            yield f"{name} has a new key"
