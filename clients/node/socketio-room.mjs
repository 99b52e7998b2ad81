// Stock Socket.IO clients in one room with a native client on another hub: polling only, WebSocket only, and one that
// moves from the first to the second while messages pass. All must hear the same events in the same order, with nothing
// lost; then one drops, comes back on the other hub with its cursor, and must be given exactly what it missed.
// Prints a JSON summary; exit code 0 only if that is what happened.
//
//   node socketio-room.mjs [URL [URL of the other hub]] --messages 200
import { NodeXHR } from 'engine.io-client';
import { io } from 'socket.io-client';
import { client, flags, freshRoom, main, next, within } from './common.mjs';
import { lateWebSocket } from './late-websocket.mjs';
import { LossyLink } from './lossy-link.mjs';
import { Listener, httpOf } from './socketio-common.mjs';

const { urls, token, ...given } = flags({ messages: { type: 'string', default: '200' } });
const [url, other = url] = urls;
const count = Number(given.messages);
const room = freshRoom('socketio-room');

// The way for the WebSocket of the client that moves: not open before it has joined and speaks.
const { Late, move } = lateWebSocket();

await main(async () => {
  const link = await LossyLink.toward(url);
  const native = client(other, { user: 'nora', token });
  const listeners = [];
  const listen = (name, at, options) => {
    const listener = new Listener(io(httpOf(at), { auth: token ? { token } : { user: name }, ...options }), name);
    listeners.push(listener);
    return listener;
  };
  try {
    const channel = native.newSubscription(room);
    const heardNatively = [];
    channel.on('publication', ({ offset, tags }) => heardNatively.push({ offset, id: tags.id }));
    const joined = next(channel, 'subscribed');
    native.connect();
    channel.subscribe();
    await within(15, 'the native client in the room', joined);

    const polling = listen('paul', url, { transports: ['polling'] });
    const socket = listen('wanda', link.url, { transports: ['websocket'], reconnection: false });
    for (const one of [polling, socket]) {
      await within(15, `${one.name} in the room`, one.join(room));
    }

    // Speaks on the other hub without a pause until told to stop.
    let said = 0;
    let speaking = true;
    const talk = (async () => {
      while (speaking) await within(20, 'a receipt', channel.publish({ n: ++said }));
    })();
    talk.catch(() => {}); // a story that fails earlier has the failure to report

    // Joins while it polls, says things while it moves, hears everything.
    const moving = listen('ursula', url, { transports: [NodeXHR, Late] });
    const upgraded = new Promise((resolve) => {
      moving.socket.on('connect', () => moving.socket.io.engine.once('upgrade', () => resolve(true)));
    });
    await within(15, 'ursula in the room', moving.join(room, { offset: 0 }));
    const receipts = [];
    const before = moving.socket.io.engine.transport.name;
    for (let n = 0; n < 20; n++) receipts.push(moving.ask('send', { room, key: `u${n}`, body: { u: n } }));
    move();
    for (let n = 20; n < 40; n++) receipts.push(moving.ask('send', { room, key: `u${n}`, body: { u: n } }));
    await within(15, 'the move to a WebSocket', upgraded);
    for (let n = 40; n < 80; n++) receipts.push(moving.ask('send', { room, key: `u${n}`, body: { u: n } }));
    const acked = await within(30, 'receipts', Promise.all(receipts));
    const carrier = moving.socket.io.engine.transport.name;
    while (said < count) await within(10, 'another message', moving.ask('history', { room, limit: 0 }));
    speaking = false;
    await talk;

    const top = acked.length + said;
    for (const one of listeners) await within(20, `${one.name} hears ${top}`, one.until(top));
    await within(20, 'the native client hears it all', settled(() => heardNatively.length >= top));
    const same = listeners.map((one) => JSON.stringify(one.places()) === JSON.stringify(heardNatively));
    const gapless = heardNatively.every(({ offset }, i) => offset === i + 1);
    const ordered = moving.heard.filter((event) => event.body.u !== undefined).every((event, i) => event.body.u === i);

    // A drop, and a comeback on the other hub with the cursor of the last event.
    const cursor = socket.cursor();
    link.cut();
    await within(20, 'wanda notices', settled(() => !socket.socket.connected));
    for (let n = 0; n < 25; n++) await within(10, 'a receipt', channel.publish({ missed: n }));
    const back = listen('wanda', other, { transports: ['websocket'] });
    const answer = await within(15, 'wanda is back', back.join(room, cursor));
    const missed = answer.events.map((event) => event.body.missed);
    const complete = answer.recovered && JSON.stringify(missed) === JSON.stringify([...Array(25).keys()]);
    await within(10, 'a receipt', channel.publish({ last: true }));
    await within(10, 'wanda hears again', back.until(top + 26));

    const refused = await moving.ask('send', { room, nonsense: true });
    const refusal = refused.ok === false && refused.error.code === 107;
    const ok =
      same.every(Boolean) && gapless && ordered && acked.every((receipt) => receipt.ok) && before === 'polling' && carrier === 'websocket' && complete && refusal;
    console.log(JSON.stringify({ ok, room, top, same, gapless, ordered, before, carrier, complete, refusal }));
    return ok;
  } finally {
    for (const one of listeners) one.socket.disconnect();
    native.disconnect();
    link.close();
  }
});

/** Resolves once `holds()`; whoever waits sets the end. */
async function settled(holds) {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 10));
}
