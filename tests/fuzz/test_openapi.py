"""A gateway as a process, asked by schemathesis for all that its own OpenAPI document promises, with every check."""

import os
import subprocess
from pathlib import Path

import pytest

from contract.schema import Contract
from tests.gateway.contracts import EVERYTHING, write_live
from tests.gateway.process import Gateway
from tests.keys import HISTORY_KEY
from tests.tiny import CONTRACT
from tests.valkey import running

ROOT = Path(__file__).resolve().parents[2]
SECONDS = int(os.environ.get("FUZZ_SECONDS", "60"))
SEED = os.environ.get("FUZZ_SEED", "12")


@pytest.mark.timeout(SECONDS + 300)
@pytest.mark.parametrize("contract", [EVERYTHING, CONTRACT], ids=lambda contract: contract.name)
def test_it_is_as_its_document_says(tmp_path: Path, contract: Contract) -> None:
    """No status, header, content or body that is not in it; what fits it is accepted, and what does not is refused."""
    (tmp_path / "valkey").mkdir()
    with running(tmp_path / "valkey") as valkey:
        gateway = Gateway(tmp_path, write_live(tmp_path, contract), REDIS_URL=valkey.url, HISTORY_KEY=HISTORY_KEY)
        try:
            gateway.until_it_is("ready")
            status = schemathesis(f"{gateway.url}/openapi.json", tmp_path)
        finally:
            gateway.close()
    assert status == 0


def schemathesis(document: str, directory: Path) -> int:
    """The exit status: 0 where it found nothing."""
    options = ["--checks", "all", "--max-time", str(SECONDS // 2), "--seed", SEED, "--max-response-time", "15"]
    command = [os.environ["FUZZ"], "run", document, *options, "--suppress-health-check", "all", "--no-color"]
    output = {"SCHEMATHESIS_HOOKS": "tests.fuzz.hooks", "PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"]}
    return subprocess.run([*command, "--header", "X-API-Key: k-1"], cwd=directory, env=output, check=False).returncode
