"""A stock Socket.IO client by polling that emits many events in one go: it puts them into one request, larger than any
of them may be. Each must be acknowledged. Prints a JSON summary; exit code 0 only if that is what happened.

    python polling_batch.py [URL] --messages 14 --bytes 30000
"""

import asyncio
import json
import uuid
from urllib.parse import urlparse

import socketio
from common import flags, main, within


async def story(args):
    socket = socketio.AsyncClient(reconnection=False)
    auth = {"token": args.token} if args.token else {"user": args.user}
    await socket.connect(f"http://{urlparse(args.url).netloc}", auth=auth, transports=["polling"])
    room, acks, done = f"batch:{uuid.uuid4().hex[:12]}", [], asyncio.Event()

    def acknowledged(answer):
        acks.append(answer["ok"])
        if len(acks) == args.messages:
            done.set()

    for n in range(args.messages):
        body = {"text": "y" * args.bytes}
        await socket.emit("send", {"room": room, "key": f"k{n}", "body": body}, callback=acknowledged)
    await within(20, "every acknowledgement", done.wait())
    ok = all(acks) and socket.connected
    print(json.dumps({"ok": ok, "acknowledged": len(acks)}))
    await socket.disconnect()
    return ok


if __name__ == "__main__":
    parser = flags(__doc__)
    parser.add_argument("--messages", type=int, default=30)  # the client reads no more than 16 packets of one answer
    parser.add_argument("--bytes", type=int, default=30000)
    main(story(parser.parse_args()))
