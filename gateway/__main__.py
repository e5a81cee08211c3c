"""`python -m gateway`: serves the gateway as its environment says, in this process or in several."""

import os
import sys
import tempfile
from dataclasses import asdict

from gateway.logs import configure, log
from gateway.no_pandas import hide_pandas
from gateway.processes.count import by_processors, process_counts
from gateway.processes.roles import ProcessCounts
from gateway.processes.sockets import reserve
from gateway.settings import DRAIN_SECONDS, GatewaySettings, load_settings

KILL_SECONDS = 0.5
"""After all requests should have been answered."""


def main() -> None:
    """Runs until SIGTERM or SIGINT, and then drains."""
    os.umask(0o077)  # What it writes, its log files, is its owner's alone.
    settings = load_settings()
    configure(settings.log_file, stream=settings.log_stream)
    counts, most = process_counts(settings), by_processors().total
    if settings.gateway_processes is settings.large_body_processes is None and counts.total < most:
        log.info("memory or limits allow fewer processes than processors do", processes=counts.total, allowed=most)
    if counts.total == 1:
        _serve_alone(settings)
    else:
        _serve_in_processes(settings, counts)


def _serve_alone(settings: GatewaySettings) -> None:
    hide_pandas()
    # A process that only starts others would take 100 MB more with what this imports.
    from gateway.drain import Drain  # noqa: PLC0415
    from gateway.serving import serve  # noqa: PLC0415

    serve(settings, Drain(settings.drain_delay_seconds))


def _serve_in_processes(settings: GatewaySettings, counts: ProcessCounts) -> None:
    """Becomes the supervisor, which holds the port on."""
    try:
        sockets = reserve(settings.host, settings.port)
    except OSError as error:
        print(f"the gateway cannot listen on {settings.host}:{settings.port}: {error.strerror}", file=sys.stderr)
        raise SystemExit(1) from None
    for each in sockets:
        each.set_inheritable(True)
    port = sockets[0].getsockname()[1]
    log.info("processes started", **asdict(counts), host=settings.host, port=port)
    seconds = settings.drain_delay_seconds + DRAIN_SECONDS + KILL_SECONDS
    shared = port, tempfile.mkdtemp(prefix="gateway-"), seconds, counts.serving, counts.large
    logs = int(settings.log_stream), settings.log_file or ""
    command = [sys.executable, "-m", "gateway.processes", *map(str, (*shared, *logs))]
    os.execv(sys.executable, command)  # noqa: S606 - another module of this program


if __name__ == "__main__":
    main()
