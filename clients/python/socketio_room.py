"""A stock Socket.IO client by polling and one by WebSocket in one room with a native client on another hub: all hear the
same events in the same order; one drops, comes back on the other hub with its cursor, and is given exactly what it
missed. Prints a JSON summary; exit code 0 only if that is what happened.

    python socketio_room.py [URL [URL of the other hub]] --messages 60
"""

import asyncio
import json
import uuid
from urllib.parse import urlparse

import socketio
from common import Connection, Listener, LossyLink, client, flags, main, within


class Ear:
    """A Socket.IO client that keeps a room's events."""

    def __init__(self, name):
        self.name = name
        self.heard = []
        self._changed = asyncio.Condition()
        self.socket = socketio.AsyncClient(reconnection=False)
        self.lost = asyncio.Event()
        self.socket.on("event", self._keep)
        self.socket.on("disconnect", self._lost)

    async def connect(self, url, token, transports):
        auth = {"token": token} if token else {"user": self.name}
        await self.socket.connect(f"http://{urlparse(url).netloc}", auth=auth, transports=transports)

    async def ask(self, event, data):
        """Emits an event and returns its acknowledgement."""
        return await self.socket.call(event, data, timeout=15)

    async def join(self, room, since=None):
        answer = await self.ask("join", {"room": room, **({"since": since} if since else {})})
        if not answer["ok"]:
            raise RuntimeError(f"{self.name} could not join: {answer['error']}")
        for event in answer["events"]:
            await self._keep(event)
        return answer

    async def until(self, count):
        async with self._changed:
            await self._changed.wait_for(lambda: len(self.heard) >= count)

    def places(self):
        return [(event["offset"], event["id"]) for event in self.heard]

    async def _keep(self, event):
        async with self._changed:
            self.heard.append(event)
            self._changed.notify_all()

    async def _lost(self, *_):
        self.lost.set()


async def story(args):
    other = args.other or args.url
    link = LossyLink(args.url)
    await link.open()
    ear = Listener()
    native = client(other, "nora", args.token, Connection())
    polling, socket, back = Ear("paul"), Ear("wanda"), Ear("wanda")
    try:
        channel = native.new_subscription(args.room, events=ear)
        await native.connect()
        await channel.subscribe()
        await within(15, "the native client in the room", ear.until(lambda room: room.joined))
        await polling.connect(args.url, args.token, ["polling"])
        await socket.connect(link.url, args.token, ["websocket"])
        for one in (polling, socket):
            await one.join(args.room)

        half = args.messages // 2
        for n in range(half):
            await within(10, "a receipt", channel.publish({"n": n}))
            receipt = await polling.ask("send", {"room": args.room, "key": f"p{n}", "body": {"p": n}})
            if not receipt["ok"]:
                raise RuntimeError(f"refused: {receipt}")
        for one in (polling, socket):
            await within(15, f"{one.name} hears it all", one.until(2 * half))
        await within(15, "the native client hears it all", ear.until(lambda room: len(room.heard) >= 2 * half))
        natively = [(pub.offset, pub.tags["id"]) for pub in ear.heard]
        same = polling.places() == natively and socket.places() == natively

        last = socket.heard[-1]
        link.cut()
        await within(20, "wanda notices the cut", socket.lost.wait())
        for n in range(12):
            await within(10, "a receipt", channel.publish({"missed": n}))
        await back.connect(other, args.token, ["websocket"])
        answer = await back.join(args.room, {"epoch": last["epoch"], "offset": last["offset"]})
        missed = [event["body"]["missed"] for event in answer["events"]]
        complete = answer["recovered"] and missed == list(range(12))
        ok = same and complete
        print(json.dumps({"ok": ok, "same": same, "complete": complete, "heard": len(natively)}))
        return ok
    finally:
        for one in (polling, socket, back):
            await one.socket.disconnect()
        await native.disconnect()
        await link.close()


if __name__ == "__main__":
    parser = flags(__doc__)
    parser.add_argument("other", nargs="?")
    parser.add_argument("--room", default=f"socketio-room:{uuid.uuid4().hex[:12]}")
    parser.add_argument("--messages", type=int, default=60)
    main(story(parser.parse_args()))
