"""Which versions this gateway uses, and how it calls the model server.

Here: following the release record, the proof that a version is what it should be, the only client of TorchServe's
inference API, the sample of entities that a trial gets, its counts, and score results. Not here: how rows of a trial
are scored (`gateway.trial`).
"""
