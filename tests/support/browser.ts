// A headless Chromium with a bundled page for the tests that want one. In CI a missing browser is a failure; elsewhere
// those tests are skipped with the reason.

import { existsSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { basename } from 'node:path';
import { build } from 'esbuild';
import { chromium, type Page } from 'playwright-core';

const places = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];

/** Chromium's path, from CHROMIUM if set, or why there is none. Throws in CI if there is none. */
export function findChromium(): { readonly path: string } | { readonly reason: string } {
  const wanted = process.env.CHROMIUM === undefined ? places : [process.env.CHROMIUM];
  const path = wanted.find((place) => existsSync(place));
  if (path !== undefined) return { path };
  const reason = `there is no Chromium at ${wanted.join(', ')}; install Debian's package chromium or set CHROMIUM`;
  if (process.env.CI === 'true') throw new Error(reason);
  return { reason };
}

export interface ServedPage extends AsyncDisposable {
  readonly page: Page;
  /** The browser's version. */
  readonly version: string;
  /** What the page or its workers reported as errors since it was opened. */
  readonly errors: readonly string[];
}

const contentTypes: Readonly<Record<string, string>> = { html: 'text/html; charset=utf-8', js: 'text/javascript' };

/**
 * Bundles each of `programs` into `NAME.js`, serves them with `files` and a page that runs `page.js` on the loopback
 * interface, and opens that page in a browser with a profile of its own.
 */
export async function openPage(
  executablePath: string,
  programs: readonly URL[],
  files: Readonly<Record<string, Uint8Array>>,
): Promise<ServedPage> {
  const bundle = await build({
    entryPoints: programs.map(({ pathname }) => decodeURIComponent(pathname)),
    bundle: true,
    format: 'esm',
    // `await using` and other syntax that browsers in use do not all have.
    target: 'es2022',
    outdir: 'bundle',
    write: false,
    logLevel: 'silent',
  });
  const served = new Map<string, Uint8Array>(Object.entries(files));
  for (const { path, contents } of bundle.outputFiles) served.set(basename(path), contents);
  served.set(
    'index.html',
    Buffer.from('<!doctype html><title>test</title><pre></pre><script type="module" src="page.js"></script>'),
  );
  const server = createServer((request, response) => {
    const name = request.url === '/' ? 'index.html' : (request.url ?? '').slice(1);
    const body = served.get(name);
    const type = contentTypes[name.split('.').pop() ?? ''] ?? 'application/octet-stream';
    response.writeHead(body === undefined ? 404 : 200, { 'content-type': type }).end(body);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const closeServer = () => {
    server.closeAllConnections();
    server.close();
  };
  try {
    // launch() makes a new user data directory and removes it again.
    const browser = await chromium.launch({
      executablePath,
      headless: true,
      args: [
        '--no-sandbox',
        '--disable-gpu',
        '--disable-quic',
        '--no-first-run',
        '--disable-background-networking',
        '--disable-component-update',
        '--disable-sync',
      ],
    });
    const page = await browser.newPage();
    const errors: string[] = [];
    page.on('pageerror', (error) => errors.push(error.message));
    page.on('console', (message) => {
      // Browsers ask for an icon on their own.
      if (message.type() === 'error' && !message.location().url.endsWith('/favicon.ico')) errors.push(message.text());
    });
    await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
    return {
      page,
      version: browser.version(),
      errors,
      [Symbol.asyncDispose]: async () => {
        await browser.close();
        closeServer();
      },
    };
  } catch (error) {
    closeServer();
    throw error;
  }
}
