// Command descriptor blocks, turned into checked values (SPC-4, SBC-3). One row for each command: how it looks, which of
// its bits are looked at, and what it says. REPORT SUPPORTED OPERATION CODES is answered from the same rows.

import { SENSE, type Sense } from './sense.ts';

/** Addresses and lengths are in blocks and not yet compared with the disk; `allocation` bounds the answer in bytes. */
export type Command =
  | { readonly kind: 'test-ready' }
  | { readonly kind: 'request-sense'; readonly descriptors: boolean; readonly allocation: number }
  /** Without a page: the standard data. */
  | { readonly kind: 'inquiry'; readonly page: number | undefined; readonly allocation: number }
  | ModeSense
  | { readonly kind: 'mode-select'; readonly long: boolean; readonly lenBytes: number }
  | { readonly kind: 'start-stop'; readonly start: boolean }
  | { readonly kind: 'capacity'; readonly long: boolean; readonly allocation: number }
  | { readonly kind: 'report-units'; readonly select: number; readonly allocation: number }
  | ReportCommands
  | { readonly kind: 'read'; readonly lba: number; readonly blocks: number }
  | { readonly kind: 'write'; readonly lba: number; readonly blocks: number; readonly safe: boolean }
  | { readonly kind: 'verify'; readonly lba: number; readonly blocks: number; readonly compare: boolean }
  | { readonly kind: 'flush'; readonly lba: number; readonly blocks: number }
  | WriteSame
  | { readonly kind: 'unmap'; readonly lenBytes: number };

export interface ModeSense {
  readonly kind: 'mode-sense';
  readonly long: boolean;
  readonly page: number;
  readonly subpage: number;
  readonly values: 'current' | 'changeable' | 'default';
  readonly descriptor: 'none' | 'short' | 'long';
  readonly allocation: number;
}

export interface WriteSame {
  readonly kind: 'write-same';
  readonly lba: number;
  readonly blocks: number;
  readonly unmap: boolean;
  /** Zeroes are written, and no block is sent. */
  readonly noData: boolean;
}

export interface ReportCommands {
  readonly kind: 'report-commands';
  /** The opcode asked for; undefined: all. */
  readonly opcode: number | undefined;
  /** The service action asked for; undefined: the opcode must have none. */
  readonly action: number | undefined;
  /** Either will do: the service action counts for opcodes that have any. */
  readonly either: boolean;
  readonly allocation: number;
}

interface Row {
  readonly name: string;
  readonly opcode: number;
  readonly action?: number;
  /**
   * Behind the opcode, the bits that mean something, in hexadecimal. Others must be 0. As many bytes as the command has.
   * The bits of a service action are not in it.
   */
  readonly bits: string;
  readonly parse: (cdb: DataView) => Command | Sense;
}

const MODE_VALUES = ['current', 'changeable', 'default'] as const;

function u64(cdb: DataView, at: number): number {
  return cdb.getUint32(at) * 2 ** 32 + cdb.getUint32(at + 4);
}

/** Where the block address and the length stand in commands of 10, 12 and 16 bytes. */
type Extent = (cdb: DataView) => { readonly lba: number; readonly blocks: number };
const extent10: Extent = (cdb) => ({ lba: cdb.getUint32(2), blocks: cdb.getUint16(7) });
const extent12: Extent = (cdb) => ({ lba: cdb.getUint32(2), blocks: cdb.getUint32(6) });
const extent16: Extent = (cdb) => ({ lba: u64(cdb, 2), blocks: cdb.getUint32(10) });
/** 21 bits of address; no length means 256 (SBC-3 5.10). */
const extent6: Extent = (cdb) => ({ lba: cdb.getUint32(0) & 0x1f_ffff, blocks: cdb.getUint8(4) || 256 });

const read = (extent: Extent) => (cdb: DataView) => ({ kind: 'read', ...extent(cdb) }) as const;
const write = (extent: Extent) => (cdb: DataView) =>
  ({ kind: 'write', ...extent(cdb), safe: extent !== extent6 && (cdb.getUint8(1) & 8) !== 0 }) as const;
const flush = (extent: Extent) => (cdb: DataView) => ({ kind: 'flush', ...extent(cdb) }) as const;

const verify = (extent: Extent) => (cdb: DataView) => {
  const check = (cdb.getUint8(1) >> 1) & 3;
  // 2 is reserved; 3 compares all blocks with one, which is left out.
  return check > 1 ? SENSE.invalidCdb : ({ kind: 'verify', ...extent(cdb), compare: check === 1 } as const);
};

const writeSame = (extent: Extent) => (cdb: DataView) => {
  const flags = cdb.getUint8(1);
  return { kind: 'write-same', ...extent(cdb), unmap: (flags & 8) !== 0, noData: (flags & 1) !== 0 } as const;
};

const modeSense = (long: boolean) => (cdb: DataView) => {
  const flags = cdb.getUint8(1);
  const values = MODE_VALUES[cdb.getUint8(2) >> 6];
  if (values === undefined) return SENSE.savingNotSupported;
  return {
    kind: 'mode-sense',
    long,
    page: cdb.getUint8(2) & 0x3f,
    subpage: cdb.getUint8(3),
    values,
    descriptor: flags & 8 ? 'none' : flags & 0x10 ? 'long' : 'short',
    allocation: long ? cdb.getUint16(7) : cdb.getUint8(4),
  } as const;
};

const modeSelect = (long: boolean) => (cdb: DataView) => {
  // Pages have the format of the standard, and none can be saved.
  if ((cdb.getUint8(1) & 0x11) !== 0x10) return SENSE.invalidCdb;
  return { kind: 'mode-select', long, lenBytes: long ? cdb.getUint16(7) : cdb.getUint8(4) } as const;
};

function inquiry(cdb: DataView): Command | Sense {
  const vital = (cdb.getUint8(1) & 1) !== 0;
  const page = cdb.getUint8(2);
  if (!vital && page !== 0) return SENSE.invalidCdb;
  return { kind: 'inquiry', page: vital ? page : undefined, allocation: cdb.getUint16(3) };
}

function startStop(cdb: DataView): Command | Sense {
  const flags = cdb.getUint8(4);
  // Nothing can be ejected. Power conditions other than active and stopped are not known.
  if (flags & 0xf2) return SENSE.invalidCdb;
  return { kind: 'start-stop', start: (flags & 1) !== 0 };
}

function reportCommands(cdb: DataView): Command | Sense {
  const option = cdb.getUint8(2);
  if (option > 3) return SENSE.invalidCdb;
  return {
    kind: 'report-commands',
    opcode: option === 0 ? undefined : cdb.getUint8(3),
    action: option > 1 ? cdb.getUint16(4) : undefined,
    either: option === 3,
    allocation: cdb.getUint32(6),
  };
}

const rows: readonly Row[] = [
  { name: 'TEST UNIT READY', opcode: 0x00, bits: '0000000000', parse: () => ({ kind: 'test-ready' }) },
  {
    name: 'REQUEST SENSE',
    opcode: 0x03,
    bits: '010000ff00',
    parse: (cdb) => ({
      kind: 'request-sense',
      descriptors: (cdb.getUint8(1) & 1) !== 0,
      allocation: cdb.getUint8(4),
    }),
  },
  { name: 'READ(6)', opcode: 0x08, bits: '1fffffff00', parse: read(extent6) },
  { name: 'WRITE(6)', opcode: 0x0a, bits: '1fffffff00', parse: write(extent6) },
  { name: 'INQUIRY', opcode: 0x12, bits: '01ffffff00', parse: inquiry },
  { name: 'MODE SELECT(6)', opcode: 0x15, bits: '110000ff00', parse: modeSelect(false) },
  { name: 'MODE SENSE(6)', opcode: 0x1a, bits: '08ffffff00', parse: modeSense(false) },
  { name: 'START STOP UNIT', opcode: 0x1b, bits: '01000ff700', parse: startStop },
  {
    name: 'READ CAPACITY(10)',
    opcode: 0x25,
    bits: '00ffffffff00000100',
    parse: () => ({ kind: 'capacity', long: false, allocation: 8 }),
  },
  { name: 'READ(10)', opcode: 0x28, bits: '18ffffffff00ffff00', parse: read(extent10) },
  { name: 'WRITE(10)', opcode: 0x2a, bits: '18ffffffff00ffff00', parse: write(extent10) },
  { name: 'VERIFY(10)', opcode: 0x2f, bits: '16ffffffff00ffff00', parse: verify(extent10) },
  { name: 'SYNCHRONIZE CACHE(10)', opcode: 0x35, bits: '02ffffffff00ffff00', parse: flush(extent10) },
  { name: 'WRITE SAME(10)', opcode: 0x41, bits: '08ffffffff00ffff00', parse: writeSame(extent10) },
  {
    name: 'UNMAP',
    opcode: 0x42,
    bits: '000000000000ffff00',
    parse: (cdb) => ({ kind: 'unmap', lenBytes: cdb.getUint16(7) }),
  },
  { name: 'MODE SELECT(10)', opcode: 0x55, bits: '110000000000ffff00', parse: modeSelect(true) },
  { name: 'MODE SENSE(10)', opcode: 0x5a, bits: '18ffff000000ffff00', parse: modeSense(true) },
  { name: 'READ(16)', opcode: 0x88, bits: '18ffffffffffffffffffffffff0000', parse: read(extent16) },
  { name: 'WRITE(16)', opcode: 0x8a, bits: '18ffffffffffffffffffffffff0000', parse: write(extent16) },
  { name: 'VERIFY(16)', opcode: 0x8f, bits: '16ffffffffffffffffffffffff0000', parse: verify(extent16) },
  { name: 'SYNCHRONIZE CACHE(16)', opcode: 0x91, bits: '02ffffffffffffffffffffffff0000', parse: flush(extent16) },
  { name: 'WRITE SAME(16)', opcode: 0x93, bits: '09ffffffffffffffffffffffff0000', parse: writeSame(extent16) },
  {
    name: 'READ CAPACITY(16)',
    opcode: 0x9e,
    action: 0x10,
    bits: '00ffffffffffffffffffffffff0100',
    parse: (cdb) => ({ kind: 'capacity', long: true, allocation: cdb.getUint32(10) }),
  },
  {
    name: 'REPORT LUNS',
    opcode: 0xa0,
    bits: '00ff000000ffffffff0000',
    parse: (cdb) => ({ kind: 'report-units', select: cdb.getUint8(2), allocation: cdb.getUint32(6) }),
  },
  {
    name: 'REPORT SUPPORTED OPERATION CODES',
    opcode: 0xa3,
    action: 0x0c,
    bits: '0007ffffffffffffff0000',
    parse: reportCommands,
  },
  { name: 'READ(12)', opcode: 0xa8, bits: '18ffffffffffffffff0000', parse: read(extent12) },
  { name: 'WRITE(12)', opcode: 0xaa, bits: '18ffffffffffffffff0000', parse: write(extent12) },
  { name: 'VERIFY(12)', opcode: 0xaf, bits: '16ffffffffffffffff0000', parse: verify(extent12) },
];

interface KnownCommand extends Row {
  /** Of the whole command, opcode and service action as they stand in it. */
  readonly usage: Uint8Array;
}

const ACTION_BITS = 0x1f;

const known: readonly KnownCommand[] = rows.map((row) => {
  const bytes = row.bits.match(/../g)!.map((text) => Number.parseInt(text, 16));
  return { ...row, usage: Uint8Array.of(row.opcode, bytes[0] | (row.action ?? 0), ...bytes.slice(1)) };
});

/** Commands by name, for those who list them. */
export const COMMAND_NAMES: readonly string[] = known.map(({ name }) => name);

function find(opcode: number, action: number): KnownCommand | undefined {
  return known.find((row) => row.opcode === opcode && (row.action === undefined || row.action === action));
}

/** What a command descriptor block asks for, or why it cannot be. `cdb` has at least 16 bytes. */
export function parseCommand(cdb: Uint8Array): Command | Sense {
  const row = find(cdb[0], cdb[1] & ACTION_BITS);
  if (row === undefined) {
    const another = known.some(({ opcode, action }) => opcode === cdb[0] && action !== undefined);
    return another ? SENSE.invalidCdb : SENSE.unknownCommand;
  }
  for (let n = 1; n < row.usage.length; n++) {
    const allowed = n === 1 && row.action !== undefined ? row.usage[1] | ACTION_BITS : row.usage[n];
    if (cdb[n] & ~allowed) return SENSE.invalidCdb;
  }
  return row.parse(new DataView(cdb.buffer, cdb.byteOffset, cdb.byteLength));
}

export function isSense(value: Command | Sense): value is Sense {
  return 'key' in value;
}

/** The answer to REPORT SUPPORTED OPERATION CODES (SPC-4 6.35). */
export function supportedCommands(asked: ReportCommands): Uint8Array | Sense {
  if (asked.opcode === undefined) {
    const bytes = new Uint8Array(4 + 8 * known.length);
    const view = new DataView(bytes.buffer);
    view.setUint32(0, 8 * known.length);
    known.forEach(({ opcode, action, usage }, n) => {
      const at = 4 + 8 * n;
      bytes[at] = opcode;
      view.setUint16(at + 2, action ?? 0);
      bytes[at + 5] = action === undefined ? 0 : 1;
      view.setUint16(at + 6, usage.length);
    });
    return bytes;
  }
  const ofOpcode = known.filter(({ opcode }) => opcode === asked.opcode);
  const hasActions = ofOpcode.some(({ action }) => action !== undefined);
  if (!asked.either && ofOpcode.length > 0 && hasActions !== (asked.action !== undefined)) return SENSE.invalidCdb;
  const row = ofOpcode.find(({ action }) => (hasActions ? action === asked.action : (asked.action ?? 0) === 0));
  const bytes = new Uint8Array(4 + (row?.usage.length ?? 0));
  bytes[1] = row ? 3 : 1;
  if (row) {
    bytes[3] = row.usage.length;
    bytes.set(row.usage, 4);
  }
  return bytes;
}
