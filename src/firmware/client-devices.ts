// Client services on open devices (IEEE 1275 6.3.2.3 and 6.3.2.4) and the methods that two nodes have: the root's
// ibm,client-architecture-support and /rtas's instantiate-rtas. Consoles can be read and written.
// Left out: block and network devices, and with them `seek`; nodes of such devices open but do nothing.

import { rtasStub } from '../hypervisor/rtas/layout.ts';
import { type CasOutcome, negotiate, parseCasRequest } from './cas.ts';
import type { ClientMemory } from './client-memory.ts';
import {
  type ClientService,
  MAX_NAME_BYTES,
  MAX_PATH_BYTES,
  MINUS_1,
  returnText,
  type ServiceCall,
} from './client-service.ts';
import type { DeviceNode, DeviceTree } from './device-tree.ts';
import { cells } from './property.ts';
import { cpuNodes } from './pseries-tree.ts';

/** A terminal as firmware uses it. Neither call blocks. */
export interface ConsolePort {
  write(bytes: Uint8Array): void;
  /** What has been typed, at most `maxBytes` bytes; empty if nothing waits. */
  read(maxBytes: number): Uint8Array;
}

/** What the machine is told of the methods that clients call. */
export interface MethodListener {
  casDecided(outcome: CasOutcome): void;
  rtasInstantiated(baseGra: number): void;
  unknownMethod(path: string, method: string): void;
}

interface Instance {
  readonly node: DeviceNode;
  readonly console: ConsolePort | undefined;
}

/** Results of a method, in the order of the return cells. */
type Method = (args: readonly number[], memory: ClientMemory) => readonly number[];

const MAX_INSTANCES = 256;
/** The most that one call moves; clients see the count and go on. */
const MAX_WRITE_BYTES = 1024 * 1024;
const MAX_READ_BYTES = 4096;
const NO_INPUT = 0xffff_fffe; // -2
const THROW_UNDEFINED_WORD = -13 >>> 0; // ANS Forth 9.3.5

export class ClientDevices {
  private readonly tree: DeviceTree;
  private readonly consoles: ReadonlyMap<number, ConsolePort>;
  private readonly listener: MethodListener;
  private readonly instances = new Map<number, Instance>();
  private nextIhandle = 1;
  /** What the CPU nodes show as `cpu-version` until a client has negotiated. */
  private readonly pvr: number;
  private readonly rtasBytes: number;

  /** `consoles` by unit address of the vty. The first vty becomes `stdin` and `stdout` of /chosen. */
  constructor(tree: DeviceTree, consoles: ReadonlyMap<number, ConsolePort>, listener: MethodListener) {
    this.tree = tree;
    this.consoles = consoles;
    this.listener = listener;
    this.rtasBytes = tree.find('/rtas')?.cell('rtas-size') ?? 0;
    this.pvr = cpuNodes(tree)[0]?.cell('cpu-version') ?? 0;
    const vty = tree.find('/vdevice/vty');
    if (vty !== undefined) {
      for (const name of ['stdin', 'stdout']) tree.find('/chosen')?.set(name, cells(this.open(vty)));
    }
  }

  readonly services: readonly ClientService[] = [
    {
      name: 'open',
      args: 1,
      run: ({ args, memory }) => {
        const specifier = memory.string(args[0]!, MAX_PATH_BYTES);
        const node = specifier === undefined ? undefined : this.tree.find(specifier);
        return [node === undefined || this.instances.size >= MAX_INSTANCES ? 0 : this.open(node)];
      },
    },
    {
      name: 'close',
      args: 1,
      run: ({ args }) => {
        this.instances.delete(args[0]!);
        return [];
      },
    },
    {
      name: 'write',
      args: 3,
      run: ({ args, memory }) => [this.write(args[0]!, args[1]!, args[2]!, memory)],
    },
    {
      name: 'read',
      args: 3,
      run: ({ args, memory }) => [this.read(args[0]!, args[1]!, args[2]!, memory)],
    },
    {
      name: 'instance-to-package',
      args: 1,
      run: ({ args }) => [this.instances.get(args[0]!)?.node.phandle ?? MINUS_1],
    },
    {
      name: 'instance-to-path',
      args: 3,
      run: (call) => {
        const path = this.instances.get(call.args[0]!)?.node.path;
        return [path === undefined ? MINUS_1 : returnText(call, path, call.args[1]!, call.args[2]!)];
      },
    },
    { name: 'call-method', args: 2, run: (call) => this.callMethod(call) },
    {
      name: 'test-method',
      args: 2,
      run: ({ args, memory }) => {
        const node = this.tree.node(args[0]!);
        const name = memory.string(args[1]!, MAX_NAME_BYTES) ?? '';
        return [node !== undefined && this.method(node, name) !== undefined ? 0 : MINUS_1];
      },
    },
  ];

  private open(node: DeviceNode): number {
    const ihandle = this.nextIhandle++;
    const unit = node.cell('reg');
    const isVty = node.parent?.path === '/vdevice' && node.baseName === 'vty' && unit !== undefined;
    this.instances.set(ihandle, { node, console: isVty ? this.consoles.get(unit) : undefined });
    return ihandle;
  }

  private write(ihandle: number, gra: number, lenBytes: number, memory: ClientMemory): number {
    const port = this.instances.get(ihandle)?.console;
    if (port === undefined) return MINUS_1;
    const bytes = memory.bytes(gra, Math.min(lenBytes, MAX_WRITE_BYTES));
    if (bytes === undefined) return MINUS_1;
    port.write(bytes);
    return bytes.length;
  }

  private read(ihandle: number, gra: number, lenBytes: number, memory: ClientMemory): number {
    const port = this.instances.get(ihandle)?.console;
    const maxBytes = Math.min(lenBytes, MAX_READ_BYTES);
    if (port === undefined || memory.bytes(gra, maxBytes) === undefined) return MINUS_1;
    const typed = port.read(maxBytes);
    if (typed.length === 0) return NO_INPUT;
    memory.write(gra, typed);
    return typed.length;
  }

  /** Return cells: the Forth catch result, then what the method returned. */
  private callMethod({ args, memory }: ServiceCall): readonly number[] {
    const [methodGra, ihandle, ...stack] = args as [number, number, ...number[]];
    const node = this.instances.get(ihandle)?.node;
    const name = memory.string(methodGra, MAX_NAME_BYTES);
    if (node === undefined || name === undefined) return [MINUS_1];
    const method = this.method(node, name);
    if (method === undefined) {
      this.listener.unknownMethod(node.path, name);
      return [THROW_UNDEFINED_WORD];
    }
    return [0, ...method(stack, memory)];
  }

  private method(node: DeviceNode, name: string): Method | undefined {
    if (node.path === '/' && name === 'ibm,client-architecture-support') return this.clientArchitectureSupport;
    if (node.path === '/rtas' && name === 'instantiate-rtas') return this.instantiateRtas;
    return undefined;
  }

  /** Result: 0, or 1 if what the client needs is not offered. */
  private readonly clientArchitectureSupport: Method = ([vectorGra], memory) => {
    const request = parseCasRequest((offset, lenBytes) => memory.bytes((vectorGra ?? 0) + offset, lenBytes));
    const outcome: CasOutcome =
      request === undefined ? { agreed: false, reason: 'the request cannot be parsed' } : negotiate(request, this.pvr);
    this.applyCas(outcome);
    this.listener.casDecided(outcome);
    return [outcome.agreed ? 0 : 1];
  };

  /** Writes the answer into the tree; a refusal leaves none, so that the client cannot take an old one for its own. */
  private applyCas(outcome: CasOutcome): void {
    const chosen = this.tree.find('/chosen');
    if (outcome.agreed) {
      chosen?.set('ibm,architecture-vec-5', outcome.vector5);
      for (const cpu of cpuNodes(this.tree)) cpu.set('cpu-version', cells(outcome.cpuVersion));
    } else {
      chosen?.properties.delete('ibm,architecture-vec-5');
    }
  }

  /** Result: the entry of RTAS, or 0 if it does not fit where the client wants it. */
  private readonly instantiateRtas: Method = ([baseGra], memory) => {
    if (baseGra === undefined || memory.bytes(baseGra, this.rtasBytes) === undefined) return [0];
    memory.write(baseGra, rtasStub());
    this.listener.rtasInstantiated(baseGra);
    return [baseGra];
  };
}
