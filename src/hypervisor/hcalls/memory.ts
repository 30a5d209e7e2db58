// Hypercalls that touch memory by guest real address: H_PAGE_INIT, H_LOGICAL_CI_LOAD/STORE and their cacheable variants,
// H_LOGICAL_ICBI and H_LOGICAL_DCBF. LoPAR, Processor Register Hypervisor Resource Access and Debugger Support.
// The cache calls have nothing to do: there are no caches, and stores reach decoded code by themselves.

import type { HostView } from '../../memory/host-view.ts';
import { H_PARAMETER, H_SUCCESS } from '../h-status.ts';
import type { Hcall, HcallDefinition } from '../hcall-table.ts';
import { logicalAddress } from '../logical-address.ts';
import type { MmioPort } from '../vcpu-port.ts';

const PAGE_BYTES = 4096;

/** H_PAGE_INIT flags, IBM bits 40, 41, 48 and 49. */
const ICACHE_INVALIDATE = 1n << 23n;
const ICACHE_SYNCHRONIZE = 1n << 22n;
const ZERO_PAGE = 1n << 15n;
const COPY_PAGE = 1n << 14n;
const PAGE_INIT_FLAGS = ICACHE_INVALIDATE | ICACHE_SYNCHRONIZE | ZERO_PAGE | COPY_PAGE;

export interface MemoryContext {
  readonly view: HostView;
  /** What is mapped outside RAM; the cache-inhibited calls reach it. */
  readonly mmio: MmioPort | undefined;
}

export function memoryHcalls(context: MemoryContext): HcallDefinition[] {
  const ramOnly = { view: context.view, mmio: undefined };
  return [
    {
      token: 0x2c,
      name: 'H_PAGE_INIT',
      inputs: 3,
      outputs: 0,
      functionSet: 'hcall-copy',
      handler: (call) => pageInit(context.view, call),
      ref: 'LoPAR H_PAGE_INIT',
    },
    {
      token: 0x3c,
      name: 'H_LOGICAL_CI_LOAD',
      inputs: 2,
      outputs: 1,
      functionSet: 'hcall-debug',
      handler: (call) => logicalLoad(context, call),
      ref: 'LoPAR H_LOGICAL_CI_LOAD',
    },
    {
      token: 0x40,
      name: 'H_LOGICAL_CI_STORE',
      inputs: 3,
      outputs: 0,
      functionSet: 'hcall-debug',
      handler: (call) => logicalStore(context, call),
      ref: 'LoPAR H_LOGICAL_CI_STORE',
    },
    {
      token: 0x44,
      name: 'H_LOGICAL_CACHE_LOAD',
      inputs: 2,
      outputs: 1,
      handler: (call) => logicalLoad(ramOnly, call),
      ref: 'Linux arch/powerpc/include/asm/hvcall.h',
    },
    {
      token: 0x48,
      name: 'H_LOGICAL_CACHE_STORE',
      inputs: 3,
      outputs: 0,
      handler: (call) => logicalStore(ramOnly, call),
      ref: 'Linux arch/powerpc/include/asm/hvcall.h',
    },
    {
      token: 0x4c,
      name: 'H_LOGICAL_ICBI',
      inputs: 1,
      outputs: 0,
      handler: () => H_SUCCESS,
      ref: 'Linux arch/powerpc/include/asm/hvcall.h',
    },
    {
      token: 0x50,
      name: 'H_LOGICAL_DCBF',
      inputs: 1,
      outputs: 0,
      handler: () => H_SUCCESS,
      ref: 'Linux arch/powerpc/include/asm/hvcall.h',
    },
  ];
}

/** r4 flags, r5 destination, r6 source (only looked at when copying). */
function pageInit(view: HostView, call: Hcall): number {
  const flags = call.arg(0);
  if ((flags & ~PAGE_INIT_FLAGS) !== 0n) return H_PARAMETER;
  const destination = pageAddress(view, call.arg(1));
  if (destination === undefined) return H_PARAMETER;
  if ((flags & COPY_PAGE) !== 0n) {
    const source = pageAddress(view, call.arg(2));
    if (source === undefined) return H_PARAMETER;
    view.write(destination, view.read(source, PAGE_BYTES, call.origin), call.origin);
  } else if ((flags & ZERO_PAGE) !== 0n) {
    view.fill(destination, PAGE_BYTES, 0, call.origin);
  }
  return H_SUCCESS;
}

function pageAddress(view: HostView, value: bigint): number | undefined {
  const gra = logicalAddress(value);
  return gra !== undefined && gra % PAGE_BYTES === 0 && view.contains(gra, PAGE_BYTES) ? gra : undefined;
}

interface Location {
  readonly gra: number;
  readonly sizeBytes: number;
}

/** r4 size, r5 address, or undefined if the size is not 1, 2, 4 or 8 or the address not aligned to it. */
function location(call: Hcall): Location | undefined {
  const size = call.arg(0);
  const gra = logicalAddress(call.arg(1));
  if (gra === undefined || (size !== 1n && size !== 2n && size !== 4n && size !== 8n)) return undefined;
  const sizeBytes = Number(size);
  return gra % sizeBytes === 0 ? { gra, sizeBytes } : undefined;
}

/** -> r4 the value, right-justified, most significant byte first in memory. */
function logicalLoad(context: MemoryContext, call: Hcall): number {
  const at = location(call);
  if (!at) return H_PARAMETER;
  let value: bigint | undefined;
  if (context.view.contains(at.gra, at.sizeBytes)) value = loadRam(context.view, at, call);
  else value = context.mmio?.load(at.gra, at.sizeBytes);
  if (value === undefined) return H_PARAMETER;
  call.result(0, value);
  return H_SUCCESS;
}

function loadRam(view: HostView, at: Location, call: Hcall): bigint {
  return view.read(at.gra, at.sizeBytes, call.origin).reduce((value, byte) => (value << 8n) | BigInt(byte), 0n);
}

/** r6 the value, right-justified. */
function logicalStore(context: MemoryContext, call: Hcall): number {
  const at = location(call);
  if (!at) return H_PARAMETER;
  const value = BigInt.asUintN(at.sizeBytes * 8, call.arg(2));
  if (context.view.contains(at.gra, at.sizeBytes)) {
    const bytes = new Uint8Array(at.sizeBytes);
    for (let i = 0; i < at.sizeBytes; i++) bytes[at.sizeBytes - 1 - i] = Number((value >> BigInt(8 * i)) & 0xffn);
    context.view.write(at.gra, bytes, call.origin);
    return H_SUCCESS;
  }
  return context.mmio?.store(at.gra, at.sizeBytes, value) ? H_SUCCESS : H_PARAMETER;
}
