"""What the scripts share: flags, a stock client, events to wait for, and a link that can be cut."""

import argparse
import asyncio
import contextlib
import json
import os
import sys
from urllib.parse import urlparse

from centrifuge import Client, ClientEventHandler, SubscriptionEventHandler

# Where `cargo xtask run` and `cargo xtask up` have a hub.
URL_DEFAULT = "ws://127.0.0.1:8000/connection/websocket"


def flags(description):
    """A parser with what every script takes: a hub's address, --user, --token (or CONFAB_TOKEN) and --protobuf."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("url", nargs="?", default=URL_DEFAULT)
    parser.add_argument("--user", default="ada")
    parser.add_argument("--token", default=os.environ.get("CONFAB_TOKEN", ""))
    parser.add_argument("--protobuf", action="store_true", help="speak Protobuf instead of JSON")
    return parser


def client(url, user, token="", events=None, protobuf=False):
    """A stock client. Without a token it says who it is, which a hub believes only in development mode."""
    data = None if token else written({"user": user}, protobuf)
    # The hub is on this machine, so a proxy that the environment names is not asked.
    options = {"proxy": None, "max_reconnect_delay": 1.0, "use_protobuf": protobuf}
    return Client(url, events=events, token=token, data=data, **options)


def written(body, protobuf):
    """What is said, as the encoding wants it: in Protobuf a body is the bytes of its JSON text."""
    return json.dumps(body).encode() if protobuf else body


def read(data, protobuf):
    """The reverse of `written`."""
    return json.loads(data) if protobuf else data


async def within(seconds, what, awaitable):
    """The result, or an error that says what did not come in time."""
    try:
        return await asyncio.wait_for(awaitable, seconds)
    except asyncio.TimeoutError:
        raise RuntimeError(f"not within {seconds} s: {what}") from None


class Connection(ClientEventHandler):
    """Remembers that a client connected, lost its link, or was sent away."""

    def __init__(self):
        self.connected = asyncio.Event()
        self.lost = asyncio.Event()
        self.session = None

    async def on_connected(self, ctx):
        self.session = ctx.client
        self.connected.set()

    async def on_connecting(self, ctx):
        if self.connected.is_set():
            self.lost.set()

    async def on_disconnected(self, ctx):
        # 0 is the goodbye that we said ourselves.
        if ctx.code != 0:
            print(f"disconnected: {ctx.code} {ctx.reason}", file=sys.stderr)


class Listener(SubscriptionEventHandler):
    """Keeps what happens in a room, in order."""

    def __init__(self):
        self.joined = []
        self.heard = []
        self._changed = asyncio.Condition()

    async def on_subscribed(self, ctx):
        await self._keep(self.joined, ctx)

    async def on_publication(self, ctx):
        await self._keep(self.heard, ctx.pub)

    async def until(self, holds):
        """Waits until `holds(self)`."""
        async with self._changed:
            await self._changed.wait_for(lambda: holds(self))

    async def _keep(self, kept, one):
        async with self._changed:
            kept.append(one)
            self._changed.notify_all()


class LossyLink:
    """A TCP proxy on loopback whose connections can be cut without a goodbye."""

    def __init__(self, url):
        target = urlparse(url)
        self._host, self._port, self._path = target.hostname, target.port or 80, target.path
        self._ends = set()
        self._carrying = set()
        self._cut = False

    async def open(self):
        """Opens it; `url` is then the address through the link."""
        self._server = await asyncio.start_server(self._join, "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        self.url = f"ws://127.0.0.1:{port}{self._path}"

    def cut(self):
        """Ends every connection at once and refuses new ones until `mend`. Returns how many were cut."""
        self._cut = True
        ends = list(self._ends)
        for writer in ends:
            writer.transport.abort()
        return len(ends) // 2

    def mend(self):
        """Lets connections through again."""
        self._cut = False

    async def close(self):
        """Ends it for good."""
        self.cut()
        self._server.close()
        await asyncio.gather(*self._carrying)

    async def _join(self, reader, writer):
        if self._cut:
            writer.transport.abort()
            return
        carrying = asyncio.current_task()
        self._carrying.add(carrying)
        ends = {writer}
        try:
            far_reader, far_writer = await asyncio.open_connection(self._host, self._port)
            ends.add(far_writer)
            self._ends |= ends
            await asyncio.gather(self._pump(reader, far_writer), self._pump(far_reader, writer))
        except OSError:
            # The hub does not answer: the client sees its link end, and tries again.
            writer.transport.abort()
        finally:
            self._ends -= ends
            self._carrying.discard(carrying)

    @staticmethod
    async def _pump(reader, writer):
        # A cut shows as an error on either side; both ends are given up then.
        with contextlib.suppress(ConnectionError):
            while chunk := await reader.read(65536):
                writer.write(chunk)
                await writer.drain()
        writer.transport.abort()


def main(story):
    """Runs the script's story: exit code 0 if it comes out right, 1 with the reason if not."""
    try:
        ok = asyncio.run(story)
    except Exception as error:  # whatever went wrong, one line says so
        print(f"error: {error or type(error).__name__}", file=sys.stderr)
        ok = False
    sys.exit(1 if ok is False else 0)
