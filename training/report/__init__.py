"""The report on one version: its metrics, its costs and its baselines; as JSON and as one HTML page.

Not here: the measures that training itself needs (`training.evaluation`).
"""
