"""A model owner and its data owners: page, sections "A round" and "HTTP"."""

import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx
import numpy as np
from numpy.typing import NDArray

from tests.interop import numbers, sealing
from tests.interop.statements import (
    Signer,
    base64url,
    canonical,
    digest,
    sha256,
    unbase64url,
    verify,
)

JOSE = {"Content-Type": "application/jose"}
OCTETS = {"Content-Type": "application/octet-stream"}

Content = Mapping[str, Any]


@dataclass(frozen=True)
class Server:
    """One aggregator: its name, its signing key, and how to reach it."""

    name: str
    key: str
    http: httpx.Client

    def statement(self, typ: str, token: str) -> dict[str, Any]:
        """What this aggregator signed."""
        content = verify(token, typ, self.name, self.key)
        if content.get("aggregator", content.get("author")) != self.name:
            raise ValueError(f"{self.name} speaks for somebody else")
        return content


@dataclass(frozen=True)
class Federation:
    """Its digest, its model owner, and both aggregators in the order of their names."""

    digest: str
    owner: str
    servers: tuple[Server, Server]


def federation_digest(content: Content) -> str:
    """Over the content of federation.toml, not over the file."""
    whole = {"number": 1, "previous": None, **content}
    for group in ("aggregators", "data_owners"):
        whole[group] = sorted(whole[group], key=lambda party: str(party["name"]))
    return sha256(canonical(whole))


def done(answer: httpx.Response) -> httpx.Response:
    """The answer, if it is one of success."""
    if answer.status_code != 200:
        raise ValueError(f"{answer.status_code}: {answer.text}")
    return answer


def unframed(body: bytes) -> tuple[str, bytes]:
    """Token and payload."""
    end = 4 + int.from_bytes(body[:4], "big")
    return body[4:end].decode("ascii"), body[end:]


def read(
    federation: Federation, server: Server, reader: Signer, path: str
) -> httpx.Response:
    """A GET with a ticket."""
    ticket = {
        "federation": federation.digest,
        "aggregator": server.name,
        "reader": reader.name,
        "method": "GET",
        "path": path,
        "expires": int(time.time()) + 300,
    }
    token = reader.sign("read", ticket)
    return server.http.get(path, headers={"Authorization": f"Bearer {token}"})


@dataclass(frozen=True)
class Round:
    """A spec, its token, and the model owner's private key of the round."""

    spec: dict[str, Any]
    token: str
    pair: sealing.KeyPair

    @property
    def digest(self) -> str:
        return digest(self.token)

    @property
    def path(self) -> str:
        return f"/v1/rounds/{self.digest}"


@dataclass(frozen=True)
class ModelOwner:
    """Proposes rounds and opens them."""

    signer: Signer
    federation: Federation

    def propose(self, **changes: Any) -> Round:
        """A spec; `changes` are what it asks for."""
        pair = sealing.KeyPair.of(os.urandom(32))
        spec = {
            "federation": self.federation.digest,
            "round": 1,
            "purpose": "train",
            "attempt": 1,
            "suite": "sum32",
            "statistics": None,
            "privacy": None,
            "study": None,
            "fraction_bits": numbers.fraction_bits(
                len(changes["cohort"]), changes["clip"]
            ),
            "min_cohort": 3,
            "deadline": int(time.time()) + 120,
            "sealing_key": base64url(pair.public),
            **changes,
        }
        return Round(spec, self.signer.sign("round-spec", spec), pair)

    def grants(self, asked: Round) -> dict[str, str]:
        """Both aggregators' grants."""
        grants = {}
        for server in self.federation.servers:
            answer = done(
                server.http.put(asked.path, content=asked.token, headers=JOSE)
            )
            if server.statement("round-grant", answer.text)["spec"] != asked.digest:
                raise ValueError("a grant is for another spec")
            grants[server.name] = answer.text
        return grants

    def standing(self, asked: Round, server: Server) -> dict[str, Any]:
        content: dict[str, Any] = done(
            read(self.federation, server, self.signer, asked.path)
        ).json()
        return content

    def opening(
        self, asked: Round, receipts: Mapping[str, Mapping[str, str]]
    ) -> dict[str, Any]:
        """The opening over all who have receipts: by reporter, by aggregator."""
        members, names = [], sorted(receipts)
        for reporter in names:
            statement = [
                server.statement("receipt", receipts[reporter][server.name])
                for server in self.federation.servers
            ]
            if {(one["spec"], one["reporter"]) for one in statement} != {
                (asked.digest, reporter)
            } or statement[0]["report_id"] != statement[1]["report_id"]:
                raise ValueError(f"receipts of {reporter} do not match")
            members.append(
                {"reporter": reporter, "report_id": statement[0]["report_id"]}
            )
        return {
            "federation": self.federation.digest,
            "spec": asked.digest,
            "set": members,
            "receipts": {
                server.name: [receipts[name][server.name] for name in names]
                for server in self.federation.servers
            },
        }

    def fold(self, asked: Round, opening: Content) -> list[str]:
        """Whose reports were lost, at either aggregator."""
        statement = {key: opening[key] for key in ("federation", "spec", "set")}
        token, lost = self.signer.sign("fold", statement), set[str]()
        for server in self.federation.servers:
            answer = server.http.post(f"{asked.path}/fold", content=token, headers=JOSE)
            lost |= set(done(answer).json()["lost"])
        return sorted(lost)

    def open(
        self, asked: Round, opening: Content
    ) -> tuple[NDArray[np.float64], dict[str, Any]]:
        """The mean update, and the scalars."""
        token = self.signer.sign("opening", opening)
        shares = [
            self._share(asked, server, opening, token)
            for server in self.federation.servers
        ]
        return numbers.unshard(asked.spec, shares, len(opening["set"]))

    def _share(
        self, asked: Round, server: Server, opening: Content, token: str
    ) -> bytes:
        body = server.http.post(f"{asked.path}/open", content=token, headers=JOSE)
        signed, payload = unframed(done(body).content)
        statement = server.statement("aggregate-share", signed)
        expected = {
            "spec": asked.digest,
            "opening": digest(token),
            "set": sha256(canonical(opening["set"])),
            "count": len(opening["set"]),
            "length": len(payload),
            "digest": sha256(payload),
        }
        if {key: statement[key] for key in expected} != expected:
            raise ValueError(f"{server.name} opened something else")
        info = sealing.share_info(
            self.federation.digest,
            asked.digest,
            server.name,
            self.signer.name,
            digest(token),
        )
        return sealing.open_payload(asked.pair, info, payload)

    def void(self, asked: Round, server: Server, reason: str) -> httpx.Response:
        content = {
            "federation": self.federation.digest,
            "spec": asked.digest,
            "author": self.signer.name,
            "reason": reason,
        }
        token = self.signer.sign("void", content)
        return server.http.post(f"{asked.path}/void", content=token, headers=JOSE)


@dataclass(frozen=True)
class DataOwner:
    """Reports its update to both aggregators."""

    signer: Signer
    federation: Federation

    def bodies(
        self,
        spec_token: str,
        grants: Mapping[str, str],
        update: NDArray[np.float32],
        weight: int,
        metrics: Mapping[str, Any],
        rand: bytes,
    ) -> dict[str, bytes]:
        """What is sent to each aggregator."""
        spec = json.loads(unbase64url(spec_token.split(".")[1]))
        name, report_id, seed = self.signer.name, rand[32:48], rand[:32]
        masked = numbers.mask(spec, digest(spec_token), report_id, name, seed)
        encoded = numbers.encode(spec, update, weight, metrics)
        shares = [
            ("seed", seed),
            ("vector", numbers.combine(spec, encoded, masked, -1)),
        ]
        if not rand[48] & 1:
            shares.reverse()
        content_keys = (rand[49:81], rand[81:113])
        return {
            server.name: self._body(
                digest(spec_token), server, grants[server.name], report_id, share, key
            )
            for server, share, key in zip(
                self.federation.servers, shares, content_keys, strict=True
            )
        }

    def _body(
        self,
        spec: str,
        server: Server,
        grant: str,
        report_id: bytes,
        share: tuple[str, bytes],
        content_key: bytes,
    ) -> bytes:
        kind, plaintext = share
        granted = server.statement("round-grant", grant)
        if granted["spec"] != spec or granted["expires"] <= time.time():
            raise ValueError("a grant does not fit the round")
        info = sealing.report_info(
            *(self.federation.digest, spec, self.signer.name, server.name),
            *(report_id.hex(), kind),
        )
        payload = sealing.seal(
            unbase64url(granted["sealing_key"]), info, content_key, plaintext
        )
        header = {
            "federation": self.federation.digest,
            "spec": spec,
            "reporter": self.signer.name,
            "aggregator": server.name,
            "report_id": report_id.hex(),
            "kind": kind,
            "length": len(payload),
            "digest": sealing.report_digest(payload),
        }
        token = self.signer.sign("report", header).encode("ascii")
        return len(token).to_bytes(4, "big") + token + payload

    def send(self, spec: str, server: Server, body: bytes) -> httpx.Response:
        path = f"/v1/rounds/{spec}/reports/{self.signer.name}"
        return server.http.put(path, content=body, headers=OCTETS)

    def report(self, spec: str, bodies: Mapping[str, bytes]) -> dict[str, str]:
        """Send both bodies; both receipts, by aggregator."""
        receipts = {}
        for server in self.federation.servers:
            token = done(self.send(spec, server, bodies[server.name])).text
            sent = verify(
                unframed(bodies[server.name])[0],
                *("report", self.signer.name, self.signer.public),
            )
            got = server.statement("receipt", token)
            for key in ("spec", "reporter", "report_id", "digest"):
                if got[key] != sent[key]:
                    raise ValueError("a receipt is for another report")
            receipts[server.name] = token
        return receipts

    def inclusions(self, spec: str) -> list[dict[str, Any]]:
        """What both aggregators say became of the report."""
        path = f"/v1/rounds/{spec}/inclusion/{self.signer.name}"
        return [
            server.statement(
                "inclusion", done(read(self.federation, server, self.signer, path)).text
            )
            for server in self.federation.servers
        ]
