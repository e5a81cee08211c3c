"""What training refuses. Every message goes to a person: it says what is wrong and what to write instead.

No message repeats a cell of the data; names of columns may appear, for the model builder wrote them.
"""


class TrainingError(ValueError):
    """Data from which no honest model can be trained, or a request that contradicts itself."""


class SchemaError(TrainingError):
    """A schema file that cannot be obeyed."""
