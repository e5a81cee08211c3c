"""Which versions serve one request: the live one, and the one on trial beside it."""

from dataclasses import dataclass, field

from contract.decision import DecisionBands
from contract.description import Description
from contract.notes import NoteFinder
from contract.schema import Contract
from history.plan import Plan
from releases.record import Trial, TrialKind


@dataclass(frozen=True, slots=True)
class AdoptedModel:
    """One adopted version: its description, the thresholds in force here, and what finds the notes about its rows."""

    description: Description
    bands: DecisionBands
    note_finder: NoteFinder = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Makes the finder once."""
        card = self.description.card
        object.__setattr__(self, "note_finder", NoteFinder(self.contract, card.data.get("ranges", {})))

    @property
    def version(self) -> int:
        """The model version."""
        return self.description.version

    @property
    def contract(self) -> Contract:
        """What it expects."""
        return self.description.contract


@dataclass(frozen=True, slots=True)
class RunningTrial:
    """A trial that runs, and its adopted version."""

    trial: Trial
    model: AdoptedModel


@dataclass(frozen=True, slots=True)
class ServingVersions:
    """What is to be used for one request, from its beginning to its end.

    Attributes:
        trial: None where there is none, or where it is paused.
        plan: the history features of all adopted versions, as far as the live version's columns can give them; None
            where there are none.
        others: names of columns that the version on trial or the one before reads, and the live one may not: a caller
            may send the columns of both, before, during and after a release.
    """

    model: AdoptedModel
    trial: RunningTrial | None = None
    plan: Plan | None = None
    others: frozenset[str] = frozenset()

    def is_same(self, other: "ServingVersions") -> bool:
        """Whether all of it is the other's: the very same models and plan, whose comparison would take long."""
        return (
            self.model is other.model
            and self.plan is other.plan
            and self.others == other.others
            and _is_same_trial(self.trial, other.trial)
        )

    def trial_of(self, kind: TrialKind) -> RunningTrial | None:
        """The trial if it is of this kind."""
        return self.trial if self.trial and self.trial.trial.kind is kind else None


def _is_same_trial(trial: RunningTrial | None, other: RunningTrial | None) -> bool:
    if trial is None or other is None:
        return trial is other
    return trial.model is other.model and trial.trial == other.trial


@dataclass(frozen=True, slots=True)
class TrialState:
    """The trial that the record names, and why it is paused, in snake case; None where it runs."""

    trial: Trial
    paused: str | None
