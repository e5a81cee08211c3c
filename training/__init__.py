"""Training of the fraud models: from a labelled file to an archive.

Here: schema files, data and their split, the network, the loop, evaluation, decision thresholds, export and archive.
Not here: columns and features (`contract`, `history`), and the store that archives go to (`operations.store`).
"""
