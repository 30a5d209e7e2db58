// From a control-flow graph to structured control flow, by the dominator tree (N. Ramsey, "Beyond Relooper", ICFP 2022).
//
// Nodes are visited in reverse postorder. A node with several forward ways in stands behind a `block` that encloses those
// ways; a node with a backward way in heads a `loop`; any other node stands at its only predecessor. What a node dominates
// is nested in it. A loop with several ways in has no such form: those ways are led through a dispatch, which says
// which of the nodes is meant.

import { assert } from '../../util/errors.ts';
import { type RegionGraph, type StructuredNode, type StructuredRegion, successors } from './region.ts';

/** A way from a node: to another node, after setting a selector; or out of the region. */
type Way =
  | { readonly kind: 'node'; node: number; select: { readonly variable: number; readonly value: number } | undefined }
  | { readonly kind: 'exit'; readonly offset: number };

/** Nodes 0 to blocks-1 are the blocks; then come the entry and the dispatches. */
interface FlowNode {
  readonly kind: 'code' | 'entry' | 'dispatch';
  /** Selector of a dispatch. */
  readonly variable: number;
  readonly ways: Way[];
}

interface Flow {
  readonly nodes: FlowNode[];
  readonly root: number;
  selectors: number;
}

export function structureRegion(graph: RegionGraph): StructuredRegion {
  const flow = flowOf(graph);
  const all = reversePostorder(flow);
  makeReducible(flow, all, flow.root);
  return { root: new Translator(flow, graph.blocks.length).region(), selectors: flow.selectors };
}

function flowOf(graph: RegionGraph): Flow {
  const nodes: FlowNode[] = graph.blocks.map((block) => ({
    kind: 'code',
    variable: -1,
    ways: successors(block.terminator).map((edge) =>
      edge.kind === 'exit' ? edge : { kind: 'node', node: edge.block, select: undefined },
    ),
  }));
  // Even a single entry has its own node if it is also the header of a loop that something else could come before.
  if (graph.entries.length === 1) return { nodes, root: graph.entries[0], selectors: 0 };
  const ways: Way[] = graph.entries.map((node) => ({ kind: 'node', node, select: undefined }));
  nodes.push({ kind: 'entry', variable: -1, ways });
  return { nodes, root: nodes.length - 1, selectors: 0 };
}

function reversePostorder({ nodes, root }: Flow): number[] {
  const order: number[] = [];
  const seen = new Set<number>([root]);
  const stack: { node: number; way: number }[] = [{ node: root, way: 0 }];
  for (let top = stack.at(-1); top; top = stack.at(-1)) {
    const { ways } = nodes[top.node];
    if (top.way === ways.length) {
      order.push(top.node);
      stack.pop();
      continue;
    }
    // The first way out is visited last, so that it comes first in the result.
    const way = ways[ways.length - 1 - top.way++];
    if (way.kind === 'exit' || seen.has(way.node)) continue;
    seen.add(way.node);
    stack.push({ node: way.node, way: 0 });
  }
  return order.reverse();
}

/**
 * Gives each loop among `members` one way in. `first` is where control comes from outside when that is not a way of a node:
 * the root.
 */
function makeReducible(flow: Flow, members: readonly number[], first: number | undefined): void {
  const inside = new Set(members);
  for (const component of stronglyConnected(flow, members, inside)) {
    const heads = waysIn(flow, component, first);
    assert(heads.length > 0, 'a loop has a way in');
    if (heads.length === 1) {
      makeReducible(
        flow,
        component.filter((node) => node !== heads[0]),
        undefined,
      );
      continue;
    }
    addDispatch(flow, heads);
    makeReducible(flow, component, undefined);
  }
}

/** Nodes of `component` that control reaches from outside. */
function waysIn(flow: Flow, component: readonly number[], first: number | undefined): number[] {
  const loop = new Set(component);
  const heads = new Set<number>();
  if (first !== undefined && loop.has(first)) heads.add(first);
  flow.nodes.forEach(({ ways }, from) => {
    if (loop.has(from)) return;
    for (const way of ways) if (way.kind === 'node' && loop.has(way.node)) heads.add(way.node);
  });
  return [...heads];
}

function leadsTo(node: FlowNode, target: number): boolean {
  return node.ways.some((way) => way.kind === 'node' && way.node === target);
}

/** Leads all ways to `heads` through one new node. */
function addDispatch(flow: Flow, heads: readonly number[]): void {
  const variable = flow.selectors++;
  const dispatch = flow.nodes.length;
  for (const node of flow.nodes) {
    for (const way of node.ways) {
      if (way.kind === 'exit') continue;
      const value = heads.indexOf(way.node);
      if (value < 0) continue;
      assert(way.select === undefined, 'what a dispatch heads is no way into an inner loop');
      way.node = dispatch;
      way.select = { variable, value };
    }
  }
  flow.nodes.push({
    kind: 'dispatch',
    variable,
    ways: heads.map((node) => ({ kind: 'node', node, select: undefined })),
  });
}

/** Components of more than one node, or of one that leads to itself (Tarjan). */
function stronglyConnected(flow: Flow, members: readonly number[], inside: ReadonlySet<number>): number[][] {
  const index = new Map<number, number>();
  const low = new Map<number, number>();
  const open: number[] = [];
  const isOpen = new Set<number>();
  const components: number[][] = [];
  for (const start of members) {
    if (index.has(start)) continue;
    const calls: { node: number; way: number }[] = [];
    const enter = (node: number) => {
      index.set(node, index.size);
      low.set(node, index.get(node)!);
      open.push(node);
      isOpen.add(node);
      calls.push({ node, way: 0 });
    };
    enter(start);
    for (let call = calls.at(-1); call; call = calls.at(-1)) {
      const { node } = call;
      const { ways } = flow.nodes[node];
      if (call.way < ways.length) {
        const way = ways[call.way++];
        if (way.kind === 'exit' || !inside.has(way.node)) continue;
        if (!index.has(way.node)) enter(way.node);
        else if (isOpen.has(way.node)) low.set(node, Math.min(low.get(node)!, index.get(way.node)!));
        continue;
      }
      calls.pop();
      const caller = calls.at(-1);
      if (caller) low.set(caller.node, Math.min(low.get(caller.node)!, low.get(node)!));
      if (low.get(node) !== index.get(node)) continue;
      const component: number[] = [];
      let popped: number;
      do {
        popped = open.pop()!;
        isOpen.delete(popped);
        component.push(popped);
      } while (popped !== node);
      if (component.length > 1 || leadsTo(flow.nodes[node], node)) components.push(component);
    }
  }
  return components;
}

/** Immediate dominators by place in reverse postorder (Cooper, Harvey, Kennedy). */
function immediateDominators(predecessors: readonly (readonly number[])[]): number[] {
  const dominator = new Array<number>(predecessors.length).fill(-1);
  dominator[0] = 0;
  for (let changed = true; changed; ) {
    changed = false;
    for (let place = 1; place < predecessors.length; place++) {
      let common = -1;
      for (const from of predecessors[place]) {
        if (dominator[from] < 0) continue;
        let a = from;
        let b = common;
        if (common >= 0) {
          while (a !== b) {
            if (a > b) a = dominator[a];
            else b = dominator[b];
          }
        }
        common = a;
      }
      if (dominator[place] !== common) {
        dominator[place] = common;
        changed = true;
      }
    }
  }
  return dominator;
}

class Translator {
  private readonly flow: Flow;
  private readonly blockCount: number;
  /** Nodes in reverse postorder, and the place of each. */
  private readonly order: readonly number[];
  private readonly place = new Map<number, number>();
  /** By place: several forward ways in; a backward way in. */
  private readonly merges: boolean[] = [];
  private readonly loops: boolean[] = [];
  /** By place: merge nodes that are dominated immediately, last in order first. */
  private readonly nested: number[][] = [];
  /** By place: label behind which a merge node stands, and that of its loop. */
  private readonly blockLabels: number[] = [];
  private readonly loopLabels: number[] = [];
  private labels = 0;

  constructor(flow: Flow, blockCount: number) {
    this.flow = flow;
    this.blockCount = blockCount;
    this.order = reversePostorder(flow);
    this.order.forEach((node, place) => {
      this.place.set(node, place);
    });
    const predecessors: number[][] = this.order.map(() => []);
    const forward = this.order.map(() => 0);
    this.order.forEach((node, from) => {
      for (const way of flow.nodes[node].ways) {
        if (way.kind === 'exit') continue;
        const to = this.place.get(way.node)!;
        predecessors[to].push(from);
        if (to <= from) this.loops[to] = true;
        else forward[to]++;
      }
    });
    const dominator = immediateDominators(predecessors);
    this.order.forEach((_, place) => {
      this.nested.push([]);
      this.merges[place] = forward[place] > 1;
      if (place > 0 && this.merges[place]) this.nested[dominator[place]].unshift(place);
      for (const from of predecessors[place]) {
        assert(place > from || dominates(dominator, place, from), 'the flow is reducible by now');
      }
    });
  }

  region(): StructuredNode[] {
    return this.tree(0);
  }

  private tree(place: number): StructuredNode[] {
    if (!this.loops[place]) return this.within(place, 0);
    const label = this.labels++;
    this.loopLabels[place] = label;
    return [{ kind: 'loop', label, header: this.blockAt(place), body: this.within(place, 0) }];
  }

  /** The node, in blocks behind which the merge nodes that it dominates stand: nested[from] outermost and last. */
  private within(place: number, from: number): StructuredNode[] {
    const merges = this.nested[place];
    if (from === merges.length) return [this.node(place)];
    const label = this.labels++;
    this.blockLabels[merges[from]] = label;
    return [{ kind: 'block', label, body: this.within(place, from + 1) }, ...this.tree(merges[from])];
  }

  private node(place: number): StructuredNode {
    const node = this.order[place];
    const { kind, variable, ways } = this.flow.nodes[node];
    const next = ways.map((way) => this.follow(place, way));
    if (kind === 'code') return { kind, block: node, next };
    return kind === 'entry' ? { kind, next } : { kind, variable, next };
  }

  private follow(from: number, way: Way): StructuredNode[] {
    if (way.kind === 'exit') return [{ kind: 'exit', offset: way.offset }];
    const to = this.place.get(way.node)!;
    const select: StructuredNode[] = way.select ? [{ kind: 'select', ...way.select }] : [];
    const back = to <= from;
    if (!back && !this.merges[to]) return [...select, ...this.tree(to)];
    const label = back ? this.loopLabels[to] : this.blockLabels[to];
    return [...select, { kind: 'br', label, target: this.blockAt(to), back }];
  }

  private blockAt(place: number): number {
    const node = this.order[place];
    return node < this.blockCount ? node : -1;
  }
}

function dominates(dominator: readonly number[], above: number, below: number): boolean {
  let at = below;
  while (at > above) at = dominator[at];
  return at === above;
}
