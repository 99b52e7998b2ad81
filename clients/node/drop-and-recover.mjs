// A cut link loses nothing: A listens, A's link is cut, B speaks meanwhile, A comes back by itself and must be given
// exactly what it missed, in order. Prints a JSON summary; exit code 0 only if that is what happened.
//
//   node drop-and-recover.mjs [URL [URL of B's hub]] --missed 20 --protobuf
import { client, flags, freshRoom, main, next, read, within, written } from './common.mjs';
import { LossyLink } from './lossy-link.mjs';

const { urls, user, token, token2, protobuf, room, ...numbers } = flags({
  token2: { type: 'string' },
  room: { type: 'string', default: freshRoom('drop-and-recover') },
  missed: { type: 'string', default: '10' },
});
const [url, urlOfB = url] = urls;
const missed = Number(numbers.missed);
const before = 3; // heard while the link is whole
const after = 3; // heard once it is whole again

await main(async () => {
  const link = await LossyLink.toward(url);
  const a = client(link.url, { user, token, protobuf });
  const b = client(urlOfB, { user: 'bob', token: token2 ?? token, protobuf });
  const heard = [];
  const comebacks = [];
  try {
    const listening = a.newSubscription(room);
    const speaking = b.newSubscription(room);
    const all = new Promise((resolve) => {
      listening.on('publication', ({ offset, data }) => {
        const { n } = read(data, protobuf);
        heard.push({ offset, n });
        if (n === before + missed + after) resolve();
      });
    });
    const firstHeard = next(listening, 'publication', ({ data }) => read(data, protobuf).n === before);
    const joined = [next(listening, 'subscribed'), next(speaking, 'subscribed')];
    for (const one of [a, b]) one.connect();
    for (const one of [listening, speaking]) one.subscribe();
    await within(15, 'both in the room', Promise.all(joined));

    let n = 0;
    const say = async (count) => {
      for (let i = 0; i < count; i++) await within(10, 'a receipt', speaking.publish(written({ n: ++n, text: `number ${n}` }, protobuf)));
    };
    await say(before);
    await within(10, 'A hears B', firstHeard);

    const lost = next(a, 'connecting');
    const cut = link.cut();
    await within(10, 'A notices the cut', lost);
    await say(missed);
    const silent = heard.length === before;

    const back = next(listening, 'subscribed');
    listening.on('subscribed', (context) => comebacks.push(context));
    link.mend();
    const { wasRecovering, recovered } = await within(30, 'A comes back', back);
    await say(after);
    await within(30, 'A hears the last one', all);

    const wanted = Array.from({ length: before + missed + after }, (_, i) => i + 1);
    const said = heard.map((event) => event.n);
    const offsets = heard.map((event) => event.offset);
    const complete = JSON.stringify(said) === JSON.stringify(wanted);
    const gapless = offsets.every((offset, i) => i === 0 || offset === offsets[i - 1] + 1);
    const ok = cut > 0 && silent && wasRecovering && recovered && complete && gapless && comebacks.length === 1;
    console.log(
      JSON.stringify({ ok, room, cut, missed, silent, wasRecovering, recovered, complete, gapless, said, offsets }),
    );
    return ok;
  } finally {
    for (const one of [a, b]) one.disconnect();
    link.close();
  }
});
