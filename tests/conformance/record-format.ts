// The file of recorded hashes: origin and, for each instruction, the hashes of its blocks joined in one text.

export interface Record64 {
  readonly qemu: string;
  readonly date: string;
  readonly seed: string;
  /** 16 hexadecimal digits for each block of vectors.ts, in order. */
  readonly hashes: ReadonlyMap<string, readonly string[]>;
}

const packed = (hash: string) => Buffer.from(hash, 'hex').toString('base64url');
const unpacked = (text: string) => Buffer.from(text, 'base64url').toString('hex');

/** One line an instruction; a hash is 11 characters of base64. */
export function writeRecord(record: Record64): string {
  const lines = [...record.hashes].map(([op, hashes]) => `    ${JSON.stringify(op)}: "${hashes.map(packed).join('')}"`);
  const head = (['qemu', 'date', 'seed'] as const).map((name) => `  "${name}": ${JSON.stringify(record[name])},`);
  return `{\n${head.join('\n')}\n  "hashes": {\n${lines.join(',\n')}\n  }\n}\n`;
}

export function readRecord(text: string): Record64 {
  const { qemu, date, seed, hashes } = JSON.parse(text) as {
    qemu: string;
    date: string;
    seed: string;
    hashes: { [op: string]: string };
  };
  const split = (joined: string) => (joined.match(/.{11}/g) ?? []).map(unpacked);
  return { qemu, date, seed, hashes: new Map(Object.entries(hashes).map(([op, joined]) => [op, split(joined)])) };
}
