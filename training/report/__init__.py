"""The report on one version: what it finds, what it costs, and what stands beside it; as JSON and as one HTML page.

Not here: the measures that training itself needs (`training.evaluation`).
"""
