// Stock Socket.IO clients that are not let in, or that send far too much, over WebSocket and over polling: each must hear
// why, with its code, and must not come back by itself with the same. Needs a hub that asks for tokens.
// Prints a JSON summary; exit code 0 only if that is what happened.
//
//   node refused.mjs [URL] --token A
import { io } from 'socket.io-client';
import { flags, main, within } from './common.mjs';
import { httpOf } from './socketio-common.mjs';

const { urls, token } = flags({});
const http = httpOf(urls[0]);
const options = (transport, auth) => ({ forceNew: true, transports: [transport], auth, reconnectionDelay: 50, reconnectionDelayMax: 50 });

await main(async () => {
  const summary = {};
  for (const transport of ['websocket', 'polling']) {
    for (const [name, auth] of Object.entries({ none: {}, null: { token: null }, empty: { token: '' }, number: { token: 7 }, forged: { token: 'x' } })) {
      for (let i = 0; i < 4; i++) {
        const socket = io(http, options(transport, auth));
        let came = 0;
        socket.io.on('reconnect_attempt', () => came++);
        const error = await within(10, `${name} over ${transport} hears why`, new Promise((told) => socket.on('connect_error', told)));
        if (error.data?.code !== 3500) throw new Error(`${name} over ${transport}: ${error.message} ${JSON.stringify(error.data)}`);
        if (came || socket.active) throw new Error(`${name} over ${transport} comes back`);
        socket.close();
      }
    }
    for (const bytes of [70_000, 300_000, 3_000_000]) {
      const socket = io(http, options(transport, { token }));
      let came = 0;
      socket.io.on('reconnect_attempt', () => came++);
      await within(10, 'it is in', new Promise((done) => socket.on('connect', done)));
      const answered = new Promise((done) => socket.emit('send', { room: 'lobby', body: { text: 'x'.repeat(bytes) } }, done));
      const closing = new Promise((told) => socket.on('closing', told));
      const left = new Promise((told) => socket.on('disconnect', told));
      if (bytes === 70_000) {
        const answer = await within(10, 'it is refused', answered);
        if (answer.ok || answer.error.code !== 106) throw new Error(JSON.stringify(answer));
      } else {
        const why = await within(10, 'it hears why', closing);
        if (why.reason !== 'message size limit' || why.reconnect) throw new Error(JSON.stringify(why));
        const reason = await within(10, 'it is disconnected', left);
        if (reason !== 'io server disconnect' || came) throw new Error(`${bytes} over ${transport}: ${reason}, ${came}`);
        summary[`${transport} ${bytes}`] = why.code;
      }
      socket.close();
    }
  }
  console.log(JSON.stringify({ ok: true, ...summary }));
});
