"""What transactions did before: windows over time, over a whole table in training and against Redis in serving.

Here: what is kept of an entity (`layout`), which windows are evaluated together (`plan`), the evaluation, the schema of
Redis' keys and scripts, the session by which a batch enters, the journal of large batches, labels, and the epoch.
Not here: connections. Everything in this package is bytes in, values out; whoever has a connection sends and receives.
"""
