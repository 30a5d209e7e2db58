import { expect, it } from 'vitest';
import { ConsoleEscape } from './console-escape.ts';

function type(...pieces: string[]) {
  const typing = new ConsoleEscape();
  const typed = pieces.map((piece) => typing.feed(Buffer.from(piece, 'latin1')));
  return {
    sent: typed.map(({ send }) => Buffer.from(send).toString('latin1')).join(''),
    commands: typed.flatMap(({ commands }) => commands),
  };
}

it.each<[string, string[], string, string[]]>([
  ['all but the escape key', ['ls\r\x03\x04\x1b[A\xff'], 'ls\r\x03\x04\x1b[A\xff', []],
  ['one Ctrl-A for two', ['a\x01\x01b'], 'a\x01b', []],
  ['a look at the devices', ['a\x01db'], 'ab', ['devices']],
  ['a quit, and nothing after it', ['a\x01xrm'], 'a', ['quit']],
  ['help, and what follows', ['\x01hls'], 'ls', ['help']],
  ['help for an unknown key', ['\x01zls'], 'ls', ['help']],
  ['a Ctrl-A at the end of one piece', ['a\x01', 'x'], 'a', ['quit']],
  ['Ctrl-A Ctrl-A in two pieces', ['\x01', '\x01', 'x'], '\x01x', []],
])('passes on %s', (_name, pieces, sent, commands) => {
  expect(type(...pieces)).toEqual({ sent, commands });
});
