"""Pre-registration (BAT-8): what a result is judged by, hashed before the first training step.

A seal covers probes with their tolerances, slices, the round-two threshold and the decoding. A later change is allowed
and never silent: it makes an amendment that keeps the old hash and the reason. Gates refuse readings made under a hash
other than the current one.
"""

from __future__ import annotations

from typing import Self

from pydantic import Field, ValidationError

from tools.errors import InvalidInput
from tools.records import Record
from tools.store import canonical, digest


class Terms(Record):
    """What is sealed. tolerances: probe -> the largest drift that passes, in the probe's own unit."""

    tolerances: dict[str, float] = Field(min_length=1)
    slices: tuple[str, ...]
    round_two_lift_min_pp: float
    decoding: str

    @property
    def sha256(self) -> str:
        """The hash that names these terms; the order of probes does not change it, any value does."""
        return digest(canonical(self.model_dump(mode="json")))


class Amendment(Record):
    """One change after sealing: which terms it replaced, and why."""

    replaced: str
    reason: str


class Seal(Record):
    """Terms, their hash, and every amendment, oldest first."""

    terms: Terms
    sha256: str
    amendments: tuple[Amendment, ...] = ()

    @classmethod
    def read(cls, data: bytes, name: str) -> Self:
        """A seal as a run folder keeps it. Raises InvalidInput where the file is none."""
        try:
            return cls.model_validate_json(data)
        except ValidationError as error:
            fault = error.errors()[0]["msg"]
            raise InvalidInput(f"is no seal ({fault})", "what `strategist seal` wrote", where=name) from error

    @property
    def intact(self) -> bool:
        """Whether the terms still are those that were hashed."""
        return self.sha256 == self.terms.sha256


def seal(terms: Terms) -> Seal:
    """Seal terms before training."""
    return Seal(terms=terms, sha256=terms.sha256)


def amend(sealed: Seal, terms: Terms, reason: str) -> Seal:
    """The seal of changed terms, with the change on record. Raises InvalidInput without a reason or a change."""
    if not reason.strip():
        raise InvalidInput("an amendment without a reason", "why the terms change")
    if terms.sha256 == sealed.sha256:
        raise InvalidInput("an amendment that changes nothing", "terms other than the sealed ones")
    amendment = Amendment(replaced=sealed.sha256, reason=reason)
    return Seal(terms=terms, sha256=terms.sha256, amendments=(*sealed.amendments, amendment))
