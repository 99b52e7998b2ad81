// A long absence: A listens and leaves, B says a thousand messages, A comes back and must be given each of them once,
// in order, while B goes on. Prints a JSON summary; exit code 0 only if that is what happened.
//
//   node long-catch-up.mjs [URL [URL of B's hub]] --missed 1000 --protobuf
import { client, flags, freshRoom, main, next, read, within, written } from './common.mjs';
import { LossyLink } from './lossy-link.mjs';

const { urls, user, token, token2, protobuf, ...numbers } = flags({
  token2: { type: 'string' },
  missed: { type: 'string', default: '1000' },
});
const [url, urlOfB = url] = urls;
const missed = Number(numbers.missed);
const meanwhile = 100;
const room = freshRoom('long-catch-up');

await main(async () => {
  const link = await LossyLink.toward(url);
  const a = client(link.url, { user, token, protobuf });
  const b = client(urlOfB, { user: `bob of ${room}`, token: token2 ?? token, protobuf });
  const heard = [];
  try {
    const listening = a.newSubscription(room);
    const speaking = b.newSubscription(room);
    const all = new Promise((resolve) => {
      listening.on('publication', ({ offset, data }) => {
        heard.push({ offset, n: read(data, protobuf).n });
        if (heard.length === missed + meanwhile) resolve();
      });
    });
    const joined = [next(listening, 'subscribed'), next(speaking, 'subscribed')];
    for (const one of [a, b]) one.connect();
    for (const one of [listening, speaking]) one.subscribe();
    await within(15, 'both in the room', Promise.all(joined));

    const lost = next(a, 'connecting');
    link.cut();
    await within(10, 'A notices the cut', lost);
    let n = 0;
    const say = async (count) => {
      const text = 'a long message, so that the catch-up has many pages '.repeat(4);
      for (let said = 0; said < count; ) {
        const batch = Math.min(20, count - said);
        const receipts = Array.from({ length: batch }, () => speaking.publish(written({ n: ++n, text }, protobuf)));
        await within(30, 'receipts', Promise.all(receipts));
        said += batch;
      }
    };
    await say(missed);
    const back = next(listening, 'subscribed');
    link.mend();
    const goesOn = say(meanwhile);
    const { wasRecovering, recovered } = await within(30, 'A comes back', back);
    await goesOn;
    await within(30, 'A is given the last one', all);
    const gapless = heard.every(({ offset, n }, i) => n === i + 1 && offset === i + 1);
    const ok = wasRecovering && recovered && gapless && heard.length === missed + meanwhile;
    console.log(JSON.stringify({ ok, room, missed, wasRecovering, recovered, gapless, heard: heard.length }));
    return ok;
  } finally {
    for (const one of [a, b]) one.disconnect();
    link.close();
  }
});
