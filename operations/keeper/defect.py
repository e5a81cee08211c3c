"""What is said of an error that nobody expected: its class and place, and nothing that it was about."""

import traceback
from pathlib import Path


def said(error: BaseException) -> str:
    """One line for an error that was raised and caught."""
    where = traceback.extract_tb(error.__traceback__)[-1]
    return f"a defect, please report it: {type(error).__name__} in {Path(where.filename).name}:{where.lineno}"
