// A long absence, told in Socket.IO: a thousand messages are said, then a client by polling and one by WebSocket join
// from the room's beginning and must be given each message once, in order, while more are said.
// Prints a JSON summary; exit code 0 only if that is what happened.
//
//   node socketio-long-catch-up.mjs [URL] --missed 1000
import { io } from 'socket.io-client';
import { client, flags, freshRoom, main, next, within } from './common.mjs';
import { Listener, httpOf } from './socketio-common.mjs';

const { urls, token, ...given } = flags({ missed: { type: 'string', default: '1000' } });
const [url] = urls;
const missed = Number(given.missed);
const meanwhile = 100;
const room = freshRoom('socketio-long-catch-up');

await main(async () => {
  const native = client(url, { user: 'nora', token });
  const listeners = [];
  try {
    const channel = native.newSubscription(room);
    const joined = next(channel, 'subscribed');
    native.connect();
    channel.subscribe();
    const { streamPosition } = await within(15, 'the native client in the room', joined);
    const text = 'a long message, so that the catch-up has many pages '.repeat(4);
    const say = async (count) => {
      for (let said = 0; said < count; said += 20) {
        const receipts = Array.from({ length: Math.min(20, count - said) }, () => channel.publish({ text }));
        await within(30, 'receipts', Promise.all(receipts));
      }
    };
    await say(missed);
    for (const transport of ['polling', 'websocket']) {
      const socket = io(httpOf(url), { auth: token ? { token } : { user: transport }, transports: [transport] });
      listeners.push(new Listener(socket, transport));
    }
    const goesOn = say(meanwhile);
    const since = { epoch: streamPosition.epoch, offset: 0 };
    const answers = await within(30, 'both join', Promise.all(listeners.map((one) => one.join(room, since))));
    await goesOn;
    const last = missed + meanwhile;
    await within(30, 'both are given the last one', Promise.all(listeners.map((one) => one.until(last))));
    const whole = listeners.map(({ heard }) => heard.length === last && heard.every(({ offset }, i) => offset === i + 1));
    const ok = whole.every(Boolean) && answers.every(({ recovered }) => recovered);
    console.log(JSON.stringify({ ok, room, whole, first: answers.map(({ events }) => events.length) }));
    return ok;
  } finally {
    native.disconnect();
    for (const { socket } of listeners) socket.disconnect();
  }
});
