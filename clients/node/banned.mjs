// A moderator bans somebody from a room, and then from everywhere: their stock client neither joins nor connects again by
// itself, and may when the bans are lifted.
//
//   node banned.mjs URL --token TOKEN --moderator TOKEN      (confab token create ada; confab token create mia --role moderator)
import assert from 'node:assert/strict';
import { client, flags, freshRoom, main, read, within, written } from './common.mjs';

const SECONDS = 30;
const { urls, user, token, moderator, protobuf } = flags({ moderator: { type: 'string' } });

/** The next event of this name, whatever else happens. */
const once = (emitter, event) => within(SECONDS, event, new Promise((resolve) => emitter.once(event, resolve)));

await main(async () => {
  const room = freshRoom('banned');
  const [person, mia] = [client(urls[0], { token, user, protobuf }), client(urls.at(-1), { token: moderator, protobuf })];
  const review = (op, more) => mia.rpc('review', written({ op, user, ...more }, protobuf));
  const subscription = person.newSubscription(room);
  const told = [];
  person.on('message', ({ data }) => told.push(read(data, protobuf)));
  mia.connect();
  person.connect();
  subscription.subscribe();
  await once(subscription, 'subscribed');

  const unsubscribed = once(subscription, 'unsubscribed');
  await review('ban', { room, reason: 'enough' });
  assert.equal((await unsubscribed).code, 2100);
  assert.equal(subscription.state, 'unsubscribed');
  assert.equal(person.state, 'connected');
  assert.deepEqual(told, [{ type: 'ban', room, reason: 'enough' }]);
  const refused = once(subscription, 'unsubscribed');
  subscription.subscribe();
  assert.equal((await refused).code, 211);

  const disconnected = once(person, 'disconnected');
  await review('ban');
  assert.equal((await disconnected).code, 3503);
  assert.equal(person.state, 'disconnected');
  const kept = once(person, 'disconnected');
  person.connect();
  assert.equal((await kept).code, 211);
  assert.equal(person.state, 'disconnected');

  await review('unban');
  await review('unban', { room });
  person.connect();
  subscription.subscribe();
  await once(subscription, 'subscribed');
  person.disconnect();
  mia.disconnect();
  console.log('banned, kept out, and let in again');
});
