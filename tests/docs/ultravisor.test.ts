// docs/ultravisor.md has a row for every ultracall, every H_SVM hypercall and every transition, and each row names tests that
// there are, or says why it has none.

import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { H_SVM } from '../../src/ultravisor/calls.ts';
import { ABSENT_UCALLS } from '../../src/ultravisor/ultravisor.ts';
import { SecureBench } from '../support/secure-bench.ts';

const root = new URL('../../', import.meta.url);
const read = (path: string) => readFileSync(new URL(path, root), 'utf8');
const document = read('docs/ultravisor.md');
const conformance = document.slice(document.indexOf('## Conformance'));

interface Row {
  readonly section: string;
  readonly cells: readonly string[];
}

const rows: Row[] = [];
let section = '';
for (const line of conformance.split('\n')) {
  if (line.startsWith('### ')) section = line.slice(4);
  if (!line.startsWith('| ') || line.startsWith('|---')) continue;
  rows.push({ section, cells: line.slice(2, -2).split(' | ') });
}
const files = new Map(
  rows.filter(({ section: of }) => of === '').map(({ cells: [name, path] }) => [name, path.slice(1, -1)]),
);
const listed = rows.filter(({ section: of, cells }) => of !== '' && !cells.at(-1)!.startsWith('test'));

/** Tests named as `file: "name", "name"` in a text. */
function testsIn(text: string): { file: string; name: string }[] {
  return [...text.matchAll(/([\w-]+): ((?:"[^"]+"(?:, )?)+)/g)].flatMap(([, file, names]) =>
    [...names.matchAll(/"([^"]+)"/g)].map(([, name]) => ({ file, name })),
  );
}

/** What the first arguments of `it` and `describe` in a file say. */
const titles = new Map<string, string[]>();
function titlesOf(path: string): string[] {
  const known = titles.get(path);
  if (known) return known;
  const pattern =
    /\b(?:it|test|describe)(?:\.\w+)*(?:<[^\n]*?>(?=\())?\((?:\[[\s\S]*?\](?: as const)?\)\(|[\w.]+\)\()?\s*(?:'((?:[^'\\]|\\.)*)'|`([^`]*)`)/g;
  const found = [...read(path).matchAll(pattern)].map(([, quoted, template]) => quoted ?? template);
  titles.set(path, found);
  return found;
}

it('names tests that there are', () => {
  const named = testsIn(conformance);
  expect(named.length).toBeGreaterThan(80);
  for (const { file, name } of named) {
    const path = files.get(file);
    expect(path, `"${file}" is no file of the list`).toBeDefined();
    expect(
      titlesOf(path!).some((title) => title.includes(name)),
      `${path} has no test "${name}"`,
    ).toBe(true);
  }
});

it('has a test or a reason in every row', () => {
  for (const { section: of, cells } of listed) {
    const last = cells.at(-1)!;
    expect(testsIn(last).length > 0 || /^absent: .{10}/.test(last), `${of}: ${cells.slice(0, 2).join(', ')}`).toBe(
      true,
    );
  }
});

it('has every ultracall, under its number', () => {
  const bench = new SecureBench();
  const served = (
    bench.secure as unknown as { ultravisor: { definitions(): { token: number; name: string }[] } }
  ).ultravisor
    .definitions()
    .map(({ token, name }) => [`0x${token.toString(16)}`, name]);
  const absent = ABSENT_UCALLS.map(([token, name]) => [`0x${token.toString(16)}`, name]);
  const inDocument = listed.filter(({ section: of }) => of.startsWith('Ultracalls'));
  expect(inDocument.map(({ cells: [token, name] }) => [token, name]).sort()).toEqual([...served, ...absent].sort());
  for (const { cells } of inDocument) {
    const isAbsent = cells.at(-1)!.startsWith('absent: ');
    expect(isAbsent, cells[1]).toBe(absent.some(([, name]) => name === cells[1]));
  }
});

it('has every hypercall of the ultravisor, under its number', () => {
  const inDocument = listed.filter(({ section: of }) => of.startsWith('Hypercalls')).map(({ cells }) => cells);
  for (const [name, token] of Object.entries(H_SVM)) {
    expect(inDocument.map(([number, title]) => [number, title])).toContainEqual([
      `0x${token.toString(16)}`,
      `H_SVM_${name}`,
    ]);
  }
});

it('has every transition of the VM and of a page', () => {
  const from = (title: string) =>
    listed.filter(({ section: of }) => of === title).map(({ cells: [state, what] }) => `${state}: ${what}`);
  for (const state of ['normal', 'transient', 'secure']) {
    for (const call of ['H_SVM_INIT_START', 'H_SVM_INIT_DONE', 'H_SVM_INIT_ABORT', 'UV_SVM_TERMINATE']) {
      expect(from('States of the VM')).toContain(`${state}: ${call}`);
    }
  }
  for (const state of ['secure', 'shared', 'normal']) {
    for (const what of ['share', 'unshare', 'abort, terminate', 'H_SVM_INIT_DONE']) {
      expect(from('States of a page')).toContain(`${state}: ${what}`);
    }
  }
});
