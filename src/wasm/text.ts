// WebAssembly bytes as text, for people: one instruction a line, indented by nesting, after the specification's text format
// (WebAssembly Core 2.0, section 6). Reads what module.ts writes: one function body and the names of what it calls.

import { opcodesByCode, valueTypeCode } from './opcodes.ts';

const typeNames = new Map(Object.entries(valueTypeCode).map(([name, code]) => [code, name]));
const SECTION_IMPORT = 2;
const SECTION_CODE = 10;
const decoder = { decode: (bytes: Uint8Array) => String.fromCharCode(...bytes) };

/** Bytes of a module read from front to back. */
class Reader {
  at = 0;
  readonly bytes: Uint8Array;
  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }
  get more(): boolean {
    return this.at < this.bytes.length;
  }
  u8(): number {
    return this.bytes[this.at++];
  }
  unsigned(): number {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = this.u8();
      value += (byte & 127) * scale;
      if (byte < 128) return value;
    }
  }
  signed(): bigint {
    let value = 0n;
    for (let shift = 0n; ; ) {
      const byte = BigInt(this.u8());
      value |= (byte & 127n) << shift;
      shift += 7n;
      if (byte < 128n) return BigInt.asIntN(Number(shift), value);
    }
  }
  take(count: number): Uint8Array {
    this.at += count;
    return this.bytes.subarray(this.at - count, this.at);
  }
  name(): string {
    return decoder.decode(this.take(this.unsigned()));
  }
}

/** The functions that a module defines, as text. */
export function functionsText(module: Uint8Array): string[] {
  const reader = new Reader(module);
  reader.take(8);
  const imported: string[] = [];
  const texts: string[] = [];
  while (reader.more) {
    const id = reader.u8();
    const section = new Reader(reader.take(reader.unsigned()));
    if (id === SECTION_IMPORT) imported.push(...importedFunctions(section));
    if (id !== SECTION_CODE) continue;
    for (let count = section.unsigned(); count > 0; count--) {
      texts.push(bodyText(new Reader(section.take(section.unsigned())), imported));
    }
  }
  return texts;
}

function importedFunctions(section: Reader): string[] {
  const names: string[] = [];
  for (let count = section.unsigned(); count > 0; count--) {
    section.name();
    const name = section.name();
    const kind = section.u8();
    if (kind === 0) {
      section.unsigned();
      names.push(name);
    } else if (kind === 3) section.take(2);
    else {
      // A memory or a table with its limits.
      if (kind === 1) section.u8();
      const flags = section.u8();
      section.unsigned();
      if (flags & 1) section.unsigned();
    }
  }
  return names;
}

function bodyText(body: Reader, imported: readonly string[]): string {
  const lines: string[] = [];
  let local = 0;
  for (let groups = body.unsigned(); groups > 0; groups--) {
    const count = body.unsigned();
    const type = body.u8();
    lines.push(`  (local ${Array.from({ length: count }, () => typeNames.get(type)).join(' ')})`);
    local += count;
  }
  let depth = 1;
  const line = (text: string, at = depth) => lines.push(`${'  '.repeat(at)}${text}`);
  const blockType = (): string => {
    const type = body.u8();
    return type === 0x40 ? '' : ` (result ${typeNames.get(type)})`;
  };
  while (body.more) {
    const code = body.u8();
    switch (code) {
      case 0x00:
        line('unreachable');
        break;
      case 0x02:
        line(`block${blockType()}`, depth++);
        break;
      case 0x03:
        line(`loop${blockType()}`, depth++);
        break;
      case 0x04:
        line(`if${blockType()}`, depth++);
        break;
      case 0x05:
        line('else', depth - 1);
        break;
      case 0x0b:
        line('end', --depth);
        break;
      case 0x0c:
        line(`br ${body.unsigned()}`);
        break;
      case 0x0d:
        line(`br_if ${body.unsigned()}`);
        break;
      case 0x0e: {
        const targets = Array.from({ length: body.unsigned() + 1 }, () => body.unsigned());
        line(`br_table ${targets.join(' ')}`);
        break;
      }
      case 0x0f:
        line('return');
        break;
      case 0x10:
      case 0x12: {
        const index = body.unsigned();
        const name = code === 0x10 ? 'call' : 'return_call';
        line(`${name} ${imported[index] === undefined ? index : `$${imported[index].replaceAll(' ', '_')}`}`);
        break;
      }
      case 0x11:
      case 0x13: {
        const type = body.unsigned();
        line(`${code === 0x11 ? 'call_indirect' : 'return_call_indirect'} ${body.unsigned()} (type ${type})`);
        break;
      }
      case 0x1a:
        line('drop');
        break;
      case 0x1b:
        line('select');
        break;
      case 0x1c:
        line(`select (result ${Array.from({ length: body.unsigned() }, () => typeNames.get(body.u8())).join(' ')})`);
        break;
      case 0x20:
        line(`local.get ${body.unsigned()}`);
        break;
      case 0x21:
        line(`local.set ${body.unsigned()}`);
        break;
      case 0x22:
        line(`local.tee ${body.unsigned()}`);
        break;
      case 0x23:
        line(`global.get ${body.unsigned()}`);
        break;
      case 0x24:
        line(`global.set ${body.unsigned()}`);
        break;
      case 0x41:
        line(`i32.const ${body.signed()}`);
        break;
      case 0x42:
        line(`i64.const ${body.signed()}`);
        break;
      case 0x43:
      case 0x44:
        line(`f${code === 0x43 ? 32 : 64}.const ${floatText(body.take(code === 0x43 ? 4 : 8))}`);
        break;
      default:
        line(operation(body, code));
    }
  }
  return [`(func ;; ${local} locals`, ...lines.slice(0, -1), ')'].join('\n');
}

function floatText(bytes: Uint8Array): string {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  return String(bytes.length === 4 ? view.getFloat32(0, true) : view.getFloat64(0, true));
}

/** Instructions of the opcode tables, and those with a memory operand, lanes or a constant. */
function operation(body: Reader, first: number): string {
  const prefix = first === 0xfc || first === 0xfd ? first : 0;
  const code = prefix ? body.unsigned() : first;
  if (prefix === 0xfc && (code === 10 || code === 11)) {
    body.take(code === 10 ? 2 : 1);
    return code === 10 ? 'memory.copy' : 'memory.fill';
  }
  if (prefix === 0xfd && code === 12)
    return `v128.const ${[...body.take(16)].map((byte) => byte.toString(16).padStart(2, '0')).join('')}`;
  const name = opcodesByCode.get(prefix * 0x10000 + code) ?? `unknown ${prefix.toString(16)} ${code.toString(16)}`;
  if (/\.(load|store)/.test(name)) {
    body.unsigned();
    return `${name} offset=${body.unsigned()}`;
  }
  if (name === 'i8x16.shuffle') return `${name} ${[...body.take(16)].join(' ')}`;
  if (/_lane/.test(name)) return `${name} ${body.u8()}`;
  return name;
}
