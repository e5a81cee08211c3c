"""The model card: how one model version was trained, its thresholds and its metrics."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from contract.decision import DecisionBands


@dataclass(frozen=True, slots=True)
class ModelCard:
    """What a version says of itself; packed in its archive.

    Attributes:
        version: of the model, from 1.
        created: when it was trained, ISO 8601, UTC.
        bands: the decision thresholds chosen on the validation period.
        metrics: by period ("validation", "test"), then by name.
        data: SHA-256 of the training data, its rows, frauds and the periods that it was cut into; and of each column of
            numbers the "ranges" that 98 of 100 of the training period's lay in.
        settings: everything that a repetition of the training needs: seed, epochs, sizes.
        libraries: versions of the libraries that trained and exported it.
        half_precision_difference: largest change of a probability under half precision, on the validation rows.
        notes: what a reader should know: warnings that training gave.
        history: what the history features are worth on the test period: "average_precision" and "flagged_share" with
            them, without (another training), and with neutral ones, as in an outage; empty where there are none.
        decisions: which column is the "amount", what mistakes "costs" (None without an amount), and by name the
            "points": thresholds with what they were chosen for, what is "expected" of each by the validation period
            and what the "test" period made of it; shares, alerts a day, money in units of the amount column.
        evaluation: the short form of the report that is packed beside the card: the 95% interval of the test period's
            average precision, and the "rivals" on the same split where they were trained.
    """

    version: int
    created: str
    bands: DecisionBands
    metrics: Mapping[str, Mapping[str, float]]
    data: Mapping[str, Any]
    settings: Mapping[str, Any]
    libraries: Mapping[str, str]
    half_precision_difference: float
    notes: tuple[str, ...] = ()
    history: Mapping[str, Any] = field(default_factory=dict)
    decisions: Mapping[str, Any] = field(default_factory=dict)
    evaluation: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The card as JSON holds it."""
        return asdict(self)

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Self:
        """Reads what :meth:`to_json` wrote; unknown fields are ignored, and optional ones that it lacks are empty."""
        complete = {"history": {}, "decisions": {}, "evaluation": {}, **fields}
        known = {name: complete[name] for name in cls.__dataclass_fields__}
        return cls(**{**known, "bands": DecisionBands(**fields["bands"]), "notes": tuple(fields["notes"])})

    def to_bytes(self) -> bytes:
        """The card.json of an archive."""
        return (json.dumps(self.to_json(), indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()
