// A first message: joins a room, says something, prints what everyone in the room hears, leaves.
//
//   node first-message.mjs [URL] --user ada --room lobby --text "hello"
import { client, flags, main, next, within } from './common.mjs';

const { user, token, room, text, urls } = flags({
  room: { type: 'string', default: 'lobby' },
  text: { type: 'string', default: 'hello, everyone' },
});
const [url] = urls;

await main(async () => {
  const me = client(url, { user, token });
  try {
    const connected = next(me, 'connected');
    me.connect();
    const { client: session } = await within(10, `an answer from ${url}`, connected);
    console.log(`connected to ${url} as ${session}`);

    const here = me.newSubscription(room);
    const joined = next(here, 'subscribed');
    const heard = next(here, 'publication', ({ info }) => info?.client === session);
    here.subscribe();
    const { streamPosition } = await within(10, `joining ${room}`, joined);
    console.log(`joined ${room}`, streamPosition ?? '');

    await within(10, 'a receipt', here.publish({ text }));
    const { data, offset, info } = await within(10, 'hearing it', heard);
    console.log(`heard #${offset} in ${room} from ${info?.user}:`, data);
  } finally {
    me.disconnect();
  }
});
