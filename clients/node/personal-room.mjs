// Two settings of the Centrifugo world, with stock clients: every user's own room is joined by the server (here `#USER`), and
// everybody in a room of `team:` is told who comes and goes without asking. Exit code 0 only if that is so.
//
//   node personal-room.mjs [URL] [--protobuf]
import { client, flags, freshRoom, main, next, read, within, written } from './common.mjs';

const { urls, protobuf } = flags();
const [url, other = url] = urls;

await main(async () => {
  const ada = client(url, { user: 'ada', protobuf });
  const bob = client(other, { user: 'bob', protobuf });
  try {
    const given = next(ada, 'subscribed', ({ channel }) => channel === '#ada');
    const heard = next(ada, 'publication', ({ channel }) => channel === '#ada');
    ada.connect();
    await within(15, 'her own room', given);
    await within(15, 'a receipt', ada.publish('#ada', written({ text: 'a note to myself' }, protobuf)));
    const { data } = await within(15, 'what is said there', heard);
    const own = read(data, protobuf).text === 'a note to myself';

    bob.connect();
    const refused = await bob.publish('#ada', written({}, protobuf)).then(() => undefined, ({ code }) => code);

    const room = freshRoom('team');
    const hers = ada.newSubscription(room);
    const joined = next(hers, 'subscribed');
    const came = next(hers, 'join', ({ info }) => info.user === 'bob');
    const went = next(hers, 'leave', ({ info }) => info.user === 'bob');
    hers.subscribe();
    await within(15, 'ada in the room', joined);
    const his = bob.newSubscription(room);
    his.subscribe();
    await within(15, 'that bob came', came);
    his.unsubscribe();
    await within(15, 'that bob went', went);
    const ok = own && refused === 103;
    console.log(JSON.stringify({ ok, own, refused }));
    return ok;
  } finally {
    ada.disconnect();
    bob.disconnect();
  }
});
