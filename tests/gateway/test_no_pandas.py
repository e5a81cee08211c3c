"""pandas stays out of the gateway's processes, though it is installed here."""

import subprocess
import sys
from pathlib import Path

import psutil

from tests.gateway.process import Gateway
from tests.timeouts import WAIT_SECONDS
from tests.tiny import TinyServer


def test_pyarrow_does_not_import_it() -> None:
    """It does where it may: or else nothing here would hide anything."""
    used = "import sys, pyarrow as pa; pa.array([1.0]); print('pandas' in sys.modules)"
    hidden = f"from gateway.no_pandas import hide_pandas; hide_pandas(); {used}"
    outputs = [
        subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=WAIT_SECONDS)
        for code in (used, hidden)
    ]
    assert [output.stdout.strip() for output in outputs] == ["True", "False"]


def test_no_process_of_a_gateway_has_it(tmp_path: Path, model_server: TinyServer) -> None:
    """Neither one that serves alone nor several."""
    for large in ("0", "1"):
        gateway = Gateway(tmp_path, model_server, LARGE_BODY_PROCESSES=large, TMPDIR=str(tmp_path))
        try:
            gateway.until_it_is("ready")
            first = psutil.Process(gateway.process.pid)
            maps = [file.path for each in (first, *first.children()) for file in each.memory_maps()]
            assert any("pyarrow" in path for path in maps)
            assert not any("/pandas/" in path for path in maps)
        finally:
            gateway.close()
