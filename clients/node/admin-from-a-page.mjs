// A real browser looks at two foreign pages on the machine of a hub: one of another origin, and one whose name was pointed at
// the admin port itself (DNS rebinding). Each asks for every route of the admin port, in every way that a page can. Exit code 0
// only if none is answered, none is done, and the browser did send them.
//
//   CHROMIUM=/usr/bin/chromium node admin-from-a-page.mjs --admin 127.0.0.1:9000 --routes 'GET /healthz,POST /api/v1/reload'
import { createServer } from 'node:http';
import { launch } from './browser.mjs';
import { flags, main } from './common.mjs';

const { admin, routes } = flags({ admin: { type: 'string' }, routes: { type: 'string' } });
const [, port] = admin.split(':');
const asked = routes.split(',').map((route) => route.split(' '));

/** Serves an empty page; it is the foreign one. */
async function foreign() {
  const server = createServer((_, response) => response.writeHead(200, { 'content-type': 'text/html' }).end('<p>hello</p>'));
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return server;
}

/** In the page: asks for a route in every way, and tells what came of it. */
async function tryAll([base, routes]) {
  const found = [];
  const ask = async (how, route, options) => {
    try {
      const response = await fetch(`${base}${route[1]}`, { method: route[0], ...options });
      found.push([how, ...route, response.type === 'opaque' ? 'opaque' : response.status]);
    } catch {
      found.push([how, ...route, 'blocked']);
    }
  };
  for (const route of routes) {
    const body = route[0] === 'POST' ? '{"room":"lobby","user":"ada","body":{"text":"from a page"}}' : undefined;
    await ask('simple', route, { mode: 'no-cors', body });
    await ask('form', route, { mode: 'no-cors', body: body && new URLSearchParams({ a: 'b' }) });
    await ask('empty', route, { mode: 'no-cors' });
    await ask('json', route, { headers: { 'content-type': 'application/json' }, body });
    await ask('token', route, { headers: { authorization: 'Bearer guessed', 'content-type': 'application/json' }, body });
    await ask('cookies', route, { mode: 'no-cors', credentials: 'include', body });
  }
  return found;
}

await main(async () => {
  const server = await foreign();
  // The name of one page is the foreign server's; that of the other was pointed at the admin port after it was loaded.
  const rules = '--host-resolver-rules=MAP rebind.test 127.0.0.1, MAP elsewhere.test 127.0.0.1';
  const browser = await launch([rules]);
  try {
    const sent = [];
    const open = async (url) => {
      const page = await (await browser.newContext()).newPage();
      page.on('response', (response) => { if (response.url().includes(`:${port}/`)) sent.push([response.request().method(), response.url(), response.status()]); });
      const loaded = await page.goto(url);
      return [page, loaded.status()];
    };
    const [other] = await open(`http://elsewhere.test:${server.address().port}/`);
    const crossed = await other.evaluate(tryAll, [`http://${admin}`, asked]);
    // A rebound page shares its origin with what it asks: the browser hides nothing from it.
    const [rebound, status] = await open(`http://rebind.test:${port}/healthz`);
    const same = await rebound.evaluate(tryAll, [`http://rebind.test:${port}`, asked]);
    const local = await rebound.evaluate(tryAll, [`http://localhost:${port}`, asked]);
    // A form and an image need no script.
    await other.setContent(`<img src="http://${admin}/metrics"><form method="post" action="http://${admin}/api/v1/reload" enctype="text/plain"><input name="a" value="b"></form>`);
    const submitted = other.waitForResponse((response) => response.url().endsWith('/api/v1/reload'));
    await other.evaluate(() => document.forms[0].submit());
    const form = (await submitted).status();
    const refused = (code) => [401, 403].includes(code);
    const ok = crossed.every(([, , , how]) => ['opaque', 'blocked'].includes(how)) && local.every(([, , , how]) => ['opaque', 'blocked'].includes(how))
      && refused(status) && same.every(([, , , code]) => refused(code)) && refused(form)
      && sent.length >= asked.length * 10 && sent.every(([, , code]) => refused(code));
    console.log(JSON.stringify({ ok, status, form, sent: sent.length, same: same.filter(([, , , code]) => !refused(code)), answered: sent.filter(([, , code]) => !refused(code)) }));
    return ok;
  } finally {
    await browser.close();
    server.close();
  }
});
