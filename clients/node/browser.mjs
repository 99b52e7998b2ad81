// A real browser, as the tests' machines have it.
import { chromium } from 'playwright-core';

/** What keeps one on this machine. */
const STAY_HERE = [
  '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync',
];

/** Starts one that stays on this machine; with more arguments, if any. */
export function launch(more = []) {
  return chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: [...STAY_HERE, ...more] });
}

/** A tab in a context of its own, as another person has it; an error in its page is an error here. */
export async function tab(browser, url) {
  const page = await (await browser.newContext()).newPage();
  page.on('pageerror', (error) => { throw error; });
  await page.goto(url);
  return page;
}
