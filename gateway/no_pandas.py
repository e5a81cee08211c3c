"""Keeps pyarrow from importing pandas.

Wherever pandas is installed pyarrow imports it with the first value that it makes. The gateway's image has none; beside
training, as under `fraud up`, it took 35 MB of each process and a fifth of a second of its start.
"""

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType


class _Finder(MetaPathFinder):
    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,  # noqa: ARG002 - as importlib has it
        target: ModuleType | None = None,  # noqa: ARG002 - as importlib has it
    ) -> ModuleSpec | None:
        if fullname == "pandas":
            raise ModuleNotFoundError(fullname)
        return None


def hide_pandas() -> None:
    """From now on this process cannot import it; to be called before pyarrow is imported."""
    sys.meta_path.insert(0, _Finder())
