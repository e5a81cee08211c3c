"""`python -m gateway`: serves the gateway as its environment says."""

import os
import sys

import uvicorn
from pydantic import ValidationError

from environment.secret_files import SecretFileError
from gateway import allocator
from gateway.app import create_app
from gateway.drain import DRAIN_SECONDS, Drain, DrainingServer
from gateway.http.protocol import GuardedProtocol
from gateway.logs import configure
from gateway.settings import GatewaySettings

SWITCH_SECONDS = 0.0005
"""After so long a thread that computes gives way to the event loop. With Python's own 5 ms a request beside a large
file waited for 14 ms of that file's computing at the 99th percentile, with this for 7; the file takes no longer."""


def main() -> None:
    """Runs until SIGTERM or SIGINT, and then drains."""
    os.umask(0o077)  # What it writes, its log files, is its owner's alone.
    allocator.set_up()
    sys.setswitchinterval(SWITCH_SECONDS)
    settings = _settings()
    configure(settings.log_file, stream=settings.log_stream)
    drain = Drain(settings.drain_delay_seconds)
    server = DrainingServer(
        uvicorn.Config(
            create_app(settings, drain=drain),
            host=settings.host,
            port=settings.port,
            loop="uvloop",
            http=GuardedProtocol,  # on httptools: h11 is four times slower and answers a smuggled second request
            ws="none",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,  # Nobody here asks for a caller's address.
            timeout_graceful_shutdown=DRAIN_SECONDS,
        ),
        drain,
    )
    server.run()


def _settings() -> GatewaySettings:
    """The settings; where one is wrong, a line that names it and not its value, and the end."""
    try:
        return GatewaySettings()
    except ValidationError as error:
        for fault in error.errors(include_url=False, include_context=False, include_input=False):
            name = "_".join(map(str, fault["loc"])).upper() or "settings"
            empty = fault["type"] == "missing" and os.environ.get(f"{name}_FILE")
            text = f"{name}_FILE: the file that it names is empty" if empty else f"{name}: {fault['msg']}"
            print(f"the gateway cannot start: {text}", file=sys.stderr)
    except SecretFileError as error:
        print(f"the gateway cannot start: {error}", file=sys.stderr)
    raise SystemExit(os.EX_CONFIG)


if __name__ == "__main__":
    main()
