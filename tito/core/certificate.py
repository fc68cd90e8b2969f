"""What a certificate says: who has built what, and by what it was proved."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from tito.core.errors import Locked
from tito.core.milestones import MilestoneStanding, Standing
from tito.core.progress import MilestoneRecord


@dataclass(frozen=True)
class Proof:
    """A milestone that was unlocked, with its evidence."""

    standing: MilestoneStanding
    record: MilestoneRecord


@dataclass(frozen=True)
class Certificate:
    """Milestones with their evidence; `name` is empty for somebody who writes it by hand."""

    proofs: tuple[Proof, ...]
    name: str = ""

    def of(self, name: str) -> Certificate:
        """The certificate of somebody."""
        return replace(self, name=" ".join(name.split()))

    @property
    def when(self) -> str:
        """The day on which the last of them was unlocked."""
        return max(proof.record.unlocked for proof in self.proofs)

    @property
    def lessons(self) -> int: return sum(len(proof.standing.lessons) for proof in self.proofs)

    @property
    def versions(self) -> Mapping[str, str]:
        """Of tito, Python and NumPy, when the last one was unlocked."""
        return max(self.proofs, key=lambda proof: proof.record.unlocked).record.versions

    @property
    def digest(self) -> str:
        """Of all the code that the milestones ran on."""
        told = {lesson: digest for proof in self.proofs for lesson, digest in proof.record.digests.items()}
        return f"sha256:{hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()}"

    def as_data(self, path: str) -> dict[str, Any]:
        """What a program wants to know."""
        return {"path": path, "name": self.name, "when": self.when, "digest": self.digest,
                "milestones": [proof.standing.milestone.name for proof in self.proofs]}


def asked(standing: Standing) -> list[MilestoneStanding]:
    """The milestones that a certificate is about."""
    return [m for m in standing.milestones if not m.milestone.optional]


def earned(standing: Standing) -> bool: return all(m.unlocked for m in asked(standing))


def certificate(standing: Standing) -> Certificate:
    """The certificate, or Locked with what is missing."""
    missing = [m for m in asked(standing) if not m.unlocked]
    if missing:
        titles = ", ".join(m.milestone.title for m in missing)
        raise Locked(f"The certificate comes when all milestones are unlocked. Missing: {titles}.",
                     f"tito milestone unlock {missing[0].milestone.name}")
    return Certificate(tuple(Proof(m, m.record) for m in asked(standing) if m.record))
