// Two people in a real browser chat through a front end that was written for another server: its page is served from an
// origin of its own and loads socket.io-client's browser bundle. The hub's settings map its events (`[[socketio]]`) and
// list the page's origin. Exit code 0 only if both see the same messages in the same order.
//
//   CHROMIUM=/usr/bin/chromium node scalable-chat.mjs URL --page scalable-chat.html --port 3000
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { launch, tab } from './browser.mjs';
import { flags, main, within } from './common.mjs';
import { httpOf } from './socketio-common.mjs';

const { urls, page, port } = flags({ page: { type: 'string' }, port: { type: 'string' } });
const bundle = join(dirname(createRequire(import.meta.url).resolve('socket.io-client/package.json')), 'dist/socket.io.min.js');

/** Serves the front end as its own server would. */
async function frontEnd() {
  const files = { '/': [page, 'text/html; charset=utf-8'], '/socket.io.js': [bundle, 'text/javascript'] };
  const server = createServer(async (request, response) => {
    const found = files[new URL(request.url, 'http://front.end').pathname];
    if (!found) return response.writeHead(404).end();
    response.writeHead(200, { 'content-type': found[1] }).end(await readFile(found[0]));
  });
  await new Promise((resolve, reject) => server.once('error', reject).listen(Number(port), '127.0.0.1', resolve));
  return server;
}

await main(async () => {
  const server = await frontEnd();
  const browser = await launch();
  try {
    const url = `http://127.0.0.1:${port}/?server=${encodeURIComponent(httpOf(urls[0]))}`;
    const [ada, bob] = await Promise.all([tab(browser, url), tab(browser, url)]);
    for (const one of [ada, bob]) await one.getByText('connected', { exact: true }).waitFor();
    const say = async (one, text) => {
      await one.getByPlaceholder('Message…').fill(text);
      await one.getByRole('button', { name: 'Send' }).click();
    };
    const expected = ['hello', '<b>and</b> "hello" to you', 'how is the weather? 文'];
    for (const [n, text] of expected.entries()) {
      await say(n % 2 ? bob : ada, text);
      for (const one of [ada, bob]) await one.getByText(text, { exact: true }).waitFor();
    }
    const carriers = () => ada.evaluate(() => socket.io.engine.transport.name);
    await within(20, 'the browser moves to a WebSocket', (async () => {
      while ((await carriers()) !== 'websocket') await ada.waitForTimeout(50);
    })());
    await say(bob, 'after the move');
    for (const one of [ada, bob]) await one.getByText('after the move', { exact: true }).waitFor();
    const seen = await Promise.all([ada, bob].map((one) => one.locator('#messages li').allTextContents()));
    const ok = seen.every((messages) => JSON.stringify(messages) === JSON.stringify([...expected, 'after the move']));
    console.log(JSON.stringify({ ok, seen }));
    return ok;
  } finally {
    await browser.close();
    server.close();
  }
});
