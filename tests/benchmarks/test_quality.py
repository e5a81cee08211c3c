"""What the command of the quality figures asks for."""

from argparse import Namespace
from pathlib import Path

import pytest

from benchmarks.quality import _protocols


def test_the_cards_have_no_earlier_rows_to_choose_settings_on(capsys: pytest.CaptureFixture[str]) -> None:
    """Asked for them, it leaves their test alone and says so."""
    asked = Namespace(only=["cards"], earlier=True, data=Path("nowhere"))
    assert list(_protocols(asked)) == []
    assert "its test is left alone" in capsys.readouterr().out
