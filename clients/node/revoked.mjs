// A person's tokens are revoked while they talk: their stock client is disconnected, gets another token, and goes on by itself.
//
//   node revoked.mjs URL --secret SECRET --confab confab --config hub.toml
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { client, flags, freshRoom, main, within, written } from './common.mjs';
import { inSeconds, signed } from './tokens.mjs';

const SECONDS = 30;
const { urls, user, secret, confab, config, protobuf } = flags({
  secret: { type: 'string' },
  confab: { type: 'string' },
  config: { type: 'string' },
});

/** The next event of this name, whatever else happens. */
const once = (emitter, event) => within(SECONDS, event, new Promise((resolve) => emitter.once(event, resolve)));

await main(async () => {
  const room = freshRoom('revoked');
  let asked = 0;
  // The first was stolen a minute ago; whoever is asked now makes a new one.
  const getToken = async () => signed(secret, { sub: user, exp: inSeconds(600), iat: asked++ ? inSeconds(1) : inSeconds(-60) });
  const person = client(urls[0], { getToken, protobuf });
  const subscription = person.newSubscription(room);
  const heard = [];
  subscription.on('publication', ({ offset }) => heard.push(offset));
  person.connect();
  subscription.subscribe();
  await once(subscription, 'subscribed');
  await person.publish(room, written({ text: 'before' }, protobuf));
  const reconnecting = once(person, 'connecting');
  const back = once(person, 'connected');
  execFileSync(confab, ['token', 'revoke', user, '--config', config]);
  assert.equal((await reconnecting).code, 3005);
  await back;
  assert.ok(asked >= 2, 'another token was asked for');
  const told = await person.publish(room, written({ text: 'after' }, protobuf));
  assert.ok(told);
  await within(SECONDS, 'both messages', new Promise((resolve) => {
    const look = setInterval(() => heard.length >= 2 && resolve(clearInterval(look)), 20);
  }));
  assert.deepEqual(heard, [1, 2]);
  person.disconnect();
  console.log('revoked, and back with another token');
});
