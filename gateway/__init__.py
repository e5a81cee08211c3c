"""The HTTP service: checks who calls, reads what they sent, asks the model server, and answers.

Here at the top: the process, the composition of the app (`app`), the use case (`scoring`), settings, logs and metrics.
Not here: what has a room of its own, each of which says what belongs there.
"""
