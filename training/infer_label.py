"""Which column of a person's own file is the label, and which of its words mean fraud.

By its name (`is_fraud`, `EVENT_LABEL`, `is_legit`), by its words (fraud and legit, chargeback and paid), or, where
neither tells, because it is the column of 0 and 1 with the fewest ones. Fraud is the rarer side: a column that would
say fraud of most rows is taken for no label.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto

import pandas as pd

from contract.card_numbers import holds_long_number
from contract.labels import (
    ANSWERS,
    FRAUD,
    GENUINE,
    NOT_A_LABEL,
    UNLABELLED,
    USUAL_WORDS,
    LabelWords,
    normal_word,
    usual_meaning,
    word_table,
)
from training.errors import TrainingError

LABEL_NAMES = ("is_fraud", "isfraud", "fraud", "tx_fraud", "fraud_label", "label")
"""The usual names of a label, the surest first; read without case, and `Is Fraud?` as `is_fraud`."""
VAGUE_LABEL_NAMES = ("class", "target")
"""Usual names too, of other things as well."""
FRAUD_NAME = re.compile(r"fraud|betrug|betrüg|frode|frodolen|oszust", re.IGNORECASE)
DISPUTE_NAME = re.compile(r"charge[^a-z]?back|disput", re.IGNORECASE)
GENUINE_NAME = re.compile(
    r"legit|genuine|(^|[^a-z])(is|was)?[^a-z]*(non|not|no)[^a-z]*fraud"
    r"|^((is|was)[^a-z]*)?(good|valid|ok|clean|authentic)([^a-z]*(transaction|payment|order|txn|tx|label|flag))?$",
    re.IGNORECASE,
)
"""Names that ask whether a transaction was genuine: there 0 and No are fraud."""
CONFIRMED_NAME = re.compile(
    r"^confirmed[^a-z]*(at|on|date|time)$"
    r"|^(.*[^a-z])?(label(l?ed)?|charge[^a-z]?back(ed)?|disputed?|fraud)"
    r"([^a-z]*(reported|confirmed|created|opened|received|updated?))?"
    r"[^a-z]*(date[^a-z]?time|time[^a-z]?stamp|time|date|ts|at|on)$",
    re.IGNORECASE,
)
"""Names of a moment since when a label is known."""
STATUSES = word_table(
    "disputed,dispute,dispute lost,lost,unauthorized,unauthorised,stolen,second chargeback",
    "paid,settled,captured,completed,complete,succeeded,successful,success,approved,cleared,posted,accepted,processed,"
    "refunded,partially refunded,dispute won,won,delivered,chargeback reversed,chargebackreversed,sentforsettle",
    "pending,open,processing,in progress,under review,in review,review,needs response,unknown,undetermined,undecided,"
    "unlabeled,unlabelled,unconfirmed,suspected,suspicious,authorized,authorised,failed,declined,canceled,cancelled,"
    "rejected,refused,denied,error,expired,voided,void,held,warning needs response,warning under review,?,n/a,na,null,"
    "none,nan",
)
"""What the words of a payment's status say, beside those of a verdict; nothing is known of what did not go through."""
MAX_WORDS = 12
MAX_WORD_LENGTH = 40
MAX_SPELLINGS = 10 * MAX_WORDS
SAMPLE_ROWS = 2_000
HALF = 0.5
RARE = 0.2


class _Flaw(Enum):
    """Why a column is no label as it stands."""

    NO_WORDS = auto()
    UNCLEAR = auto()
    ONE_CLASS = auto()
    MAJORITY = auto()


@dataclass(frozen=True, slots=True)
class InferredLabel:
    """The label of a file.

    Attributes:
        words: what its cells mean; a guess where `is_clear` is false.
        comment: for the person who edits the schema.
        is_clear: whether its words tell which is fraud; the schema then leaves the lists to the person.
    """

    name: str
    words: LabelWords
    comment: str
    is_clear: bool = True
    spelled: Mapping[str, Sequence[str]] | None = None

    @property
    def keys(self) -> dict[str, str]:
        """The words as the schema file lists them; none where they are the usual ones."""
        if not self.is_clear:
            return {"fraud": "[]", "genuine": "[]"}
        return {key: _list(words) for key, words in (self.spelled or {}).items() if words}


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A column that may be the label.

    Attributes:
        counts: how often each word is there, by its normal form, the most frequent first; empty cells are no word.
        spelled: a spelling of each.
        meanings: what each means, by the column's name too.
    """

    name: str
    counts: Mapping[str, int]
    spelled: Mapping[str, str]
    meanings: Mapping[str, int]

    @classmethod
    def of(cls, name: str, column: pd.Series) -> "_Candidate":
        filled = column[column != ""]
        first = filled.iloc[:SAMPLE_ROWS].unique()
        if len(first) > MAX_SPELLINGS:  # Most columns: counting all cells takes 50 times as long.
            return cls(name, dict.fromkeys(first.tolist(), 1), {}, {})
        own = filled.value_counts()
        if len(own) > MAX_SPELLINGS:
            return cls(name, dict(zip(own.index.tolist(), own.tolist(), strict=True)), {}, {})
        counts, spelled = dict[str, int](), dict[str, str]()
        for text, count in zip(own.index.tolist(), own.tolist(), strict=True):
            word = normal_word(text)
            counts[word] = counts.get(word, 0) + count
            spelled.setdefault(word, text)
        few = len(counts) <= MAX_WORDS and not any(
            len(word) > MAX_WORD_LENGTH or holds_long_number(word) for word in counts
        )
        return cls(name, counts, spelled, {word: _meaning(name, word) for word in counts} if few else {})

    @property
    def is_usual(self) -> bool:
        """Whether it is 1 or true for fraud and 0 or false otherwise."""
        return not GENUINE_NAME.search(self.name) and set(self.counts) <= {*USUAL_WORDS.fraud, *USUAL_WORDS.genuine}

    @property
    def is_flag(self) -> bool:
        """Whether it has both, and nothing else."""
        return self.is_usual and {FRAUD, GENUINE} <= set(self.meanings.values())

    @property
    def has_verdicts(self) -> bool:
        """Whether a word says fraud by itself, whatever the column is called, and another one genuine."""
        own = {_meaning("", word) for word in self.meanings}
        return {FRAUD, GENUINE} <= own and NOT_A_LABEL not in own

    @property
    def share(self) -> float:
        """The share of frauds among the known labels."""
        frauds = sum(count for word, count in self.counts.items() if self.meanings.get(word) == FRAUD)
        known = sum(count for word, count in self.counts.items() if self.meanings.get(word) != UNLABELLED)
        return frauds / known if known else 0.0

    @property
    def flaw(self) -> _Flaw | None:
        """Why it is no label; None where it can be one."""
        own = set(self.meanings.values()) - {UNLABELLED}
        if not own:
            return _Flaw.NO_WORDS
        if NOT_A_LABEL in own:
            return _Flaw.UNCLEAR
        if len(own) == 1:
            return _Flaw.ONE_CLASS if self.is_usual else _Flaw.UNCLEAR
        return _Flaw.MAJORITY if self.share > HALF else None

    def label(self, reason: str) -> InferredLabel:
        """The label, with this reason in its comment."""
        if self.is_usual:
            return InferredLabel(self.name, USUAL_WORDS, f"{reason}1 for fraud, 0 otherwise")
        lists = {
            key: tuple(self.spelled[word] for word in self.counts if self.meanings[word] == meaning)
            for key, meaning in (("fraud", FRAUD), ("genuine", GENUINE), ("unknown", UNLABELLED))
        }
        share = f"{' and '.join(map(_quoted, lists['fraud']))} ({self.share:.1%} of the known labels) for fraud"
        return InferredLabel(
            self.name, LabelWords.of(**lists), f"{reason}{share}; a word in none of the lists is refused", spelled=lists
        )

    def unclear_label(self) -> InferredLabel:
        """The label whose words are left to the person; its rarest word stands for fraud meanwhile."""
        *others, rarest = self.counts
        total = sum(self.counts.values())
        shares = ", ".join(f"{_quoted(self.spelled[word])} ({self.counts[word] / total:.1%})" for word in self.counts)
        lists = f"fraud = {_list([self.spelled[rarest]])} and genuine = {_list(self.spelled[each] for each in others)}"
        comment = (
            f"CHECK: its words do not tell which is fraud: {shares}. List them: {lists} if the rarest is fraud; what "
            "nobody knows yet goes into unknown"
        )
        return InferredLabel(self.name, LabelWords.of([rarest], others), comment, is_clear=False)


def infer_label(frame: pd.DataFrame) -> InferredLabel:
    """The label of a file whose cells are text, "" where one is empty.

    Raises:
        TrainingError: no column can be the label.
    """
    candidates = {name: _Candidate.of(name, frame[name]) for name in frame.columns if name}
    named = list(_named(candidates))
    for candidate, reason in [*named, *_by_words(candidates)]:
        if candidate.flaw is None:
            return candidate.label(reason)
        if candidate.flaw is _Flaw.UNCLEAR and _is_sure(candidate.name):
            return candidate.unclear_label()
    looks = [candidate for candidate, _ in named]
    last = _with_one_class(looks) or _rarest(frame, candidates.values(), looks) or _of_two_words(looks)
    if last is None:
        raise _no_label(looks)
    return last


def is_genuine_name(name: str) -> bool:
    """Whether a column, by its name, says what was genuine."""
    return bool(GENUINE_NAME.search(name))


def tells_by_name(name: str) -> bool:
    """Whether a column, by its name, may tell the label or is known only after it."""
    return any(pattern.search(name) for pattern in (FRAUD_NAME, DISPUTE_NAME, CONFIRMED_NAME))


def _meaning(name: str, word: str) -> int:
    """What a word means in a column of this name: a Yes counts only where the name asks a question about fraud."""
    asks_genuine = bool(GENUINE_NAME.search(name))
    asks = asks_genuine or _asks_fraud(name)
    if word in ANSWERS and (asks or word in {*USUAL_WORDS.fraud, *USUAL_WORDS.genuine}):
        return GENUINE + FRAUD - ANSWERS[word] if asks_genuine else ANSWERS[word]
    usual = usual_meaning(word, answers=False)
    return usual if usual != NOT_A_LABEL else STATUSES.get(re.sub(r"[\s_\-]+", " ", word), NOT_A_LABEL)


def _asks_fraud(name: str) -> bool:
    return bool(FRAUD_NAME.search(name) or DISPUTE_NAME.search(name) or "label" in name.lower()) or (
        _plain(name) in VAGUE_LABEL_NAMES
    )


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")


def _is_sure(name: str) -> bool:
    """Whether it is a usual name, of fraud itself: no other column takes its place."""
    return _plain(name) in LABEL_NAMES and "fraud" in name.lower()


def _named(candidates: Mapping[str, _Candidate]) -> Iterator[tuple[_Candidate, str]]:
    """The columns that by their names could be the label, the surest first, with what the comment says of each."""
    open_names = {name: each for name, each in candidates.items() if not CONFIRMED_NAME.search(name)}
    by_plain = {_plain(name): name for name in reversed(open_names)}
    usual = [by_plain[name] for name in LABEL_NAMES if name in by_plain]
    vague = [by_plain[name] for name in VAGUE_LABEL_NAMES if name in by_plain]
    asking = [name for name in open_names if FRAUD_NAME.search(name) and not is_genuine_name(name)]
    labels = [name for name in open_names if "label" in name.lower()]
    others = sorted([*asking, *vague, *labels], key=lambda name: not open_names[name].has_verdicts)
    genuine = [name for name in open_names if is_genuine_name(name)]
    for name in dict.fromkeys([*usual, *others]):
        if not is_genuine_name(name):
            yield open_names[name], "" if open_names[name].is_usual else "taken for the label by its name: "
    for name in genuine:
        yield open_names[name], "by its name it says what was genuine, so the others are fraud: "
    for name, candidate in open_names.items():
        if DISPUTE_NAME.search(name):
            yield candidate, "CHECK: a dispute is taken for fraud: "


def _by_words(candidates: Mapping[str, _Candidate]) -> Iterator[tuple[_Candidate, str]]:
    """The columns whose words say fraud of some transactions and genuine of others."""
    for candidate in candidates.values():
        if candidate.has_verdicts and not candidate.is_usual:
            yield candidate, "CHECK: taken for the label by its words: "


def _with_one_class(looks: Iterable[_Candidate]) -> InferredLabel | None:
    """A flag that is the same in every row, as its name says that it is the label: training refuses it by its name."""
    return next((each.label("") for each in looks if each.flaw is _Flaw.ONE_CLASS), None)


def _rarest(frame: pd.DataFrame, candidates: Iterable[_Candidate], looks: Iterable[_Candidate]) -> InferredLabel | None:
    """The flag with the fewest ones; full columns go first.

    None where in all of them most cells are ones, or another column is the label by its name.
    """
    flags = [each for each in candidates if each.is_flag and each.share <= HALF]
    if not flags or any(_is_sure(each.name) for each in looks):
        return None
    best = min(flags, key=lambda each: (bool((frame[each.name] == "").any()), each.share))
    why = "are rare" if best.share < RARE else "are the fewest of all columns of 0 and 1"
    return best.label(f"taken for the label only because its ones {why} ({best.share:.1%} of its cells): check it; ")


def _of_two_words(looks: Iterable[_Candidate]) -> InferredLabel | None:
    """A column that by its name could be the label, and has two words that do not tell which is fraud."""
    two = (each for each in looks if each.flaw is _Flaw.UNCLEAR and len(each.counts) == len((FRAUD, GENUINE)))
    return next((each.unclear_label() for each in two), None)


def _no_label(named: Sequence[_Candidate]) -> TrainingError:
    """The refusal, which names the columns that look like it."""
    reasons = " ".join(f"Column {each.name} looks like the label, but {_reason(each)}." for each in named)
    if named and _is_sure(named[0].name):
        return TrainingError(reasons)
    return TrainingError(
        "No column can be the label: one must be 1 where a transaction was fraud and 0 otherwise, or have words such "
        f"as fraud and legit, or Yes and No, and be empty where nobody knows. {reasons}".strip()
    )


def _reason(candidate: _Candidate) -> str:
    if not candidate.counts:
        return "it is empty in every row: nobody knows a fraud"
    if candidate.flaw is _Flaw.MAJORITY:
        return (
            f"it says fraud in {candidate.share:.1%} of the known labels, and fraud is the rarer side: is it the wrong "
            'way round? Write a schema in which its fraud = ["0"] and genuine = ["1"], or the words that it has'
        )
    if not candidate.meanings:
        return (
            f"it has {_how_many(candidate)} different values: write 1 for fraud and 0 otherwise, leave it "
            "empty where nobody knows, or rename the column if it is no label"
        )
    return (
        "its words do not tell which is fraud: write a schema that lists them below its "
        'kind = "label", as in fraud = ["Yes"] and genuine = ["No"]'
    )


def _how_many(candidate: _Candidate) -> str:
    return str(len(candidate.counts)) if len(candidate.counts) <= MAX_SPELLINGS else f"more than {MAX_SPELLINGS}"


def _quoted(word: str) -> str:
    return json.dumps(word, ensure_ascii=False)


def _list(words: Iterable[str]) -> str:
    return json.dumps(list(words), ensure_ascii=False)
