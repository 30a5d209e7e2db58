import { describe, expect, it } from 'vitest';
import { randomWords } from '../../../tests/support/random.ts';
import type { Edge, RegionBlock, RegionGraph, StructuredNode, Terminator } from './region.ts';
import { successors } from './region.ts';
import { structureRegion } from './structure.ts';

const condition = { bo: 12, bi: 2 };

function blockWith(id: number, terminator: Terminator): RegionBlock {
  return { id, start: id * 4, instructions: [{ offset: id * 4, word: 0, instruction: undefined }], terminator };
}

/** A graph from lists of successors; -1 leaves the region. */
function graphOf(ways: readonly (readonly number[])[], entries: readonly number[] = [0]): RegionGraph {
  const edge = (to: number): Edge => (to < 0 ? { kind: 'exit', offset: to * 4 } : { kind: 'block', block: to });
  const blocks = ways.map((list, id) => {
    if (list.length === 0) return blockWith(id, { kind: 'leave', next: edge(-1) });
    if (list.length === 1) return blockWith(id, { kind: 'jump', target: edge(list[0]) });
    if (list.length === 2) {
      const [taken, notTaken] = list.map(edge);
      return blockWith(id, { kind: 'conditional', condition, link: false, taken, notTaken });
    }
    const returns = list.slice(1).map(edge);
    return blockWith(id, { kind: 'return', condition, returns, notTaken: edge(list[0]) });
  });
  return { blocks, entries };
}

/** Chooses a way out of a block: the same for the graph and for the tree, since both make the same visits. */
type Choice = (block: number, ways: number, visit: number) => number;

function walkGraph(graph: RegionGraph, entry: number, choose: Choice, limit: number): string {
  const trace: string[] = [];
  let block = graph.entries[entry];
  for (let visit = 0; visit < limit; visit++) {
    trace.push(String(block));
    const ways = successors(graph.blocks[block].terminator);
    if (ways.length === 0) return [...trace, 'leave'].join(' ');
    const way = ways[choose(block, ways.length, visit)];
    if (way.kind === 'exit') return [...trace, `exit ${way.offset}`].join(' ');
    block = way.block;
  }
  return trace.join(' ');
}

/** Executes a tree as WebAssembly would: undefined is reaching the end of a list. */
function walkTree(
  root: readonly StructuredNode[],
  selectors: number,
  entry: number,
  choose: Choice,
  limit: number,
): string {
  const trace: string[] = [];
  const selected = new Array<number>(selectors).fill(-1);
  type Outcome = { branch: number } | 'done' | undefined;
  const list = (nodes: readonly StructuredNode[]): Outcome => {
    for (const node of nodes) {
      const outcome = one(node);
      if (outcome !== undefined) return outcome;
    }
    return undefined;
  };
  const one = (node: StructuredNode): Outcome => {
    switch (node.kind) {
      case 'block': {
        const outcome = list(node.body);
        return typeof outcome === 'object' && outcome.branch === node.label ? undefined : outcome;
      }
      case 'loop':
        for (;;) {
          const outcome = list(node.body);
          if (typeof outcome === 'object' && outcome.branch === node.label) continue;
          if (outcome === undefined) throw new Error('a loop body ran off its end');
          return outcome;
        }
      case 'code': {
        if (trace.length === limit) return 'done';
        const visit = trace.length;
        trace.push(String(node.block));
        if (node.next.length === 0) {
          trace.push('leave');
          return 'done';
        }
        return list(node.next[choose(node.block, node.next.length, visit)]) ?? fallOff();
      }
      case 'br':
        return { branch: node.label };
      case 'exit':
        trace.push(`exit ${node.offset}`);
        return 'done';
      case 'entry':
        return list(node.next[entry]) ?? fallOff();
      case 'select':
        selected[node.variable] = node.value;
        return undefined;
      case 'dispatch':
        return list(node.next[selected[node.variable]]) ?? fallOff();
    }
  };
  const fallOff = (): never => {
    throw new Error('a way out of a block ran off its end');
  };
  if (list(root) !== 'done') throw new Error('the tree ran off its end');
  return trace.join(' ');
}

function sameWalks(graph: RegionGraph, seed: number, walks = 6, limit = 400): void {
  const tree = structureRegion(graph);
  graph.entries.forEach((_, entry) => {
    for (let walk = 0; walk < walks; walk++) {
      const words = randomWords(seed * 31 + walk + 1);
      const choices = Array.from({ length: limit }, words);
      const choose: Choice = (_block, ways, visit) => choices[visit] % ways;
      expect(walkTree(tree.root, tree.selectors, entry, choose, limit)).toBe(walkGraph(graph, entry, choose, limit));
    }
  });
}

/** Labels are unique, each `br` is inside its label, each block of the graph stands once. */
function wellFormed(graph: RegionGraph): void {
  const { root } = structureRegion(graph);
  const seen = new Set<number>();
  const labels = new Set<number>();
  const visit = (nodes: readonly StructuredNode[], open: ReadonlyMap<number, string>): void => {
    for (const node of nodes) {
      if (node.kind === 'block' || node.kind === 'loop') {
        expect(labels.has(node.label)).toBe(false);
        labels.add(node.label);
        visit(node.body, new Map([...open, [node.label, node.kind]]));
      } else if (node.kind === 'br') {
        expect(open.get(node.label)).toBe(node.back ? 'loop' : 'block');
      } else if (node.kind === 'code' || node.kind === 'entry' || node.kind === 'dispatch') {
        if (node.kind === 'code') {
          expect(seen.has(node.block), `block ${node.block} stands twice`).toBe(false);
          seen.add(node.block);
        }
        for (const next of node.next) visit(next, open);
      }
    }
  };
  visit(root, new Map());
  expect(seen.size).toBe(graph.blocks.length);
}

function randomGraph(seed: number): RegionGraph {
  const word = randomWords(seed);
  const count = 1 + (word() % 24);
  const local = word() % 2 === 0;
  const ways = Array.from({ length: count }, (_, id) => {
    const degree = [0, 1, 1, 2, 2, 2, 2, 3][word() % 8];
    return Array.from({ length: degree }, () => {
      const to = local ? id - 3 + (word() % 8) : (word() % (count + 2)) - 1;
      return to >= 0 && to < count ? to : -1;
    });
  });
  const entries = [0];
  if (word() % 3 === 0) for (let i = 0; i < 2; i++) if (count > 1) entries.push(1 + (word() % (count - 1)));
  return reachable(graphOf(ways, [...new Set(entries)]));
}

/** The part that entries reach, renumbered: what discovery hands over. */
function reachable(graph: RegionGraph): RegionGraph {
  const ids = [...graph.entries];
  for (let next = 0; next < ids.length; next++) {
    for (const edge of successors(graph.blocks[ids[next]].terminator)) {
      if (edge.kind === 'block' && !ids.includes(edge.block)) ids.push(edge.block);
    }
  }
  const ways = ids.map((id) =>
    successors(graph.blocks[id].terminator).map((edge) => (edge.kind === 'exit' ? -1 : ids.indexOf(edge.block))),
  );
  // graphOf puts the first of three ways last.
  const order = ways.map((list) => (list.length > 2 ? [list[list.length - 1], ...list.slice(0, -1)] : list));
  return graphOf(
    order,
    graph.entries.map((id) => ids.indexOf(id)),
  );
}

describe('structured control flow', () => {
  it('keeps a loop as a loop', () => {
    const { root, selectors } = structureRegion(graphOf([[1], [1, 2], []]));
    expect(selectors).toBe(0);
    expect(root).toEqual([
      {
        kind: 'code',
        block: 0,
        next: [
          [
            {
              kind: 'loop',
              label: 0,
              header: 1,
              body: [
                {
                  kind: 'code',
                  block: 1,
                  next: [[{ kind: 'br', label: 0, target: 1, back: true }], [{ kind: 'code', block: 2, next: [] }]],
                },
              ],
            },
          ],
        ],
      },
    ]);
  });

  it('puts what both ways of a branch reach behind one block', () => {
    const { root } = structureRegion(graphOf([[1, 2], [3], [3], []]));
    expect(root.map((node) => node.kind)).toEqual(['block', 'code']);
    expect(root[1]).toMatchObject({ block: 3 });
  });

  it('needs no dispatch where every loop has one way in', () => {
    const self = [[0, 1], []];
    const nested = [[1], [2, 3], [2, 1], []];
    const leftEarly = [[1], [2, 4], [3, 4], [1], []];
    for (const ways of [self, nested, leftEarly]) {
      expect(structureRegion(graphOf(ways)).selectors).toBe(0);
      wellFormed(graphOf(ways));
      sameWalks(graphOf(ways), 4);
    }
  });

  it('leads a loop with two ways in through a dispatch', () => {
    const graph = graphOf([[1, 2], [2], [1, 3], []]);
    expect(structureRegion(graph).selectors).toBe(1);
    wellFormed(graph);
    sameWalks(graph, 1, 50);
  });

  it('comes in at each entry, also in the middle of a loop', () => {
    const graph = graphOf([[1], [2, 3], [1], []], [0, 2, 1]);
    wellFormed(graph);
    sameWalks(graph, 2, 50);
  });

  it('visits what the graph visits, for random graphs', () => {
    let dispatches = 0;
    for (let seed = 1; seed <= 3000; seed++) {
      const graph = randomGraph(seed);
      dispatches += structureRegion(graph).selectors;
      wellFormed(graph);
      sameWalks(graph, seed, 3);
    }
    // The generator must make irreducible flow too, or this shows little.
    expect(dispatches).toBeGreaterThan(500);
  });

  it('stands long chains of blocks', () => {
    const count = 3000;
    const chain = Array.from({ length: count }, (_, id) => (id + 1 < count ? [id + 1, id % 7 === 0 ? 0 : -1] : []));
    sameWalks(graphOf(chain), 3, 2, 5000);
  });
});
