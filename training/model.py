"""The network, top to bottom: feature matrix in, calibrated probability of fraud out.

Everything fitted lives in here as buffers: what training saw of each column (imputation, range, scale, which codes
occurred) and the calibration. The contract's matrix needs no other preparation, and nothing outside can disagree
with it. The rules: what is not finite never reaches a layer unflagged; a number beyond the training range counts as
the range's end; a code that training never saw is "unknown"; the last step is float32 even under autocast.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from contract.features import FIRST_VALUE, UNKNOWN
from contract.schema import Contract, FeatureKind, Kind

LARGEST_DEVIATION = 20.0
"""Standard deviations from the mean that a number counts at most."""


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """The network's size.

    Attributes:
        embedding: width of a category's vector.
        unknown_share: of the category cells that training shows as "unknown", so that its vector is trained too.
    """

    embedding: int = 4
    hidden: int = 64
    layers: int = 2
    dropout: float = 0.1
    unknown_share: float = 0.02


@dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """What the training rows tell of the columns.

    Attributes:
        numbers: positions of the numbers in the matrix, shape (n,).
        categories: positions of the category codes, shape (k,).
        low: smallest value seen, shape (n,) like all of the next; high, mean, scale, median likewise.
        flagged: 1 where training saw the number missing, else 0: an untrained flag must not speak.
        offsets: where each category's codes begin in the table of all codes, shape (k,).
        sizes: how many codes each category has, shape (k,).
        rows_of_codes: for each code of each category the row of its vector: its own, or the category's
            "unknown" where training never saw it; shape (sum of sizes,).
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


def fit_columns(contract: Contract, matrix: NDArray[np.float32]) -> Fitted:
    """Measures the training rows: `matrix` has shape (rows, contract.width), NaN where a number is missing."""
    is_code = np.array([feature.kind is FeatureKind.CATEGORY for feature in contract.features])
    known = {c.name: len(c.values) for c in contract.columns if c.kind is Kind.CATEGORY}
    sizes = [FIRST_VALUE + known[f.column] for f in contract.features if f.kind is FeatureKind.CATEGORY]
    offsets = np.cumsum([0, *sizes], dtype=np.int64)[:-1]
    measures = [_measure(matrix[:, place].astype(np.float64)) for place in np.flatnonzero(~is_code)]
    low, high, mean, scale, median, flagged = np.array(measures, dtype=np.float64).reshape(-1, 6).T
    codes = matrix[:, is_code].astype(np.int64)
    return Fitted(
        np.flatnonzero(~is_code), np.flatnonzero(is_code), low, high, mean, scale, median, flagged,
        offsets, np.array(sizes, dtype=np.int64), _rows_of_codes(codes, sizes, offsets),
    )  # fmt: skip


def _measure(values: NDArray[np.float64]) -> tuple[float, float, float, float, float, float]:
    """Low, high, mean, scale, median and flag of one column; a constant or empty one gives 0 after scaling."""
    seen = values[np.isfinite(values)]
    flag = float(len(seen) < len(values))
    if not len(seen):
        return 0.0, 0.0, 0.0, 1.0, 0.0, flag
    spread = float(seen.std())
    # The spread that rounding leaves in a constant column would be blown up to noise.
    scale = spread if spread > 1e-6 * float(np.abs(seen).max()) else 1.0
    return float(seen.min()), float(seen.max()), float(seen.mean()), scale, float(np.median(seen)), flag


def _rows_of_codes(codes: NDArray[np.int64], sizes: list[int], offsets: NDArray[np.int64]) -> NDArray[np.int64]:
    rows = [np.full(size, offset + UNKNOWN) for size, offset in zip(sizes, offsets, strict=True)]
    for position, own in enumerate(rows):
        seen = np.unique(codes[:, position])
        own[seen] = offsets[position] + seen
    return np.concatenate([np.empty(0, dtype=np.int64), *rows])


class FraudModel(nn.Module):
    """float32 matrix, shape (rows, width) -> float32 probabilities of fraud, shape (rows,), within 0 and 1."""

    numbers: Tensor
    categories: Tensor
    low: Tensor
    high: Tensor
    mean: Tensor
    scale: Tensor
    median: Tensor
    flagged: Tensor
    offsets: Tensor
    sizes: Tensor
    rows_of_codes: Tensor
    slope: Tensor
    intercept: Tensor

    def __init__(self, config: ModelConfig, fitted: Fitted, base_rate: float = 0.01) -> None:
        """Starts from the base rate: the share of fraud, strictly between 0 and 1."""
        super().__init__()
        for name in Fitted.__dataclass_fields__:
            values = torch.from_numpy(np.ascontiguousarray(getattr(fitted, name)))
            self.register_buffer(name, values if values.dtype == torch.int64 else values.float())
        self.register_buffer("slope", torch.ones(()))
        self.register_buffer("intercept", torch.zeros(()))
        self.unknown_share = config.unknown_share
        self.largest_deviation = LARGEST_DEVIATION  # TorchScript cannot see a module's constants.
        self.width_of_vectors = len(fitted.categories) * config.embedding
        self.embedding = nn.Embedding(max(1, len(fitted.rows_of_codes)), config.embedding)
        self.layers = _layers(config, 2 * len(fitted.numbers) + self.width_of_vectors)
        self.head = nn.Parameter(torch.randn(config.hidden) / config.hidden**0.5)
        self.bias = nn.Parameter(torch.logit(torch.tensor(base_rate)))

    def forward(self, matrix: Tensor) -> Tensor:
        """The calibrated probability of each row."""
        return torch.sigmoid(self.slope * self.logits(matrix) + self.intercept)

    def logits(self, matrix: Tensor) -> Tensor:
        """The log-odds of each row before calibration: what the loss is computed on; shape (rows,)."""
        hidden: Tensor = self.layers(torch.cat([self._scaled(matrix), self._vectors(matrix)], dim=1))
        # Not a linear layer: autocast would compute one in 16 bits.
        return (hidden.float() * self.head).sum(dim=1) + self.bias

    def _scaled(self, matrix: Tensor) -> Tensor:
        """Numbers imputed, clamped and standardised, with a flag beside each for a missing one."""
        values = matrix.index_select(1, self.numbers)
        missing = ~torch.isfinite(values)
        values = torch.where(missing, self.median, values)
        values = torch.minimum(torch.maximum(values, self.low), self.high)
        scaled = torch.nan_to_num((values - self.mean) / self.scale)
        scaled = torch.clamp(scaled, -self.largest_deviation, self.largest_deviation)
        return torch.cat([scaled, missing * self.flagged], dim=1)

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


def _layers(config: ModelConfig, width: int) -> nn.Sequential:
    widths = [width] + [config.hidden] * config.layers
    blocks: list[nn.Module] = []
    for inputs, outputs in pairwise(widths):
        blocks += [nn.Linear(inputs, outputs), nn.SiLU(), nn.Dropout(config.dropout)]
    return nn.Sequential(*blocks)
