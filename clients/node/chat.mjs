// A stock client driven line by line, for tests: one JSON command a line on stdin, one JSON event a line on stdout.
//
// Commands, each with an optional `id` that its answer repeats:
//   {"do":"connect","url":"ws://…","token":"…","data":{…}}   also `minReconnectDelay`, `maxReconnectDelay`, `timeout`, in ms
//   {"do":"subscribe","channel":"room","since":{"epoch":"…","offset":3}}      also `data`
//   {"do":"unsubscribe","channel":"room"}
//   {"do":"publish","channel":"room","data":{…}}
//   {"do":"rpc","method":"send","data":{…}}
//   {"do":"history","channel":"room","limit":10,"since":{…},"reverse":false}
//   {"do":"presence","channel":"room"}
//   {"do":"disconnect"}     with a goodbye
//   {"do":"cut"}            without: the socket is destroyed, and the client comes back by itself
// Events: `connecting`, `connected`, `disconnected`, `error`; of a room `subscribing`, `subscribed`, `unsubscribed`,
// `publication`, `join`, `leave`, `error`; and for each command `answer` (with `result`) or `refused` (with `error`).
// The end of stdin disconnects and ends it.
import readline from 'node:readline';
import { Centrifuge } from 'centrifuge';
import WebSocket from 'ws';

let client;
let socket;

/** A WebSocket that can be found again, so that it can be cut. */
class Remembered extends WebSocket {
  constructor(...given) {
    super(...given);
    socket = this;
  }
}

function print(event) {
  process.stdout.write(`${JSON.stringify(event)}\n`);
}

/** What is worth saying of an error, whatever kind it is. */
function told(error) {
  const { code, message, reason, temporary } = error ?? {};
  return { code, message: message ?? reason ?? String(error), ...(temporary === undefined ? {} : { temporary }) };
}

function listen(emitter, names, more = {}) {
  for (const name of names) {
    emitter.on(name, (context) => {
      const { error, ...rest } = context;
      print({ event: name, ...more, ...rest, ...(error ? { error: told(error) } : {}) });
    });
  }
}

function subscription(channel) {
  const found = client.getSubscription(channel);
  if (!found) throw new Error(`not subscribed to ${channel}`);
  return found;
}

const commands = {
  connect({ url, token, data, minReconnectDelay = 50, maxReconnectDelay = 500, timeout = 10_000 }) {
    if (client) {
      client.connect();
      return {};
    }
    client = new Centrifuge(url, {
      websocket: Remembered,
      minReconnectDelay,
      maxReconnectDelay,
      timeout,
      ...(token === undefined ? {} : { token }),
      ...(data === undefined ? {} : { data }),
    });
    listen(client, ['connecting', 'connected', 'disconnected', 'error', 'message']);
    client.connect();
    return {};
  },
  subscribe({ channel, since, data }) {
    let subscription = client.getSubscription(channel);
    if (!subscription) {
      subscription = client.newSubscription(channel, { minResubscribeDelay: 50, maxResubscribeDelay: 500, since, data });
      listen(subscription, ['subscribing', 'subscribed', 'unsubscribed', 'publication', 'join', 'leave', 'error'], {
        channel,
      });
    }
    subscription.subscribe();
    return {};
  },
  unsubscribe({ channel }) {
    const left = subscription(channel);
    left.unsubscribe();
    client.removeSubscription(left);
    return {};
  },
  publish: ({ channel, data }) => client.publish(channel, data),
  rpc: async ({ method, data = {} }) => (await client.rpc(method, data)).data,
  history: ({ channel, limit, since, reverse }) => client.history(channel, { limit, since, reverse }),
  presence: ({ channel }) => client.presence(channel),
  disconnect() {
    client.disconnect();
    return {};
  },
  cut() {
    if (!socket) throw new Error('there is no socket to cut');
    socket.terminate();
    return {};
  },
};

async function obey(line) {
  let id;
  try {
    const { id: given, do: name, ...rest } = JSON.parse(line);
    id = given;
    if (!Object.hasOwn(commands, name)) throw new Error(`no such command: ${name}`);
    if (!client && name !== 'connect') throw new Error('connect first');
    print({ event: 'answer', id, result: await commands[name](rest) });
  } catch (error) {
    print({ event: 'refused', id, error: told(error) });
  }
}

const lines = readline.createInterface({ input: process.stdin });
lines.on('line', obey);
lines.on('close', () => {
  client?.disconnect();
  // What is still under way is refused by the disconnect; the process ends when nothing is left to do.
});
