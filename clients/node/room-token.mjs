// A backend that keeps tokens too long: a room's token is refreshed with one that has just run out. The stock client hears that this
// may pass, asks for another, and is in the room all the time.
//
//   node room-token.mjs URL --secret SECRET
import assert from 'node:assert/strict';
import { client, flags, freshRoom, main, within } from './common.mjs';
import { inSeconds, signed } from './tokens.mjs';

const SECONDS = 60;
const { urls, user, secret, protobuf } = flags({ secret: { type: 'string' } });

await main(async () => {
  const room = freshRoom('closed');
  const person = client(urls[0], { token: signed(secret, { sub: user }), protobuf });
  const lasts = [2, -30, 600];
  let asked = 0;
  const getToken = async () => {
    const exp = inSeconds(lasts[Math.min(asked++, lasts.length - 1)]);
    return signed(secret, { sub: user, channel: room, exp });
  };
  const subscription = person.newSubscription(room, { getToken });
  const states = [];
  subscription.on('state', ({ newState }) => states.push(newState));
  const codes = [];
  subscription.on('error', ({ error }) => codes.push(error.code));
  person.connect();
  subscription.subscribe();
  const third = new Promise((resolve) => {
    const look = setInterval(() => asked >= 3 && resolve(clearInterval(look)), 50);
  });
  await within(SECONDS, 'the third token', third);
  await person.rpc('history', protobuf ? new TextEncoder().encode(JSON.stringify({ room })) : { room });
  assert.deepEqual(codes, [110]);
  assert.deepEqual(states, ['subscribing', 'subscribed']);
  person.disconnect();
  console.log('refreshed with the second token that was brought');
});
