"""The HTTP service: checks who calls, reads what they sent, asks the model server, and answers.

Here at the top: the process, the composition root (`app`), the use case (`scoring`), settings, logs and metrics.
Not here: concerns with a package of their own, each of which says what belongs there.
"""
