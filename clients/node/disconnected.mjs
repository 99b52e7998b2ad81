// An operator disconnects a user: stock clients (centrifuge and socket.io-client) come back by themselves where they are to, and
// stay away where they are not.
//
//   node disconnected.mjs URL --admin 127.0.0.1:9000 --admin-token TOKEN
import assert from 'node:assert/strict';
import { io } from 'socket.io-client';
import { client, flags, main, within } from './common.mjs';
import { httpOf } from './socketio-common.mjs';

const { urls, user, protobuf, admin, 'admin-token': token } = flags({ admin: { type: 'string' }, 'admin-token': { type: 'string' } });
const once = (emitter, event) => within(30, event, new Promise((resolve) => emitter.once(event, resolve)));

async function disconnect(reconnect) {
  const response = await fetch(`http://${admin}/api/v1/disconnect`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify({ user, reconnect }),
  });
  assert.equal(response.status, 200, await response.text());
}

await main(async () => {
  const native = client(urls[0], { user, protobuf });
  const socket = io(httpOf(urls[0]), { auth: { user }, transports: ['websocket'], reconnectionDelay: 100, forceNew: true });
  const connected = [once(native, 'connected'), once(socket, 'connect')];
  native.connect();
  await Promise.all(connected);

  const back = [once(native, 'connecting'), once(native, 'connected'), once(socket, 'closing'), once(socket, 'connect')];
  await disconnect(true);
  const [connecting, , closing] = await Promise.all(back);
  assert.equal(connecting.code, 3011);
  assert.deepEqual([closing.code, closing.reconnect], [3011, true]);

  const gone = [once(native, 'disconnected'), once(socket, 'disconnect')];
  await disconnect(false);
  const [disconnected] = await Promise.all(gone);
  assert.equal(disconnected.code, 3503);
  assert.equal(native.state, 'disconnected');
  await new Promise((resolve) => setTimeout(resolve, 500)); // longer than a client that came back would take
  assert.equal(socket.connected, false, 'the stock client stays away');
  socket.close();
  console.log('came back, and stayed away');
});
