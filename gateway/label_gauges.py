"""What labels say of each version, for Prometheus: gauges that come and go with the versions."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from history.label_update import ConfusionCounts


class LabelGauges(Collector):
    """The confusion counts of some versions. All processes of a gateway read the same, so that one may show them."""

    def __init__(self) -> None:
        self.versions: Mapping[int, ConfusionCounts] = {}

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """The counts, and the shares that follow from them; a share of nothing is not shown."""
        labelled = GaugeMetricFamily(
            "labelled_transactions",
            "Transactions that a label has come in for, by what was answered",
            labels=["model_version", "decision", "label"],
        )
        precision, recall = (
            GaugeMetricFamily(name, text, labels=["model_version"])
            for name, text in (
                ("live_precision", "Share of frauds among the flagged transactions that have a label"),
                ("live_recall", "Share of flagged ones among the transactions with the label fraud"),
            )
        )
        for version, counts in self.versions.items():
            for name, count in asdict(counts).items():
                labelled.add_metric([str(version), *name.split("_")], count)
            for family, share in ((precision, counts.precision), (recall, counts.recall)):
                if share is not None:
                    family.add_metric([str(version)], share)
        return labelled, precision, recall
