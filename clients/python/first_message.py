"""A first message: joins a room, says something, prints what everyone in the room hears, leaves.

    python first_message.py [URL] --user ada --room lobby --text "hello"
"""

from common import Connection, Listener, client, flags, main, within


async def story(args):
    connection, listener = Connection(), Listener()
    me = client(args.url, args.user, args.token, connection)
    try:
        await me.connect()
        await within(10, f"an answer from {args.url}", connection.connected.wait())
        print(f"connected to {args.url} as {connection.session}")

        here = me.new_subscription(args.room, events=listener)
        await here.subscribe()
        await within(10, f"joining {args.room}", listener.until(lambda room: room.joined))
        print(f"joined {args.room}", listener.joined[0].stream_position or "")

        await within(10, "a receipt", here.publish({"text": args.text}))

        def mine(room):
            return [pub for pub in room.heard if pub.info and pub.info.client == connection.session]

        await within(10, "hearing it", listener.until(mine))
        pub = mine(listener)[0]
        print(f"heard #{pub.offset} in {args.room} from {pub.info.user}: {pub.data}")
    finally:
        await me.disconnect()


if __name__ == "__main__":
    parser = flags("Join a room, say something, hear it, leave.")
    parser.add_argument("--room", default="lobby")
    parser.add_argument("--text", default="hello, everyone")
    main(story(parser.parse_args()))
