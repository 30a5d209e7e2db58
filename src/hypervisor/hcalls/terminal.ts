// H_GET_TERM_CHAR and H_PUT_TERM_CHAR (LoPAR, Client Vterm). Characters travel in two registers, first one in the most
// significant byte.

import { H_BUSY, H_PARAMETER, H_SUCCESS } from '../h-status.ts';
import type { Hcall, HcallDefinition } from '../hcall-table.ts';
import { type Terminals, VTY_TRANSFER_BYTES } from '../terminal.ts';

export function terminalHcalls(terminals: Terminals): HcallDefinition[] {
  return [
    {
      token: 0x54,
      name: 'H_GET_TERM_CHAR',
      inputs: 1,
      outputs: 3,
      functionSet: 'hcall-term',
      handler: (call) => getTermChar(terminals, call),
      ref: 'LoPAR H_GET_TERM_CHAR',
    },
    {
      token: 0x58,
      name: 'H_PUT_TERM_CHAR',
      inputs: 4,
      outputs: 0,
      functionSet: 'hcall-term',
      handler: (call) => putTermChar(terminals, call),
      ref: 'LoPAR H_PUT_TERM_CHAR',
    },
  ];
}

/** r4 unit -> r4 count, r5 and r6 characters. */
function getTermChar(terminals: Terminals, call: Hcall): number {
  const vty = terminals.find(call.arg(0));
  if (!vty) return H_PARAMETER;
  const bytes = vty.get();
  const packed = new DataView(new ArrayBuffer(VTY_TRANSFER_BYTES));
  bytes.forEach((byte, i) => {
    packed.setUint8(i, byte);
  });
  call.result(0, BigInt(bytes.length));
  call.result(1, packed.getBigUint64(0));
  call.result(2, packed.getBigUint64(8));
  return H_SUCCESS;
}

/** r4 unit, r5 length 0 to 16, r6 and r7 characters. */
function putTermChar(terminals: Terminals, call: Hcall): number {
  const vty = terminals.find(call.arg(0));
  if (!vty || call.arg(1) > BigInt(VTY_TRANSFER_BYTES)) return H_PARAMETER;
  const packed = new DataView(new ArrayBuffer(VTY_TRANSFER_BYTES));
  packed.setBigUint64(0, call.arg(2));
  packed.setBigUint64(8, call.arg(3));
  return vty.put(new Uint8Array(packed.buffer, 0, Number(call.arg(1)))) ? H_SUCCESS : H_BUSY;
}
