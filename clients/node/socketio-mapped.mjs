// A front end that knows nothing of Confab: it emits `event:message` with `{ message }` and listens to `message` for a
// string of JSON. Two of them must hear each other in order, by polling and by WebSocket. Exit code 0 only if they do.
// The hub's settings map the events (`[[socketio]]`).
//
//   node socketio-mapped.mjs [URL]
import { io } from 'socket.io-client';
import { flags, main, within } from './common.mjs';
import { httpOf } from './socketio-common.mjs';

const { urls } = flags();
const count = 20;

/** As such front ends have it, line by line. */
function frontEnd(transports) {
  const socket = io(httpOf(urls[0]), { transports });
  const messages = [];
  const heard = new Promise((resolve) => {
    socket.on('message', (msg) => {
      const { message } = JSON.parse(msg);
      if (messages.push(message) === count) resolve();
    });
  });
  const say = (message) => socket.emit('event:message', { message });
  return { socket, messages, heard, say, connected: new Promise((resolve) => socket.on('connect', resolve)) };
}

await main(async () => {
  const [speaker, listener] = [frontEnd(['websocket']), frontEnd(['polling'])];
  try {
    await within(10, 'both connected', Promise.all([speaker.connected, listener.connected]));
    // Their rooms are entered behind the answer to the connect; an acknowledgement comes after that.
    const settled = ({ socket }) => new Promise((resolve) => socket.emit('history', { room: 'lobby', limit: 0 }, resolve));
    await within(10, 'both in the room', Promise.all([settled(speaker), settled(listener)]));
    for (let n = 0; n < count; n++) speaker.say(`number ${n}`);
    await within(20, 'both hear everything', Promise.all([speaker.heard, listener.heard]));
    const wanted = JSON.stringify(Array.from({ length: count }, (_, n) => `number ${n}`));
    const ok = [speaker, listener].every(({ messages }) => JSON.stringify(messages) === wanted);
    console.log(JSON.stringify({ ok }));
    return ok;
  } finally {
    speaker.socket.disconnect();
    listener.socket.disconnect();
  }
});
