// H_GET_TCE, H_PUT_TCE, H_PUT_TCE_INDIRECT, H_STUFF_TCE: the guest maps its pages for devices. LoPAR, TCE-related hcall()s.
// An entry is kept as given; that its page is no RAM shows when a device uses it.

import type { HostView } from '../../memory/host-view.ts';
import { busAddressOf } from '../../pci/bus-address.ts';
import type { HostBridge } from '../../pci/host-bridge.ts';
import type { TceTable } from '../../pci/tce-table.ts';
import { H_PARAMETER, H_SUCCESS } from '../h-status.ts';
import type { Hcall, HcallDefinition } from '../hcall-table.ts';
import { logicalAddress } from '../logical-address.ts';

/** Entries in the 4 KiB page that H_PUT_TCE_INDIRECT reads. */
const LIST_ENTRIES = 512;
const LIST_ALIGNMENT = 4096;
const WORD_MASK = 0xffff_ffffn;

export interface TceContext {
  readonly bridges: readonly HostBridge[];
  readonly view: HostView;
}

export function tceHcalls(context: TceContext): HcallDefinition[] {
  return [
    {
      token: 0x1c,
      name: 'H_GET_TCE',
      inputs: 2,
      outputs: 1,
      functionSet: 'hcall-tce',
      handler: (call) => getTce(context, call),
      ref: 'LoPAR H_GET_TCE',
    },
    {
      token: 0x20,
      name: 'H_PUT_TCE',
      inputs: 3,
      outputs: 0,
      functionSet: 'hcall-tce',
      handler: (call) => fill(context, call, call.arg(2), 1n),
      ref: 'LoPAR H_PUT_TCE',
    },
    {
      token: 0x138,
      name: 'H_STUFF_TCE',
      inputs: 4,
      outputs: 0,
      functionSet: 'hcall-multi-tce',
      handler: (call) => fill(context, call, call.arg(2), call.arg(3)),
      ref: 'LoPAR H_STUFF_TCE',
    },
    {
      token: 0x13c,
      name: 'H_PUT_TCE_INDIRECT',
      inputs: 4,
      outputs: 0,
      functionSet: 'hcall-multi-tce',
      handler: (call) => putIndirect(context, call),
      ref: 'LoPAR H_PUT_TCE_INDIRECT',
    },
  ];
}

interface Entries {
  readonly table: TceTable;
  readonly index: number;
}

/**
 * r4 LIOBN, r5 I/O address: `count` entries from the one that maps it on. Undefined if there is no such window or they do
 * not all lie in it.
 */
function entriesOf(context: TceContext, call: Hcall, count: bigint): Entries | undefined {
  const liobn = call.arg(0);
  if (liobn > WORD_MASK) return undefined;
  for (const { dmaWindows } of context.bridges) {
    const table = dmaWindows.find(Number(liobn));
    if (!table) continue;
    const index = table.indexOf(busAddressOf(call.arg(1)));
    return index >= 0 && BigInt(index) + count <= BigInt(table.entries) ? { table, index } : undefined;
  }
  return undefined;
}

/** -> r4 the entry. */
function getTce(context: TceContext, call: Hcall): number {
  const at = entriesOf(context, call, 1n);
  if (!at) return H_PARAMETER;
  call.result(0, (BigInt(at.table.high(at.index)) << 32n) | BigInt(at.table.low(at.index)));
  return H_SUCCESS;
}

/** `count` entries, any number, become `tce`. */
function fill(context: TceContext, call: Hcall, tce: bigint, count: bigint): number {
  const at = entriesOf(context, call, count);
  if (!at) return H_PARAMETER;
  const high = Number(tce >> 32n);
  const low = Number(tce & WORD_MASK);
  const end = at.index + Number(count);
  for (let index = at.index; index < end; index++) at.table.set(index, high, low);
  return H_SUCCESS;
}

/** r6 address of a page of big-endian entries, r7 how many of them, at most 512. */
function putIndirect(context: TceContext, call: Hcall): number {
  const count = call.arg(3);
  const listGra = logicalAddress(call.arg(2));
  if (count > BigInt(LIST_ENTRIES) || listGra === undefined || listGra % LIST_ALIGNMENT !== 0) return H_PARAMETER;
  const at = entriesOf(context, call, count);
  const lenBytes = 8 * Number(count);
  if (!at || !context.view.contains(listGra, lenBytes)) return H_PARAMETER;
  // Read at once: the guest may change the list meanwhile.
  const list = new DataView(context.view.read(listGra, lenBytes, call.origin).buffer);
  for (let n = 0; n < Number(count); n++) {
    at.table.set(at.index + n, list.getUint32(8 * n), list.getUint32(8 * n + 4));
  }
  return H_SUCCESS;
}
