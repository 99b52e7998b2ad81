// The chat of Socket.IO's tutorial, last step: a second argument names the message, and `retries` repeats it until it is
// acknowledged. What is said is heard once and in order, what is refused is heard to be refused and holds nothing up, and
// what is refused for the moment is said in the end. Exit code 0 only if that is so. The hub maps `chat message` to a room
// (shape `text`), rejects `spam`, and takes few commands at once.
//
//   node socketio-tutorial.mjs [URL] --count 12
import { io } from 'socket.io-client';
import { flags, main, within } from './common.mjs';
import { httpOf } from './socketio-common.mjs';

const { urls, user, ...given } = flags({ count: { type: 'string', default: '12' } });
const count = Number(given.count);

/** As the tutorial has it. */
function chat(name, options = {}) {
  const socket = io(httpOf(urls[0]), { auth: { user: name, serverOffset: 0 }, ackTimeout: 500, retries: 40, ...options });
  const messages = [];
  const refused = [];
  socket.on('chat message', (message) => messages.push(message));
  socket.on('refused', (what) => refused.push(what));
  let counter = 0;
  const say = (message) => {
    const offset = `${socket.id}-${counter++}`;
    socket.emit('chat message', message, offset);
    return offset;
  };
  return { socket, messages, refused, say, connected: new Promise((resolve) => socket.on('connect', resolve)) };
}

const until = async (holds) => {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 10));
};

await main(async () => {
  const [ada, bob] = [chat(user), chat('bob', { transports: ['polling'] })];
  try {
    await within(10, 'both connected', Promise.all([ada.connected, bob.connected]));
    await within(10, 'bob in the room', new Promise((resolve) => bob.socket.emit('history', { room: 'lobby', limit: 0 }, resolve)));
    const spam = ada.say('buy spam now');
    for (let n = 0; n < count; n++) ada.say(`number ${n}`);
    await within(60, 'bob hears everything', until(() => bob.messages.length >= count));
    const wanted = JSON.stringify(Array.from({ length: count }, (_, n) => `number ${n}`));
    const once = JSON.stringify(bob.messages) === wanted;

    // Refused for good: once, by name. Refused for the moment: heard as well, and said in the end.
    const forGood = ada.refused.filter(({ temporary }) => !temporary);
    const heard = forGood.length === 1 && forGood[0].key === spam && forGood[0].event === 'chat message';
    const fast = ada.refused.filter(({ temporary }) => temporary);
    const paced = fast.length > 0 && fast.every(({ code, details }) => code === 111 && details.retry_after_ms > 0);

    // The same name said again by hand, as a client does whose acknowledgement was lost, and what the field passes over.
    const plain = io(httpOf(urls[0]), { auth: { user: 'eve' } });
    const told = [];
    plain.on('refused', (what) => told.push(what));
    await within(10, 'eve connected', new Promise((resolve) => plain.on('connect', resolve)));
    const ask = (...args) => within(10, `an answer to ${JSON.stringify(args)}`, plain.emitWithAck('chat message', ...args));
    const receipts = [await ask('again', 'eve-1'), await ask('again', 'eve-1'), await ask('again', 'eve-2', { more: 1 }, null)];
    const unnamed = await ask('no name', null);
    const odd = await ask({ not: 'text' });
    plain.emit('chat message', { not: 'text' }, 'eve-3');
    await within(10, 'eve is told', until(() => told.length >= 2));
    const deduped = receipts[0].id === receipts[1].id && receipts[0].id !== receipts[2].id && unnamed.ok;
    const lenient = odd.ok === false && told.every(({ code, event }) => code === 107 && event === 'chat message');
    plain.disconnect();

    const ok = once && heard && paced && deduped && lenient;
    console.log(JSON.stringify({ ok, once, heard, paced, deduped, lenient, told: told.length, messages: bob.messages, refused: ada.refused.slice(0, 3) }));
    return ok;
  } finally {
    ada.socket.disconnect();
    bob.socket.disconnect();
  }
});
