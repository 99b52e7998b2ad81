// Tokens as an application's backend makes them: HS256, with the secret that it shares with the hub.
import { createHmac } from 'node:crypto';

const base64 = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');

/** A token of these claims. */
export function signed(secret, claims) {
  const message = `${base64({ alg: 'HS256', typ: 'JWT' })}.${base64(claims)}`;
  return `${message}.${createHmac('sha256', secret).update(message).digest('base64url')}`;
}

/** Seconds since 1970, so many from now. */
export const inSeconds = (seconds) => Math.floor(Date.now() / 1000) + seconds;
