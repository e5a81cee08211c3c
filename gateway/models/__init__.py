"""Which versions this gateway uses, and how it asks the model server for them.

Here: the release record as it is followed, the proof that a version is what it should be, the only client of
TorchServe's inference API, and what was scored. Not here: which rows a trial gets (`gateway.trial`).
"""
