"""`location-detection serve` and `work`: the service on this machine, and its workers alone."""

from __future__ import annotations

import errno
import ipaddress
import os
import signal
import socket
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, NoReturn

import typer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fastapi import FastAPI

    from utils.config import Settings
    from worker.pool import WorkerPool

DRAIN_S: Final = 5  # how long open requests may take to end once the server was asked to
_BACKLOG: Final = 2048

DataDir = Annotated[
    Path | None,
    typer.Option(
        "--data",
        metavar="DIR",
        file_okay=False,
        help="Where everything is kept. [default: $LOCATION_DETECTION_DATA_DIR or data]",
    ),
]
Workers = Annotated[
    int | None, typer.Option(metavar="N", min=1, max=64, help="Worker processes. [default: one for two processors]")
]


def serve(
    host: Annotated[
        str, typer.Option(help="The address to listen on; other than loopback needs tokens.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port; 0 takes a free one.")] = 8000,
    data: DataDir = None,
    workers: Workers = None,
) -> None:
    """Serve the HTTP API and the page, with worker processes, until interrupted.

    Tokens come from LOCATION_DETECTION_TOKENS="name:token,other:token"; without any, it listens on loopback alone.
    """
    settings = load(data)
    tokens = _tokens(host)
    with _listen(host, port) as listener:
        from api.rest_api import create_app
        from storage import open_storage

        app = create_app(open_storage(settings), settings, tokens=tokens)
        stopping = _stop_on_signals()
        pool = _pool(settings, workers)
        try:
            _run(app, listener, host, stopping)
        finally:
            pool.stop()


def work(data: DataDir = None, workers: Workers = None) -> None:
    """Run worker processes alone, on the same data as a server, until interrupted."""
    settings = load(data)
    stopping = _stop_on_signals()
    pool = _pool(settings, workers)
    typer.echo(f"working on {settings.data_dir}", err=True)
    try:
        stopping.wait()
    finally:
        pool.stop()


def load(data: Path | None) -> Settings:
    """The settings of the environment, with the data folder that was named."""
    from utils.config import load_settings

    try:
        return load_settings(**({} if data is None else {"data_dir": data.expanduser().resolve()}))
    except ValueError as error:
        refuse(f"the configuration is not valid: {error}")


def refuse(message: str) -> NoReturn:
    """End with exit code 2: what was asked for cannot be done as asked."""
    typer.echo(f"error: {message}", err=True)
    raise typer.Exit(2)


def _tokens(host: str) -> Mapping[str, str] | None:
    """The tokens that are asked for; None lets everybody in, which only loopback may."""
    from api.auth import TOKENS_VARIABLE, load_tokens

    try:
        tokens = load_tokens()
    except ValueError as error:
        refuse(str(error))
    if tokens is None and not is_loopback(host):
        refuse(
            f"{host} can be reached from other machines, so a token is needed: set "
            f'{TOKENS_VARIABLE}="name:token", or listen on 127.0.0.1'
        )
    return tokens


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach what listens on the host."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _listen(host: str, port: int) -> socket.socket:
    """A socket that listens; whoever connects before the server runs waits in its backlog."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listener = socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except socket.gaierror:
        refuse(f"the host {host} is not known")
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            refuse(f"port {port} on {host} is in use; choose another with --port (0 takes a free one)")
        refuse(f"cannot listen on {host}, port {port}: {os.strerror(error.errno or 0)}")
    # Connections inherit it; without it an answer's second packet waits 40 ms for the first one's acknowledgement.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def _pool(settings: Settings, workers: int | None) -> WorkerPool:
    from worker.pool import WorkerPool

    pool = WorkerPool(settings, workers or max(1, (os.cpu_count() or 2) // 2))
    pool.start()
    return pool


def _stop_on_signals() -> threading.Event:
    """Set when the process is asked to end.

    Set before the server takes over the signals: it raises them once more when it is done, and the workers are to be
    stopped after that.
    """
    stopping = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopping.set())
    return stopping


def _run(app: FastAPI, listener: socket.socket, host: str, stopping: threading.Event) -> None:
    """Answer requests until a signal comes."""
    import uvicorn

    shown = f"[{host}]" if ":" in host else host
    url = f"http://{shown}:{listener.getsockname()[1]}"

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            typer.echo(f"serving on {url} (stop with Ctrl-C)", err=True)

    config = uvicorn.Config(
        app,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=DRAIN_S,
    )
    if not stopping.is_set():
        Server(config).run(sockets=[listener])
