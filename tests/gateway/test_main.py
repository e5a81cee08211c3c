"""How the gateway starts, as a process."""

import os
import subprocess
import sys


def test_a_wrong_setting_is_one_line_without_its_value() -> None:
    """Each wrong setting is named in a line of its own; neither its value nor the key is repeated."""
    wrong = {"API_KEY": "hunter2", "REVIEW_THRESHOLD": "7.25", "REDIS_URL": "hello", "PATH": os.environ["PATH"]}
    done = subprocess.run([sys.executable, "-m", "gateway"], env=wrong, capture_output=True, text=True, check=False)
    assert done.returncode == os.EX_CONFIG
    assert [line.split(":")[1].strip() for line in done.stderr.splitlines()] == ["REDIS_URL", "REVIEW_THRESHOLD"]
    assert not {word for word in ("hunter2", "7.25", "hello") if word in done.stdout + done.stderr}
