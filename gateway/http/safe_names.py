"""Names that a caller chose and that are logged or echoed: only in a form that cannot hold a card number."""

import re

from contract.card_numbers import holds_long_number

REQUEST_ID = re.compile(r"(?=.*[A-Za-z])[A-Za-z0-9._-]{1,64}")
MAX_NAME_LENGTH = 100


def is_safe_request_id(text: str) -> bool:
    """Whether it names a request, and neither forges a log line nor holds a card number."""
    return bool(REQUEST_ID.fullmatch(text)) and not holds_long_number(text)


def safe_file_name(name: str, position: int) -> str:
    """A file's name where it is safe to echo; else its position in the form, from #1."""
    plain = 0 < len(name) <= MAX_NAME_LENGTH and name.isprintable() and not holds_long_number(name)
    return name if plain else f"#{position}"
