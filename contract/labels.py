"""What the cell of a label says: fraud, genuine, or that nobody knows.

A contract names the words that mean each (`LabelWords`), read without regard to case and outer spaces. Of common words
`usual_meaning` knows what they mean where no contract says it.
"""

import json
import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from contract.normal_forms import unquoted

UNLABELLED, GENUINE, FRAUD = 0, 1, 2
NOT_A_LABEL = 255
"""Of a word that says none of these."""
WHOLE_NUMBER = re.compile(r"(-?\d+)[.,]0+")
"""A whole number as a column of fractions has it."""
BETWEEN_WORDS = re.compile(r"[\s_\-]+")


def normal_word(text: str) -> str:
    """A word without its case and the spaces and quotes around it, a whole number without zeros behind the point."""
    word = unicodedata.normalize("NFC", unquoted(text.strip()).casefold())
    whole = WHOLE_NUMBER.fullmatch(word)
    return whole[1] if whole else word


@dataclass(frozen=True, slots=True)
class LabelWords:
    """The words of a label's cells, in normal form.

    An empty cell is not known, unless "" is a word of `genuine`: in an export of payments with their disputes most rows
    have none.

    Attributes:
        fraud: mean that the transaction was fraud.
        genuine: mean that it was not.
        unknown: mean that nobody knows yet.
    """

    fraud: tuple[str, ...] = ("1", "true")
    genuine: tuple[str, ...] = ("0", "false")
    unknown: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuses words that cannot be told apart: a ValueError says which list is at fault."""
        words = [*self.fraud, *self.genuine, *self.unknown]
        if not self.fraud or not self.genuine:
            raise ValueError('both fraud and genuine need a word: fraud = ["Yes"], genuine = ["No"]')
        if any(word != normal_word(word) for word in words):
            raise ValueError("a word of a label is not in normal form")
        if "" in (*self.fraud, *self.unknown):
            raise ValueError("a word is empty: only genuine may list an empty cell, which is else not known")
        if len(set(words)) < len(words):
            raise ValueError("a word is in two of the lists fraud, genuine and unknown: leave it in one of them")

    @classmethod
    def of(cls, fraud: Iterable[str], genuine: Iterable[str], unknown: Iterable[str] = ()) -> Self:
        """Takes words as a person writes them.

        Raises:
            ValueError: a list has no word, or one is in two lists; the message says what to write.
        """
        return cls(*(tuple(dict.fromkeys(map(normal_word, words))) for words in (fraud, genuine, unknown)))

    def meanings(self, texts: Iterable[str]) -> NDArray[np.uint8]:
        """What each cell says: FRAUD, GENUINE, UNLABELLED or NOT_A_LABEL; shape (cells,)."""
        cells = list(texts)
        by_text = {text: self.meaning(text) for text in set(cells)}
        return np.fromiter((by_text[text] for text in cells), np.uint8, len(cells))

    def meaning(self, text: str) -> int:
        """What one cell says."""
        return _meanings(self).get(normal_word(text), NOT_A_LABEL)

    def to_json(self) -> dict[str, Any]:
        """The words as JSON holds them; nothing where they are the usual ones."""
        if self == USUAL_WORDS:
            return {}
        own: dict[str, Any] = {"fraud": list(self.fraud), "genuine": list(self.genuine)}
        return own | ({"unknown": list(self.unknown)} if self.unknown else {})

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Self:
        """Reads what :meth:`to_json` wrote."""
        if not fields:
            return cls()
        return cls(*(tuple(map(str, fields.get(name, ()))) for name in ("fraud", "genuine", "unknown")))

    def __str__(self) -> str:
        """The words as a schema lists them."""
        lists = {"fraud": self.fraud, "genuine": self.genuine, "unknown": self.unknown}
        return ", ".join(f"{name} = {json.dumps(words, ensure_ascii=False)}" for name, words in lists.items() if words)


@lru_cache(maxsize=64)
def _meanings(words: LabelWords) -> Mapping[str, int]:
    meanings = dict.fromkeys(("", *words.unknown), UNLABELLED)
    return meanings | dict.fromkeys(words.fraud, FRAUD) | dict.fromkeys(words.genuine, GENUINE)


USUAL_WORDS = LabelWords()
"""1 and true, 0 and false."""


def word_table(frauds: str, genuine: str, unknown: str = "") -> Mapping[str, int]:
    """What each of some words means, in three lists with commas between the words."""
    lists = {UNLABELLED: unknown, FRAUD: frauds, GENUINE: genuine}
    return MappingProxyType({word: code for code, words in lists.items() for word in words.split(",") if word})


ANSWERS = word_table(
    "1,true,yes,y,ja,j,oui,si,sí,sim,s,tak,wahr,vrai,verdadero,verdadeiro,vero,waar",
    "0,false,no,n,nein,non,nee,não,nao,nie,falsch,faux,falso,onwaar",
)
"""Answers to the question whether it was fraud: what they mean depends on what is asked."""
VERDICTS = word_table(
    "fraud,fraude,fraudulent,fraudulento,fraudulenta,frauduleux,betrug,frode,confirmed fraud,fraud confirmed,scam,bad,"
    "chargeback,charged back,charge back",
    "legit,legitimate,genuine,not fraud,non fraud,no fraud,nonfraud,notfraud,not fraudulent,non fraudulent,legitim,"
    "légitime,legitime,legítimo,legitimo,legittimo,normal,good,ok,valid,clean,kein betrug",
)
"""Words that say it by themselves, whatever is asked."""


def usual_meaning(text: str, *, answers: bool = True) -> int:
    """What a common word means, FRAUD, GENUINE or NOT_A_LABEL; `answers` to whether it was fraud are taken too."""
    word = normal_word(text)
    folded = BETWEEN_WORDS.sub(" ", word)
    return (ANSWERS.get(word) if answers else None) or VERDICTS.get(folded, NOT_A_LABEL)
