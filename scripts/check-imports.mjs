// The folder list is the architecture: a folder of src/ may import only folders that stand above it in `layers`.
// Prints each edge that points upward, sideways between peers, or to a place that is not in the list, and each cycle
// of folders, and fails if there is one. Type-only imports count: a lower layer declares the interface it needs.
// Unit tests (*.test.ts) may use whatever they like.

import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, posix, relative, resolve, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

/** From the bottom up. Folders in one entry are peers and may not import each other. */
export const layers = [
  ['util'],
  ['symbols'],
  ['wasm'],
  ['memory'],
  ['device'],
  ['cpu/state'],
  ['cpu/isa'],
  ['cpu/semantics'],
  ['mmu'],
  ['cpu/control'],
  ['cpu/interpreter'],
  ['cpu/compiler'],
  ['cpu'],
  ['pci'],
  ['virtio/core'],
  ['backends'],
  ['backends/memory', 'backends/node', 'backends/browser'],
  ['virtio/transport'],
  ['virtio/devices'],
  ['ultravisor'],
  ['hypervisor'],
  ['firmware'],
  ['vmm'],
  ['machine'],
  ['debug', 'monitor'],
  ['cli', 'web'],
  ['index.ts'],
];

/** Folders with a host: they may import packages and what Node or the browser has. The rest is the portable core. */
const hostFolders = ['backends/node', 'backends/browser', 'cli', 'web', 'index.ts'];

/**
 * The unit of the layer list that a file of src/ belongs to: the longest entry that its path starts with.
 * @param {string} file path below src/, with slashes
 * @returns {string | undefined}
 */
export function unitOf(file) {
  const names = layers.flat().filter((name) => file === name || file.startsWith(`${name}/`));
  return names.sort((a, b) => b.length - a.length)[0];
}

/**
 * The specifiers a TypeScript file imports or re-exports, statically or dynamically, with their line numbers.
 * @param {string} source
 * @returns {{ specifier: string, line: number }[]}
 */
export function importsOf(source) {
  const code = blankComments(source);
  const pattern =
    /(?:^|[;}\s])(?:import|export)\s+(?:[\w*{}\s,$]+?\sfrom\s*)?(['"])([^'"\n]+)\1|\bimport\s*\(\s*(['"])([^'"\n]+)\3\s*\)/g;
  return [...code.matchAll(pattern)].map((match) => ({
    specifier: match[2] ?? match[4],
    line: code.slice(0, match.index + match[0].length).split('\n').length,
  }));
}

/**
 * Replaces comments by blanks, so that code shown in one is not read as an import. Strings stay.
 * @param {string} source
 */
function blankComments(source) {
  return source.replace(
    /'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|`(?:\\.|[^`\\])*`|\/\*[\s\S]*?\*\/|\/\/[^\n]*/g,
    (text) => (text.startsWith('/') ? text.replace(/[^\n]/g, ' ') : text),
  );
}

/**
 * All complaints about a set of files.
 * @param {Map<string, string>} files path below src/ to source text
 * @returns {string[]}
 */
export function findProblems(files) {
  const problems = [];
  /** @type {Graph} */
  const graph = new Map();
  for (const [file, source] of files) {
    const from = unitOf(file);
    if (from === undefined) {
      problems.push(`src/${file}: its folder has no place in the layer list of scripts/check-imports.mjs`);
      continue;
    }
    for (const { specifier, line } of importsOf(source)) {
      const where = `src/${file}:${line}`;
      if (!specifier.startsWith('.')) {
        if (!hostFolders.includes(from)) problems.push(`${where}: the portable core imports the package ${specifier}`);
        continue;
      }
      const target = posix.join(posix.dirname(file), specifier);
      if (!files.has(target)) {
        if (!target.endsWith('.d.ts')) problems.push(`${where}: imports ${specifier}, which is not a file of src/`);
        continue;
      }
      const to = unitOf(target);
      if (to === undefined || to === from) continue;
      const edges = graph.get(from) ?? new Map();
      graph.set(from, edges.set(to, `${where} -> src/${target}`));
      if (rankOf(to) >= rankOf(from)) {
        const kind = rankOf(to) === rankOf(from) ? 'sideways' : 'upward';
        problems.push(`${where}: ${kind} import, ${from} -> ${to} (src/${target})`);
      }
    }
  }
  return [...problems, ...findCycles(graph)];
}

/** @param {string} unit */
function rankOf(unit) {
  return layers.findIndex((names) => names.includes(unit));
}

/** @typedef {Map<string, Map<string, string>>} Graph unit to imported unit to an example of the edge */

/**
 * One line for each cycle of folders, with the files that make it.
 * @param {Graph} graph
 * @returns {string[]}
 */
function findCycles(graph) {
  const cycles = new Map();
  for (const start of graph.keys()) {
    const path = shortestWayBack(graph, start);
    if (path === undefined) continue;
    const key = [...path].sort().join(' ');
    const edges = path.map((unit, index) => graph.get(unit)?.get(path[(index + 1) % path.length]));
    cycles.set(key, `cycle of folders ${[...path, path[0]].join(' -> ')}: ${edges.join(', ')}`);
  }
  return [...cycles.values()];
}

/**
 * @param {Graph} graph
 * @param {string} start
 * @returns {string[] | undefined}
 */
function shortestWayBack(graph, start) {
  const ways = [[start]];
  const seen = new Set();
  for (let way = ways.shift(); way !== undefined; way = ways.shift()) {
    for (const next of graph.get(way[way.length - 1])?.keys() ?? []) {
      if (next === start) return way;
      if (seen.has(next)) continue;
      seen.add(next);
      ways.push([...way, next]);
    }
  }
  return undefined;
}

/** @param {string} directory @returns {Map<string, string>} */
function readSources(directory) {
  const files = new Map();
  for (const entry of readdirSync(directory, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() || !/\.ts$/.test(entry.name) || /\.(test|d)\.ts$/.test(entry.name)) continue;
    const path = join(entry.parentPath ?? entry.path, entry.name);
    files.set(relative(directory, path).split(sep).join('/'), readFileSync(path, 'utf8'));
  }
  return files;
}

if (process.argv[1] !== undefined && resolve(process.argv[1]) === fileURLToPath(import.meta.url)) {
  const source = join(dirname(fileURLToPath(import.meta.url)), '..', 'src');
  const files = readSources(source);
  const problems = findProblems(files);
  for (const problem of problems) process.stderr.write(`${problem}\n`);
  process.stdout.write(`imports: ${files.size} files, ${problems.length} problems\n`);
  process.exitCode = problems.length === 0 ? 0 : 1;
}
