// The stock Engine.IO client against an echo: polling only, WebSocket only, and one that moves from the first to the
// second while messages pass both ways. Text, bytes and a large message must all come back, in order, each once.
// Prints a JSON summary; exit code 0 only if that is what happened.
//
//   node engineio.mjs http://127.0.0.1:3000/engine.io/ --messages 300
import { NodeWebSocket, NodeXHR, Socket } from 'engine.io-client';
import { parseArgs } from 'node:util';
import { main, within } from './common.mjs';
import { lateWebSocket } from './late-websocket.mjs';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { messages: { type: 'string', default: '300' } },
});
const url = new URL(positionals[0] ?? 'http://127.0.0.1:3000/engine.io/');
const count = Number(values.messages);

/** Message `n`: text in several scripts, every third one bytes, and one that takes many reads. */
function message(n) {
  if (n === Math.floor(count / 2)) return `${n} ${'large '.repeat(100_000)}`;
  if (n % 3 === 0) return Buffer.from([n & 0xff, 0x1e, 0, 0xff, ...Buffer.from(`bytes ${n}`)]);
  return `${n} text 文 \u{1f600} \u2028 "quoted"`;
}

/** What identifies a message, whichever type it has. */
const print = (data) => (typeof data === 'string' ? `text:${data}` : `bytes:${Buffer.from(data).toString('hex')}`);

/** Says everything, in three parts, and waits until it has come back. */
async function echoed(transports, betweenParts = async () => {}) {
  const socket = new Socket(url.origin, { path: url.pathname, transports });
  const heard = [];
  const ended = new Promise((_, reject) => {
    socket.on('close', (reason) => reject(new Error(`closed: ${reason}`)));
    socket.on('error', reject);
  });
  ended.catch(() => {}); // a story that ends well closes it, too
  try {
    const all = new Promise((resolve) => {
      socket.on('message', (data) => heard.push(print(data)) === count && resolve());
    });
    await within(15, 'open', Promise.race([ended, new Promise((resolve) => socket.on('open', resolve))]));
    const began = socket.transport.name;
    const third = Math.ceil(count / 3);
    for (let n = 0; n < count; n++) {
      if (n % third === 0 && n > 0) await within(20, 'the next part', betweenParts(socket, n / third));
      socket.send(message(n));
      if (n % 20 === 0) await new Promise(setImmediate); // several writes, and not one
    }
    await within(40, 'everything comes back', Promise.race([ended, all]));
    const same = heard.every((data, n) => data === print(message(n)));
    return { same, heard: heard.length, began, ended: socket.transport.name };
  } finally {
    socket.off('close');
    socket.close();
  }
}

const { Late, move } = lateWebSocket();

/** The way is opened after the first part, while the second is under way; the third waits until the client has moved. */
async function moving(socket, part) {
  if (part === 1) return move();
  if (socket.transport.name === 'websocket') return undefined;
  return new Promise((resolve) => socket.once('upgrade', resolve));
}

await main(async () => {
  const polling = await echoed([NodeXHR]);
  const websocket = await echoed([NodeWebSocket]);
  const moved = await echoed([NodeXHR, Late], moving);
  const carried = ({ began, ended }, first, last) => began === first && ended === last;
  const ok =
    [polling, websocket, moved].every(({ same, heard }) => same && heard === count) &&
    carried(polling, 'polling', 'polling') &&
    carried(websocket, 'websocket', 'websocket') &&
    carried(moved, 'polling', 'websocket');
  console.log(JSON.stringify({ ok, polling, websocket, moved }));
  return ok;
});
