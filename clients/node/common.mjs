// What the scripts share: flags, a stock client, and waiting with an end.
import { parseArgs } from 'node:util';
import { Centrifuge } from 'centrifuge';
import WebSocket from 'ws';

/** Where `cargo xtask run` and `cargo xtask up` have a hub. */
const URL_DEFAULT = 'ws://127.0.0.1:8000/connection/websocket';

/** Reads the hubs' addresses and the flags. Every script has --user and --token (or CONFAB_TOKEN). */
export function flags(own = {}) {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      user: { type: 'string', default: 'ada' },
      token: { type: 'string', default: process.env.CONFAB_TOKEN },
      ...own,
    },
  });
  return { ...values, urls: positionals.length > 0 ? positionals : [URL_DEFAULT] };
}

/** A stock client. Without a token it says who it is, which a hub believes only in development mode. */
export function client(url, { user, token, ...options }) {
  return new Centrifuge(url, {
    websocket: WebSocket,
    minReconnectDelay: 100,
    maxReconnectDelay: 1000,
    ...(token ? { token } : { data: { user } }),
    ...options,
  });
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
