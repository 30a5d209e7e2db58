// A compiled region as text: the guest's code by blocks, the structure made of it, and the WebAssembly.

import { functionsText } from '../../wasm/text.ts';
import { disassemble } from '../isa/disassemble.ts';
import {
  type Edge,
  type RegionBlock,
  type RegionGraph,
  type StructuredNode,
  type StructuredRegion,
  successors,
} from './region.ts';

/** A region that has just been made. */
export interface MadeRegion {
  readonly graph: RegionGraph;
  readonly tree: StructuredRegion;
  /** The WebAssembly module. */
  readonly bytes: Uint8Array;
  /** Guest real address of the page that it is in. */
  readonly pageGra: number;
}

export function describeRegion({ graph, tree, bytes, pageGra }: MadeRegion): string {
  const instructions = graph.blocks.reduce((sum, block) => sum + block.instructions.length, 0);
  const entries = graph.entries.map((id) => hex(graph.blocks[id].start)).join(' ');
  return [
    `region in the page at real address ${hex(pageGra)}, entered at ${entries}: ${graph.blocks.length} blocks, ${instructions} instructions, ${bytes.length} bytes of WebAssembly`,
    ...graph.blocks.flatMap((block) => blockLines(block, graph)),
    'structure',
    ...nodeLines(tree.root, graph, 1),
    'WebAssembly',
    ...functionsText(bytes),
    '',
  ].join('\n');
}

const hex = (value: number) => (value < 0 ? `-0x${(-value).toString(16)}` : `0x${value.toString(16)}`);

function blockLines({ id, instructions, terminator }: RegionBlock, graph: RegionGraph): string[] {
  const ways = successors(terminator).map((edge) => edgeText(edge, graph));
  return [
    `block ${id}`,
    ...instructions.map(({ offset, word }) => {
      // Distances stand for addresses, so that branch targets read like the others.
      const text = disassemble(word, { address: BigInt(offset) });
      const meaning = text ? `${text.mnemonic} ${text.operands}`.trimEnd() : 'illegal';
      return `  ${hex(offset).padStart(6)}  ${word.toString(16).padStart(8, '0')}  ${meaning}`;
    }),
    `  ${terminator.kind}${ways.length > 0 ? ` to ${ways.join(', ')}` : ''}`,
  ];
}

function edgeText(edge: Edge, graph: RegionGraph): string {
  return edge.kind === 'exit' ? `outside at ${hex(edge.offset)}` : `block ${graph.blocks[edge.block].id}`;
}

function nodeLines(list: readonly StructuredNode[], graph: RegionGraph, depth: number): string[] {
  const pad = '  '.repeat(depth);
  const ways = (next: readonly (readonly StructuredNode[])[]): string[] => {
    if (next.length === 1) return nodeLines(next[0], graph, depth);
    return next.flatMap((way, index) => [`${pad}way ${index}`, ...nodeLines(way, graph, depth + 1)]);
  };
  const lines = (node: StructuredNode): string[] => {
    switch (node.kind) {
      case 'block':
      case 'loop':
        return [`${pad}${node.kind} L${node.label}`, ...nodeLines(node.body, graph, depth + 1)];
      case 'code':
        return [`${pad}code of block ${node.block}`, ...ways(node.next)];
      case 'br':
        return [`${pad}${node.back ? 'again' : 'to the end of'} L${node.label}`];
      case 'exit':
        return [`${pad}leave for ${hex(node.offset)}`];
      case 'entry':
        return [`${pad}by entry`, ...ways(node.next)];
      case 'select':
        return [`${pad}selector ${node.variable} := ${node.value}`];
      case 'dispatch':
        return [`${pad}by selector ${node.variable}`, ...ways(node.next)];
    }
  };
  return list.flatMap(lines);
}
