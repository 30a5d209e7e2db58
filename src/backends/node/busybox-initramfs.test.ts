import { describe, expect, it } from 'vitest';
import { appletNames, makeBusyboxInitramfs } from './busybox-initramfs.ts';
import { writeCpio } from './cpio.ts';

/** Reads newc archives independently of the writer: name to mode, size, content. */
function readCpio(archive: Uint8Array): Map<string, { mode: number; text: string; minor: number }> {
  const bytes = Buffer.from(archive);
  const members = new Map<string, { mode: number; text: string; minor: number }>();
  const align = (at: number) => (at + 3) & ~3;
  for (let at = 0; ; ) {
    expect(bytes.toString('latin1', at, at + 6)).toBe('070701');
    const field = (index: number) =>
      Number.parseInt(bytes.toString('latin1', at + 6 + 8 * index, at + 14 + 8 * index), 16);
    const name = bytes.toString('latin1', at + 110, at + 110 + field(11) - 1);
    const data = align(at + 110 + field(11));
    if (name === 'TRAILER!!!') return members;
    members.set(name, { mode: field(1), text: bytes.toString('latin1', data, data + field(6)), minor: field(10) });
    at = align(data + field(6));
  }
}

const program = Buffer.from('\x7fELF code \0[\0[[\0ash\0mount\0run-parts\0sh\0\0 more');

describe('makeBusyboxInitramfs', () => {
  const members = readCpio(makeBusyboxInitramfs(program));

  it('has the program, an executable /init and a link for each applet', () => {
    expect(members.get('bin/busybox')).toMatchObject({ mode: 0o100755, text: program.toString('latin1') });
    expect(members.get('init')?.mode).toBe(0o100755);
    expect(members.get('init')?.text).toMatch(/^#!\/bin\/sh\n/);
    for (const name of ['[', '[[', 'ash', 'mount', 'run-parts', 'sh']) {
      expect(members.get(`bin/${name}`)).toMatchObject({ mode: 0o120777, text: 'busybox' });
    }
  });

  it('has the console that the kernel opens for /init', () => {
    expect(members.get('dev/console')).toMatchObject({ mode: 0o020600, minor: 1 });
  });

  it('lists each folder before what it holds', () => {
    const names = [...members.keys()];
    for (const name of names) {
      const parent = name.split('/').slice(0, -1).join('/');
      if (parent !== '') expect(names.indexOf(parent)).toBeLessThan(names.indexOf(name));
    }
  });

  it('is the same every time', () => {
    expect(makeBusyboxInitramfs(program)).toEqual(makeBusyboxInitramfs(program));
  });
});

it('finds the applets wherever their table starts', () => {
  expect(appletNames(Buffer.from('\x7fELF\xae[\0[[\0mount\0sh\0\0', 'latin1'))).toEqual(['[', '[[', 'mount', 'sh']);
});

it('refuses a program without applets', () => {
  expect(() => appletNames(Buffer.from('\x7fELF nothing here'))).toThrow('no table of applet names');
  expect(() => appletNames(Buffer.from('\0[\0[[\0cat\0\0'))).toThrow('no table of applet names');
});

it('pads the archive to whole blocks', () => {
  expect(writeCpio([{ kind: 'file', path: 'a', data: 'abcde' }]).length % 512).toBe(0);
});
