import { gzipSync } from 'node:zlib';
import { expect, it } from 'vitest';
import { isWantedModule, moduleEntries } from './kernel-modules.ts';

const module = (depends: string) => Buffer.from(`\x7fELF\0license=GPL\0depends=${depends}\0name=x\0`, 'latin1');
const at = (path: string) => `lib/modules/6.1.0-1/kernel/${path}`;

it('picks modules by their names, wherever they lie and however they are compressed', () => {
  expect(isWantedModule(at('drivers/block/virtio_blk.ko'))).toBe(true);
  expect(isWantedModule(`usr/${at('drivers/char/hw_random/virtio-rng.ko.xz')}`)).toBe(true);
  expect(isWantedModule(at('drivers/gpu/drm/virtio/virtio-gpu.ko'))).toBe(false);
  expect(isWantedModule('boot/virtio_blk.ko')).toBe(false);
});

it('lists modules behind those they need', async () => {
  const entries = await moduleEntries([
    { path: at('fs/ext4/ext4.ko'), data: module('jbd2,crc16') },
    { path: at('lib/crc16.ko'), data: module('') },
    { path: at('fs/jbd2/jbd2.ko'), data: gzipSync(module('libcrc32c')) },
    { path: at('lib/libcrc32c.ko'), data: module('') },
    { path: at('drivers/char/hw_random/virtio-rng.ko'), data: module('') },
  ]);
  const text = (path: string) => {
    const entry = entries.find((each) => each.path === path);
    return entry?.kind === 'file' ? Buffer.from(entry.data).toString('latin1') : undefined;
  };
  expect(text('etc/modules')).toBe('virtio-rng\nlibcrc32c\njbd2\ncrc16\next4\n');
  expect(text('lib/modules/6.1.0-1/modules.dep')).toContain('ext4.ko: jbd2.ko libcrc32c.ko crc16.ko\n');
  expect(text('lib/modules/6.1.0-1/jbd2.ko')).toBe(module('libcrc32c').toString('latin1'));
});

it('names what is missing', async () => {
  await expect(moduleEntries([{ path: at('fs/ext4/ext4.ko'), data: module('jbd2') }])).rejects.toThrow(
    'The module ext4 needs the module jbd2',
  );
  await expect(moduleEntries([{ path: at('fs/ext4/ext4.ko'), data: Buffer.from('rubbish') }])).rejects.toThrow(
    'does not say what it needs',
  );
  await expect(moduleEntries([])).rejects.toThrow('none of the modules');
});
