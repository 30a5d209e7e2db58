import { describe, expect, it } from 'vitest';
import { nodePageCipher } from '../backends/node/page-cipher.ts';
import { PageVault } from './page-vault.ts';

const contents = (seed: number) => new Uint8Array(4096).map((_, i) => i * seed);
function vault(): PageVault {
  let state = 1n;
  return new PageVault(nodePageCipher, () => {
    state = BigInt.asUintN(64, state * 6364136223846793005n + 1442695040888963407n);
    return state;
  });
}

describe('PageVault', () => {
  it('gives back what was sealed, and shows nothing of it', () => {
    const pages = vault();
    const sealed = pages.seal(7, contents(3));
    expect(sealed).toHaveLength(4096);
    expect(pages.open(7, sealed)).toEqual({ ok: true, contents: contents(3) });
    expect(Buffer.from(sealed).includes(Buffer.from(contents(3).subarray(0, 8)))).toBe(false);
  });

  it('seals the same contents differently each time', () => {
    const pages = vault();
    const zero = new Uint8Array(4096);
    const all = [pages.seal(1, zero), pages.seal(1, zero), pages.seal(2, zero)].map((each) => each.join());
    expect(new Set(all).size).toBe(3);
  });

  it('tells what else it is given', () => {
    const pages = vault();
    const first = pages.seal(7, contents(3)).slice();
    const latest = pages.seal(7, contents(5)).slice();
    const other = pages.seal(8, contents(9)).slice();
    expect(pages.open(7, first)).toMatchObject({ kind: 'replayed', detail: expect.stringContaining('number 1') });
    expect(pages.open(7, other)).toMatchObject({ kind: 'swapped', detail: expect.stringContaining('page 8') });
    for (const at of [0, 100, 4095]) {
      const changed = latest.slice();
      changed[at] ^= 1;
      expect(pages.open(7, changed)).toMatchObject({ ok: false, kind: 'changed' });
      const changedOther = other.slice();
      changedOther[at] ^= 1;
      expect(pages.open(7, changedOther)).toMatchObject({ ok: false, kind: 'changed' });
    }
    expect(pages.open(7, new Uint8Array(4096))).toMatchObject({ ok: false, kind: 'changed' });
    expect(pages.open(7, latest)).toMatchObject({ ok: true });
  });

  it('opens nothing for a page that is not out', () => {
    const pages = vault();
    const sealed = pages.seal(7, contents(3));
    expect(pages.open(6, sealed)).toMatchObject({ ok: false, kind: 'swapped' });
    pages.forget(7);
    expect(pages.open(7, sealed)).toMatchObject({ ok: false, kind: 'replayed' });
  });
});
