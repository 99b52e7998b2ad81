"""A cut link loses nothing: A listens, A's link is cut, B speaks meanwhile, A comes back by itself and must be given
exactly what it missed, in order. Prints a JSON summary; exit code 0 only if that is what happened.

    python drop_and_recover.py [URL [URL of B's hub]] --missed 20 --protobuf
"""

import json
import uuid

from common import Connection, Listener, LossyLink, client, flags, main, read, within, written

BEFORE = 3  # heard while the link is whole
AFTER = 3  # heard once it is whole again


async def story(args):
    link = LossyLink(args.url)
    await link.open()
    connection, ear, other = Connection(), Listener(), Listener()
    a = client(link.url, args.user, args.token, connection, protobuf=args.protobuf)
    b = client(args.url_of_b or args.url, "bob", args.token2 or args.token, protobuf=args.protobuf)
    try:
        listening = a.new_subscription(args.room, events=ear)
        speaking = b.new_subscription(args.room, events=other)
        for one in (a, b):
            await one.connect()
        for one in (listening, speaking):
            await one.subscribe()
        await within(15, "A in the room", ear.until(lambda room: room.joined))
        await within(15, "B in the room", other.until(lambda room: room.joined))

        n = 0

        def number(pub):
            return read(pub.data, args.protobuf).get("n")

        async def say(count):
            nonlocal n
            for _ in range(count):
                n += 1
                message = {"n": n, "text": f"number {n}"}
                await within(10, "a receipt", speaking.publish(written(message, args.protobuf)))

        await say(BEFORE)
        await within(10, "A hears B", ear.until(lambda room: len(room.heard) == BEFORE))

        cut = link.cut()
        await within(10, "A notices the cut", connection.lost.wait())
        await say(args.missed)
        silent = len(ear.heard) == BEFORE

        link.mend()
        await within(30, "A comes back", ear.until(lambda room: len(room.joined) == 2))
        await say(AFTER)
        last = BEFORE + args.missed + AFTER
        await within(30, "A hears the last one", ear.until(lambda room: number(room.heard[-1]) == last))

        back = ear.joined[1]
        said = [number(pub) for pub in ear.heard]
        offsets = [pub.offset for pub in ear.heard]
        complete = said == list(range(1, last + 1))
        gapless = all(after == before + 1 for before, after in zip(offsets, offsets[1:]))
        once = len(ear.joined) == 2
        ok = all([cut > 0, silent, back.was_recovering, back.recovered, complete, gapless, once])
        summary = {"ok": ok, "room": args.room, "cut": cut, "missed": args.missed, "silent": silent}
        summary |= {"wasRecovering": back.was_recovering, "recovered": back.recovered}
        print(json.dumps(summary | {"complete": complete, "gapless": gapless, "said": said, "offsets": offsets}))
        return ok
    finally:
        for one in (a, b):
            await one.disconnect()
        await link.close()


if __name__ == "__main__":
    parser = flags("Cut a listener's link and see that it misses nothing.")
    parser.add_argument("url_of_b", nargs="?", help="B's hub, if it is another one")
    parser.add_argument("--token2", default="", help="B's token, if it is another user")
    parser.add_argument("--room", default=f"drop-and-recover:{uuid.uuid4().hex[:12]}")
    parser.add_argument("--missed", type=int, default=10, help="what B says while A is away")
    main(story(parser.parse_args()))
