import { describe, expect, it } from 'vitest';
import { type OptionRow, optionForm, parseOptionList } from './option-list.ts';

const rows: OptionRow[] = [
  { name: 'file', takes: { kind: 'text' }, repeats: true, help: '' },
  { name: 'fast', takes: { kind: 'flag' }, help: '' },
  { name: 'size', takes: { kind: 'size' }, help: '' },
  { name: 'queues', takes: { kind: 'number', min: 1, max: 16 }, help: '' },
  { name: 'kind', takes: { kind: 'choice', of: ['a', 'b'] }, help: '' },
];
const parse = (text: string) => parseOptionList('--thing', text, rows).map(({ name, value }) => `${name} ${value}`);

describe('options inside of an option', () => {
  it('are read in order', () => {
    expect(parse('file=a,,b=c.img,fast,size=3M,queues=16,kind=b,file=x')).toEqual([
      'file a,b=c.img',
      'fast true',
      `size ${3 * 2 ** 20}`,
      'queues 16',
      'kind b',
      'file x',
    ]);
    expect(parse('fast=off')).toEqual(['fast false']);
    expect(parse('')).toEqual([]);
  });

  it.each([
    ['nothing', '--thing has no option "nothing"; there are file, fast, size, queues, kind.'],
    ['fast,', '--thing has no option ""'],
    ['fast,fast', '--thing gives fast twice.'],
    ['fast=yes', '--thing takes fast, fast=on or fast=off, not "fast=yes".'],
    ['file', '--thing takes a value for file'],
    ['file=', '--thing takes a value for file'],
    ['size=big', '--thing takes a size such as 256M for size, not "big".'],
    ['size=99999999999G', '--thing takes a size'],
    ['queues=17', '--thing takes a number from 1 to 16 for queues, not "17".'],
    ['queues', '--thing takes a number from 1 to 16 for queues, not "".'],
    ['kind=c', '--thing takes a or b for kind, not "c".'],
  ])('that cannot be: %s', (text, message) => {
    expect(() => parse(text)).toThrow(message);
  });

  it('show their form', () => {
    expect(rows.map(optionForm)).toEqual(['file=...', 'fast', 'size=SIZE', 'queues=1..16', 'kind=a|b']);
    expect(optionForm({ name: 'slow', takes: { kind: 'flag', preset: true }, help: '' })).toBe('slow=off');
  });
});
