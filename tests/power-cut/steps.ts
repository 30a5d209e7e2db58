// What the guest of this folder writes (guest/main.c), computed a second time, and whether an image holds what it must.

const BATCH = 8;
const MOST_BLOCKS = 8;
const SECTORS_PER_BLOCK = 8;
export const SECTOR_BYTES = 512;

interface Step {
  readonly number: number;
  readonly firstSector: number;
  readonly sectors: number;
  readonly zeroes: boolean;
}

/** The sector that tells the guest its seed and the size of the disk. */
export function seedSector(seed: number, blocks: number): Uint8Array {
  const bytes = new Uint8Array(SECTOR_BYTES);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(0, BigInt(seed));
  view.setBigUint64(8, BigInt(blocks));
  return bytes;
}

function* steps(seed: number, blocks: number): Generator<Step> {
  let state = seed >>> 0;
  const random = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state >>> 8;
  };
  for (let number = 1; ; number++) {
    const first = 1 + (random() % (blocks - MOST_BLOCKS));
    const count = 1 + (random() % MOST_BLOCKS);
    const zeroes = random() % 8 === 0;
    yield { number, firstSector: first * SECTORS_PER_BLOCK, sectors: count * SECTORS_PER_BLOCK, zeroes };
  }
}

export interface Judgement {
  /** What is wrong, the first few. */
  readonly wrong: readonly string[];
  /** Sectors whose flushed content was checked, and sectors with content of after the last flush. */
  readonly flushedSectors: number;
  readonly laterSectors: number;
}

/**
 * `flushed`: the last step that the guest said is safe. Each sector must hold what a step of the last batch that wrote it up
 * to there has written, or what a later step has; a sector that was never written and flushed may also hold zeroes. No
 * sector may hold anything else: half of a write, another sector's content, a step that overwritten content comes from.
 */
export function judge(image: Uint8Array, seed: number, blocks: number, flushed: number): Judgement {
  const view = new DataView(image.buffer, image.byteOffset, image.length);
  const found = new Array<number>(blocks * SECTORS_PER_BLOCK);
  let last = flushed;
  const wrong: string[] = [];
  for (let sector = SECTORS_PER_BLOCK; sector < found.length; sector++) {
    const step = stepIn(view, sector);
    found[sector] = step ?? -1;
    if (step === undefined) wrong.push(`sector ${sector} holds what nobody wrote`);
    else last = Math.max(last, step);
  }
  // By sector: what may be there. Steps after the last one that left a trace may have zeroed only: a few batches more.
  const allowed = Array.from({ length: found.length }, () => new Set([0]));
  const settled = new Uint8Array(found.length);
  const batchOfLast = new Array<number>(found.length).fill(0);
  for (const { number, firstSector, sectors, zeroes } of steps(seed, blocks)) {
    if (number > last + 64 * BATCH) break;
    const batch = Math.ceil(number / BATCH);
    for (let sector = firstSector; sector < firstSector + sectors; sector++) {
      if (number <= flushed) {
        if (batchOfLast[sector] !== batch) allowed[sector].clear();
        batchOfLast[sector] = batch;
        settled[sector] = 1;
      }
      allowed[sector].add(zeroes ? 0 : number);
    }
  }
  let laterSectors = 0;
  for (let sector = SECTORS_PER_BLOCK; sector < found.length; sector++) {
    const step = found[sector];
    if (step < 0) continue;
    if (step > flushed) laterSectors++;
    if (!allowed[sector].has(step)) {
      wrong.push(`sector ${sector} holds step ${step}, may be ${[...allowed[sector]].join(' ')} (flushed ${flushed})`);
    }
  }
  return { wrong: wrong.slice(0, 5), flushedSectors: settled.reduce((sum, each) => sum + each, 0), laterSectors };
}

/** The step that wrote a sector; 0 for zeroes, undefined for what no step writes there. */
function stepIn(view: DataView, sector: number): number | undefined {
  const at = sector * SECTOR_BYTES;
  const mark = view.getBigUint64(at);
  const step = Number(mark >> 32n);
  if (mark !== 0n && Number(mark & 0xffff_ffffn) !== sector) return undefined;
  for (let word = 1; word < 64; word++) {
    const expected = mark === 0n || word === 63 ? mark : mark + BigInt(word);
    if (view.getBigUint64(at + 8 * word) !== expected) return undefined;
  }
  return step;
}
