import { describe, expect, it } from 'vitest';
import { findProblems, importsOf, unitOf } from './check-imports.mjs';

const problemsOf = (files: Record<string, string>) => findProblems(new Map(Object.entries(files)));

describe('findProblems', () => {
  it('accepts imports of what stands above', () => {
    const files = {
      'util/a.ts': '',
      'cpu/isa/b.ts': "import { a } from '../../util/a.ts';",
      'cpu/interpreter/c.ts': "import type { B } from '../isa/b.ts'; export * from './d.ts';",
      'cpu/interpreter/d.ts': '',
      'backends/node/e.ts': "import fs from 'node:fs'; import xz from 'xz';",
      'cli/f.ts': "await import('../backends/node/e.ts');",
    };
    expect(problemsOf(files)).toEqual([]);
  });

  it.each<[string, Record<string, string>, RegExp]>([
    [
      'an upward import, even of a type',
      { 'util/a.ts': "\nimport type { M } from '../machine/m.ts';", 'machine/m.ts': '' },
      /^src\/util\/a\.ts:2: upward import, util -> machine \(src\/machine\/m\.ts\)$/,
    ],
    ['an import between peers', { 'cli/a.ts': "import '../web/b.ts';", 'web/b.ts': '' }, /sideways import, cli -> web/],
    [
      'a package in the core',
      { 'vmm/v.ts': "import fs from 'node:fs';" },
      /the portable core imports the package node:fs/,
    ],
    [
      'a file that is not there',
      { 'vmm/v.ts': "export { x } from './gone.ts';" },
      /imports \.\/gone\.ts, which is not a file/,
    ],
    ['a folder without a place', { 'misc/v.ts': '' }, /^src\/misc\/v\.ts: its folder has no place/],
    [
      'a cycle of folders',
      { 'util/a.ts': "import '../wasm/b.ts';", 'wasm/b.ts': "import '../util/a.ts';" },
      /^cycle of folders \w+ -> \w+ -> \w+: src\//,
    ],
  ])('finds %s', (_name, files, expected) => {
    expect(problemsOf(files)).toContainEqual(expect.stringMatching(expected));
  });
});

it('reads imports of every form, and none in comments or strings', () => {
  const source = `// import './comment.ts'
/* import './block.ts' */
import './bare.ts';
import type { A } from './type.ts';
import {
  b, // import './inner.ts'
  type C,
} from "./many.ts";
import * as d from './star.ts';
export { e } from './export.ts';
export * from './all.ts';
const text = 'export { x } from nowhere';
const later = await import('./later.ts');
`;
  expect(importsOf(source).map(({ specifier }) => specifier)).toEqual(
    ['bare', 'type', 'many', 'star', 'export', 'all', 'later'].map((name) => `./${name}.ts`),
  );
  expect(importsOf(source)[2].line).toBe(8);
});

it('gives a file to the longest entry of the list', () => {
  expect(unitOf('backends/node/x.ts')).toBe('backends/node');
  expect(unitOf('backends/block.ts')).toBe('backends');
  expect(unitOf('index.ts')).toBe('index.ts');
  expect(unitOf('backendsx/y.ts')).toBeUndefined();
});
