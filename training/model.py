"""The network, top to bottom: feature matrix in, calibrated probability of fraud out.

Everything fitted lives in here as buffers: what training saw of each column (imputation, range, scale, which codes
occurred), its pieces, and the calibration. The contract's matrix needs no other preparation, and nothing outside can
disagree with it. The rules: what is not finite never reaches a layer unflagged; a number beyond the training range
counts as the range's end; a code that training never saw is "unknown"; the last step is float32 even under autocast.

A number enters twice: standardised, and as how far it is through each of its pieces, 0 before and 1 after (Gorishniy
and others, On Embeddings for Numerical Features, 2022, with bins from trees). A layer holds the weights of several
members, networks of one form that start and are trained differently; their log-odds are averaged.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from contract.features import FIRST_VALUE, UNKNOWN
from contract.schema import Contract, FeatureKind, Kind
from training.bins import MAX_PIECES, edges

MAX_DEVIATION = 20.0
"""Standard deviations from the mean that a number counts at most."""
_CATEGORY_FIELDS = ("categories", "offsets", "sizes", "rows_of_codes")


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """The network's size.

    Attributes:
        embedding: width of a category's vector.
        unknown_share: of the category cells that training shows as "unknown", so that its vector is trained too.
        pieces: of a number at most; fewer where the training rows do not distinguish them.
        members: networks that are averaged.
    """

    embedding: int = 4
    hidden: int = 96
    layers: int = 2
    dropout: float = 0.1
    unknown_share: float = 0.02
    pieces: int = MAX_PIECES
    members: int = 1


@dataclass(frozen=True, slots=True, eq=False)
class ColumnStatistics:
    """Statistics of the columns over the training rows.

    Attributes:
        numbers: positions of the numbers in the matrix, shape (n,).
        categories: positions of the category codes, shape (k,).
        low: smallest finite value, shape (n,); high, mean, scale and median have the same shape.
        flagged: 1 where training saw the number missing, else 0: an untrained flag must not speak.
        offsets: where each category's codes begin in the table of all codes, shape (k,).
        sizes: how many codes each category has, shape (k,).
        rows_of_codes: for each code of each category the row of its vector: its own, or the category's
            "unknown" where training never saw it; shape (sum of sizes,).
        piece_of: which number each piece is of, as a position among the numbers; shape (pieces,).
        piece_begin: where each piece begins, shape (pieces,).
        piece_width: how wide it is, above 0, shape (pieces,).
    """

    numbers: NDArray[np.int64]
    categories: NDArray[np.int64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    mean: NDArray[np.float64]
    scale: NDArray[np.float64]
    median: NDArray[np.float64]
    flagged: NDArray[np.float64]
    offsets: NDArray[np.int64]
    sizes: NDArray[np.int64]
    rows_of_codes: NDArray[np.int64]
    piece_of: NDArray[np.int64]
    piece_begin: NDArray[np.float64]
    piece_width: NDArray[np.float64]


def column_statistics(
    contract: Contract,
    matrix: NDArray[np.float32],
    labels: NDArray[np.bool_],
    pieces: int = MAX_PIECES,
    weights: NDArray[np.float32] | None = None,
) -> ColumnStatistics:
    """Computes the statistics of the training rows.

    Args:
        contract: tells the kinds of the columns.
        matrix: shape (rows, contract.width), NaN where a number is missing.
        labels: shape (rows,): whether each row was fraud; the pieces are chosen by it.
        pieces: of a number at most.
        weights: how many transactions each row stands for, shape (rows,); None for one each.
    """
    is_code = np.array([feature.kind is FeatureKind.CATEGORY for feature in contract.features])
    known = {c.name: len(c.values) for c in contract.columns if c.kind is Kind.CATEGORY}
    sizes = [FIRST_VALUE + known[f.column] for f in contract.features if f.kind is FeatureKind.CATEGORY]
    offsets = np.cumsum([0, *sizes], dtype=np.int64)[:-1]
    measures = [_measure(matrix[:, place].astype(np.float64)) for place in np.flatnonzero(~is_code)]
    low, high, mean, scale, median, flagged = np.array(measures, dtype=np.float64).reshape(-1, 6).T
    codes = matrix[:, is_code].astype(np.int64)
    counted = np.ones(len(labels)) if weights is None else weights.astype(np.float64)
    return ColumnStatistics(
        np.flatnonzero(~is_code), np.flatnonzero(is_code), low, high, mean, scale, median, flagged,
        offsets, np.array(sizes, dtype=np.int64), _rows_of_codes(codes, sizes, offsets),
        *_pieces(matrix[:, ~is_code], labels, counted, pieces),
    )  # fmt: skip


def _pieces(
    numbers: NDArray[np.float32], labels: NDArray[np.bool_], weights: NDArray[np.float64], most: int
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """The pieces of all numbers side by side: of which, where they begin, how wide they are."""
    result = [edges(column.astype(np.float64), labels, weights, most) for column in numbers.T]
    owners = [np.full(max(0, len(own) - 1), place, dtype=np.int64) for place, own in enumerate(result)]
    ends = [own.astype(np.float64) for own in result]
    return (
        np.concatenate([np.empty(0, dtype=np.int64), *owners]),
        np.concatenate([np.empty(0), *(own[:-1] for own in ends)]),
        np.concatenate([np.empty(0), *(np.diff(own) for own in ends)]),
    )


def _measure(values: NDArray[np.float64]) -> tuple[float, float, float, float, float, float]:
    """Low, high, mean, scale, median and flag of one column; a constant or empty one gives 0 after scaling."""
    finite = values[np.isfinite(values)]
    flag = float(len(finite) < len(values))
    if not len(finite):
        return 0.0, 0.0, 0.0, 1.0, 0.0, flag
    spread = float(finite.std())
    # The spread that rounding leaves in a constant column would be blown up to noise.
    scale = spread if spread > 1e-6 * float(np.abs(finite).max()) else 1.0
    # Above 0 and finite in float32 too: nothing divided by it is not a number.
    scale = float(np.clip(scale, np.finfo(np.float32).tiny, np.finfo(np.float32).max))
    return float(finite.min()), float(finite.max()), float(finite.mean()), scale, float(np.median(finite)), flag


def _rows_of_codes(codes: NDArray[np.int64], sizes: list[int], offsets: NDArray[np.int64]) -> NDArray[np.int64]:
    rows = [np.full(size, offset + UNKNOWN) for size, offset in zip(sizes, offsets, strict=True)]
    for position, own in enumerate(rows):
        present = np.unique(codes[:, position])
        own[present] = offsets[position] + present
    return np.concatenate([np.empty(0, dtype=np.int64), *rows])


class MemberLinear(nn.Module):
    """A linear layer for each member: float32 (members, rows, inputs) -> (members, rows, outputs)."""

    def __init__(self, members: int, inputs: int, outputs: int) -> None:
        super().__init__()
        bound = inputs**-0.5
        self.weight = nn.Parameter(torch.empty(members, inputs, outputs).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(members, 1, outputs).uniform_(-bound, bound))

    def forward(self, values: Tensor) -> Tensor:
        """One matrix product a member."""
        return torch.baddbmm(self.bias, values, self.weight)


class FraudModel(nn.Module):
    """float32 matrix, shape (rows, width) -> float32 probabilities of fraud, shape (rows,), within 0 and 1."""

    numbers: Tensor
    median: Tensor
    input_of: Tensor
    input_begin: Tensor
    input_width: Tensor
    input_least: Tensor
    input_most: Tensor
    flagged: Tensor
    categories: Tensor
    offsets: Tensor
    sizes: Tensor
    rows_of_codes: Tensor
    slope: Tensor
    intercept: Tensor

    def __init__(self, config: ModelConfig, columns: ColumnStatistics, base_rate: float = 0.01) -> None:
        """Starts from the base rate: the share of fraud, strictly between 0 and 1."""
        super().__init__()
        for name, values in _buffers(columns).items():
            self.register_buffer(name, values)
        self.register_buffer("slope", torch.ones(()))
        self.register_buffer("intercept", torch.zeros(()))
        self.unknown_share = config.unknown_share
        self.members = config.members
        self.flags = len(self.flagged)  # TorchScript has no len() of what it may skip.
        self.width_of_vectors = len(columns.categories) * config.embedding
        self.embedding = nn.Embedding(max(1, len(columns.rows_of_codes)), config.embedding)
        self.layers = _layers(config, len(self.input_of) + self.flags + self.width_of_vectors)
        _zero_input_weights(self.layers, range(len(columns.numbers), len(self.input_of)))
        self.head = nn.Parameter(torch.randn(config.members, 1, config.hidden) / config.hidden**0.5)
        self.bias = nn.Parameter(torch.logit(torch.tensor(base_rate)).repeat(config.members, 1))

    def forward(self, matrix: Tensor) -> Tensor:
        """The calibrated probability of each row."""
        return torch.sigmoid(self.slope * self.logits(matrix) + self.intercept)

    def logits(self, matrix: Tensor) -> Tensor:
        """The log-odds of each row before calibration, the mean of the members'; shape (rows,)."""
        return self.member_logits(matrix).mean(dim=0)

    def member_logits(self, matrix: Tensor) -> Tensor:
        """The log-odds by each member, what the loss is computed on; shape (members, rows)."""
        hidden: Tensor = self.layers(self._inputs(matrix).unsqueeze(0).expand(self.members, -1, -1))
        # Not a linear layer: autocast would compute one in 16 bits.
        return (hidden.float() * self.head).sum(dim=2) + self.bias

    def _inputs(self, matrix: Tensor) -> Tensor:
        """What the first layer sees: the numbers standardised, their pieces, the flags and vectors there are."""
        numbers = matrix.index_select(1, self.numbers)
        known = torch.isfinite(numbers)
        inputs = self._of_numbers(torch.where(known, numbers, self.median))
        if self.flags > 0:
            inputs = torch.cat([inputs, (~known).index_select(1, self.flagged).float()], dim=1)
        if self.width_of_vectors > 0:
            inputs = torch.cat([inputs, self._vectors(matrix)], dim=1)
        return inputs

    def _of_numbers(self, numbers: Tensor) -> Tensor:
        """The numbers standardised, then how far each is through each of its pieces; none beyond what training saw."""
        inputs = numbers.index_select(1, self.input_of)
        # In place: memory of this size is not asked for three times more.
        return inputs.sub_(self.input_begin).div_(self.input_width).clamp_(self.input_least, self.input_most)

    def _vectors(self, matrix: Tensor) -> Tensor:
        """The vectors of the category codes, side by side."""
        codes = matrix.index_select(1, self.categories)
        known = torch.isfinite(codes) & (codes >= 0) & (codes < self.sizes)
        if self.training:
            known = known & (torch.rand_like(codes) >= self.unknown_share)
        whole = torch.where(known, codes, torch.zeros_like(codes)).to(torch.int64)
        rows = self.rows_of_codes[whole + self.offsets]
        vectors: Tensor = self.embedding(rows)
        return vectors.reshape(matrix.shape[0], self.width_of_vectors)


def _buffers(columns: ColumnStatistics) -> dict[str, Tensor]:
    """What the module keeps of the columns: to standardise a number, or pass a piece, is one subtraction and division.

    A standardised number ends where the training range or MAX_DEVIATION does, a piece at 0 and 1.
    """
    begin, width = (
        torch.from_numpy(np.concatenate(each)).float()
        for each in ((columns.mean, columns.piece_begin), (columns.scale, columns.piece_width))
    )
    least, most = torch.zeros(len(begin)), torch.ones(len(begin))
    count, ends = len(columns.numbers), (torch.from_numpy(each).float() for each in (columns.low, columns.high))
    for bound, end in zip((least, most), ends, strict=True):
        bound[:count] = ((end - begin[:count]) / width[:count]).clamp(-MAX_DEVIATION, MAX_DEVIATION)
    buffers = {name: torch.from_numpy(getattr(columns, name)) for name in ("numbers", *_CATEGORY_FIELDS)}
    return buffers | {
        "median": torch.from_numpy(columns.median).float(),
        "input_of": torch.from_numpy(np.concatenate([np.arange(count), columns.piece_of])),
        "input_begin": begin, "input_width": width, "input_least": least, "input_most": most,
        "flagged": torch.from_numpy(np.flatnonzero(columns.flagged)),
    }  # fmt: skip


def _layers(config: ModelConfig, width: int) -> nn.Sequential:
    widths = [width] + [config.hidden] * config.layers
    blocks: list[nn.Module] = []
    for inputs, outputs in pairwise(widths):
        blocks += [MemberLinear(config.members, inputs, outputs), nn.SiLU(), nn.Dropout(config.dropout)]
    return nn.Sequential(*blocks)


def _zero_input_weights(layers: nn.Sequential, inputs: range) -> None:
    """Lets the first layer begin as if these inputs were not there: pieces speak only once they have learned."""
    first = layers[0]
    assert isinstance(first, MemberLinear)  # noqa: S101 - narrows the type: `_layers` begins with one.
    with torch.no_grad():
        first.weight[:, inputs.start : inputs.stop] = 0.0
