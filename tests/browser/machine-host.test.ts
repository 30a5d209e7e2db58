// The browser as a MachineHost answers as Node does; run in Node, which has the same web interfaces.

import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import type { MachineHost } from '../../src/backends/machine-host.ts';
import { nodeMachineHost } from '../../src/backends/node/machine-host.ts';

// By a computed name, for the file compiles with a browser's types only.
const file = new URL('../../src/backends/browser/machine-host.ts', import.meta.url);
const { browserMachineHost } = (await import(file.href)) as { readonly browserMachineHost: MachineHost };

describe('browserMachineHost', () => {
  it('hashes chunks, and views of WebAssembly memory, as Node does', async () => {
    const memory = new Uint8Array(new WebAssembly.Memory({ initial: 2 }).buffer).fill(0x5a, 1000, 90_000);
    for (const chunks of [[], [memory], [memory.subarray(7, 70_001), new Uint8Array(0), Uint8Array.of(1, 2, 3)]]) {
      expect(await browserMachineHost.sha256(chunks)).toBe(await nodeMachineHost.sha256(chunks));
    }
  });

  it('gives as many random bytes as asked for', () => {
    const bytes = browserMachineHost.randomBytes(150_000);
    expect(bytes.length).toBe(150_000);
    for (const at of [0, 65536, 131072, 149_900]) expect(bytes.subarray(at, at + 100).some((b) => b !== 0)).toBe(true);
  });

  it('unpacks gzip and refuses damaged data and other formats', async () => {
    const plain = Uint8Array.from({ length: 300_000 }, (_, index) => index % 251);
    const packed = gzipSync(plain);
    expect(Buffer.from(await browserMachineHost.decompress('gzip', packed)).equals(plain)).toBe(true);
    await expect(browserMachineHost.decompress('gzip', packed.subarray(0, 400))).rejects.toThrow();
    await expect(browserMachineHost.decompress('xz', packed)).rejects.toThrow('gzip only, not xz');
  });

  it('opens what Node has sealed, and the other way round', async () => {
    const [browser, node] = [browserMachineHost.sealCrypto!, nodeMachineHost.sealCrypto!];
    const { privatePem, publicPem } = await node.generateKey();
    const secret = Uint8Array.of(1, 2, 3);
    const wrapped = await (await node.publicKey(publicPem, 'a key')).wrap(secret);
    expect(await (await browser.privateKey(privatePem, 'a key')).unwrap(wrapped)).toEqual(secret);
    const key = browser.randomBytes(32);
    expect(await node.open(key, await browser.seal(key, secret))).toEqual(secret);
    expect(await browser.sha512(secret)).toEqual(await node.sha512(secret));
  });

  it('lets timers have their turn between breaths, without waiting for one', async () => {
    let timerRan = false;
    setTimeout(() => {
      timerRan = true;
    });
    let breaths = 0;
    while (!timerRan && ++breaths < 1_000_000) await browserMachineHost.breathe();
    expect(timerRan).toBe(true);
    const started = performance.now();
    for (let count = 0; count < 100; count++) await browserMachineHost.breathe();
    expect(performance.now() - started).toBeLessThan(400);
  });

  it('sleeps, and wakes early', async () => {
    const long = browserMachineHost.sleep(60_000);
    long.wake();
    await long.done;
    const started = performance.now();
    await browserMachineHost.sleep(20).done;
    expect(performance.now() - started).toBeGreaterThanOrEqual(15);
  });
});
