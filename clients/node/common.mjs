// What the scripts share: flags, a stock client, and waiting with an end.
import { parseArgs } from 'node:util';
import { Centrifuge } from 'centrifuge';
import { Centrifuge as CentrifugeProtobuf } from 'centrifuge/build/protobuf';
import WebSocket from 'ws';

/** Where `cargo xtask run` and `cargo xtask up` have a hub. */
const URL_DEFAULT = 'ws://127.0.0.1:8000/connection/websocket';

/** Reads the hubs' addresses and the flags. Every script has --user, --token (or CONFAB_TOKEN) and --protobuf. */
export function flags(own = {}) {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      user: { type: 'string', default: 'ada' },
      token: { type: 'string', default: process.env.CONFAB_TOKEN },
      protobuf: { type: 'boolean', default: false },
      ...own,
    },
  });
  return { ...values, urls: positionals.length > 0 ? positionals : [URL_DEFAULT] };
}

/** A stock client. Without a token it says who it is, which a hub believes only in development mode. */
export function client(url, { user, token, protobuf = false, ...options }) {
  const Client = protobuf ? CentrifugeProtobuf : Centrifuge;
  return new Client(url, {
    websocket: WebSocket,
    minReconnectDelay: 100,
    maxReconnectDelay: 1000,
    ...(token ? { token } : { data: written({ user }, protobuf) }),
    ...options,
  });
}

/** What is said, as the encoding wants it: in Protobuf a body is the bytes of its JSON text. */
export function written(body, protobuf) {
  return protobuf ? new TextEncoder().encode(JSON.stringify(body)) : body;
}

/** The reverse of `written`. */
export function read(data, protobuf) {
  return protobuf ? JSON.parse(new TextDecoder().decode(data)) : data;
}

/** A room that nobody has used before. */
export function freshRoom(name) {
  return `${name}:${Date.now().toString(36)}${Math.random().toString(36).slice(2, 8)}`;
}

/** The promise, or an error that says what did not come in time. */
export function within(seconds, what, promise) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not within ${seconds} s: ${what}`)), seconds * 1000);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** The next event of this name, or an error if the client was told to go and not come back. */
export function next(emitter, event, isIt = () => true) {
  const coming = new Promise((resolve, reject) => {
    emitter.on(event, (context) => isIt(context) && resolve(context));
    for (const end of ['disconnected', 'unsubscribed']) {
      if (end !== event) emitter.on(end, ({ code, reason }) => reject(new Error(`${end}: ${code} ${reason}`)));
    }
  });
  // A story that fails early never looks at this one; its own failure is the one to report.
  coming.catch(() => {});
  return coming;
}

/** Runs the script's story: exit code 0 if it comes out right, 1 with the reason if not. */
export async function main(story) {
  try {
    process.exitCode = (await story()) === false ? 1 : 0;
  } catch (error) {
    console.error(`error: ${error.message ?? JSON.stringify(error)}`);
    process.exitCode = 1;
  }
}
