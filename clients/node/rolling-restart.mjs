// People talk while hubs are restarted one after another, or a service is away: each client is a stock one behind a small
// load balancer, sends under keys of its own, asks again when told to, and listens. At the end everybody must have heard
// each message of their room once, in order, and nothing else. Prints a JSON summary with how long clients were away, how
// long a receipt took from the first try on, and how long it took until a listener heard. With --window nobody says more
// while so many of theirs have no receipt.
//
//   node rolling-restart.mjs URL... --clients 500 --rooms 50 --rate 2000 --seconds 60
import { randomUUID } from 'node:crypto';
import net from 'node:net';
import { client, flags, freshRoom, main, next, read, within, written } from './common.mjs';

const { urls, protobuf, token, ...given } = flags({
  clients: { type: 'string', default: '30' },
  rooms: { type: 'string', default: '3' },
  rate: { type: 'string', default: '100' },
  seconds: { type: 'string', default: '20' },
  window: { type: 'string', default: '1000000' },
  patience: { type: 'string', default: '60' },
});
const [clients, rooms, rate, seconds] = [given.clients, given.rooms, given.rate, given.seconds].map(Number);
const [window, patience] = [given.window, given.patience].map(Number);
const run = freshRoom('rolling');

/** Leads each connection to the next hub that takes it, as a load balancer without stickiness does. */
async function balancer() {
  const hubs = urls.map((url) => new URL(url));
  let turn = 0;
  const lead = (near, tries) => {
    if (tries === 0 || near.destroyed) return near.destroy();
    const hub = hubs[turn++ % hubs.length];
    const far = net.connect(Number(hub.port), hub.hostname);
    far.once('error', () => lead(near, tries - 1));
    far.once('connect', () => {
      far.removeAllListeners('error');
      for (const [one, other] of [[near, far], [far, near]]) {
        one.pipe(other);
        one.on('error', () => {});
        one.on('close', () => other.destroy());
      }
    });
  };
  const server = net.createServer((near) => {
    near.on('error', () => {});
    lead(near, hubs.length);
  });
  await new Promise((resolve, reject) => server.once('error', reject).listen(0, '127.0.0.1', resolve));
  return { server, url: `ws://127.0.0.1:${server.address().port}${hubs[0].pathname}` };
}

const away = [];
const receiptAfter = [];
const heardAfter = [];
const said = new Map(); // key -> when it was first sent
const receipts = new Map(); // key -> { room, id, offset }
let askedAgain = 0;

/** One client: listens to its room, and says what it is told to. */
class Talker {
  heard = [];
  unanswered = 0;

  constructor(n, url) {
    this.room = `${run}:${n % rooms}`;
    this.socket = client(url, { user: `talker-${n}`, token, protobuf, maxReconnectDelay: 500 });
    this.channel = this.socket.newSubscription(this.room);
    this.channel.on('publication', ({ offset, tags }) => {
      this.heard.push({ offset, key: tags.key, id: tags.id });
      heardAfter.push(Date.now() - said.get(tags.key));
    });
    let since;
    this.socket.on('connecting', () => {
      since ??= Date.now();
    });
    this.channel.on('subscribed', ({ wasRecovering, recovered }) => {
      if (this.joined) away.push(Date.now() - since);
      if (wasRecovering && !recovered) this.lost = true;
      this.joined = true;
      since = undefined;
    });
  }

  async join() {
    const joined = next(this.channel, 'subscribed');
    this.socket.connect();
    this.channel.subscribe();
    await within(30, 'joined', joined);
  }

  /** Says it until there is a receipt. */
  async say(n) {
    const key = randomUUID();
    const draft = written({ room: this.room, key, body: { text: `number ${n}` } }, protobuf);
    const begun = Date.now();
    said.set(key, begun);
    this.unanswered++;
    for (let pause = 50; Date.now() - begun < patience * 1000; pause = Math.min(pause * 2, 1000)) {
      try {
        const { data } = await this.socket.rpc('send', draft);
        const receipt = read(data, protobuf);
        receipts.set(key, { room: this.room, id: receipt.id, offset: receipt.offset });
        receiptAfter.push(Date.now() - begun);
        this.unanswered--;
        return;
      } catch (error) {
        // A refusal that will not change ends the story; a lost link, a time-out or "try again" does not.
        const lasting = error.code >= 100 && !error.temporary && error.code !== 208;
        if (lasting) throw new Error(`refused: ${error.code} ${error.message}`);
        askedAgain++;
        await new Promise((resolve) => setTimeout(resolve, pause));
      }
    }
    throw new Error(`no receipt for ${key} within ${patience} s`);
  }
}

/** Of milliseconds. */
function spread(values) {
  const sorted = Float64Array.from(values).sort();
  const part = (of) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * of))] ?? 0;
  return { p50: part(0.5), p99: part(0.99), max: part(1) };
}

await main(async () => {
  const { server, url } = await balancer();
  const talkers = Array.from({ length: clients }, (_, n) => new Talker(n, url));
  try {
    await Promise.all(talkers.map((talker) => talker.join()));
    console.error('everybody is in');
    const sends = [];
    const begun = Date.now();
    for (let n = 0; Date.now() - begun < seconds * 1000; ) {
      const due = Math.floor(((Date.now() - begun) / 1000) * rate);
      for (; n < due; n++) {
        const talker = talkers[n % clients];
        if (talker.unanswered < window) sends.push(talker.say(n));
      }
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    await within(patience + 10, 'every receipt', Promise.all(sends));
    const wanted = new Map();
    for (const [key, { room, id, offset }] of receipts) {
      if (!wanted.has(room)) wanted.set(room, []);
      wanted.get(room).push({ key, id, offset });
    }
    const whole = () => talkers.every(({ room, heard }) => heard.length >= (wanted.get(room)?.length ?? 0));
    for (let waited = 0; waited < 600 && !whole(); waited++) await new Promise((resolve) => setTimeout(resolve, 50));
    const problems = [];
    for (const { room, heard, lost } of talkers) {
      const expected = wanted.get(room).sort((a, b) => a.offset - b.offset);
      if (lost) problems.push(`${room}: a recovery was not complete`);
      if (heard.length !== expected.length) problems.push(`${room}: heard ${heard.length} of ${expected.length}`);
      const wrong = heard.findIndex(({ offset, key, id }, i) => {
        const { key: itsKey, id: itsId } = expected[i] ?? {};
        return offset !== i + 1 || key !== itsKey || id !== itsId;
      });
      if (wrong >= 0) problems.push(`${room}: not what was said at ${wrong}: ${JSON.stringify(heard[wrong])}`);
    }
    const summary = {
      ok: problems.length === 0,
      clients,
      sent: sends.length,
      askedAgain,
      comebacks: away.length,
      away_ms: spread(away),
      receipt_ms: spread(receiptAfter),
      heard_ms: spread(heardAfter),
      problems: problems.slice(0, 5),
    };
    console.log(JSON.stringify(summary));
    return summary.ok;
  } finally {
    for (const { socket } of talkers) socket.disconnect();
    server.close();
  }
});
