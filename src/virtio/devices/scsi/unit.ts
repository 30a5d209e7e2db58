// One disk behind the controller: what its commands do to the back end (SBC-3 5).
//
// Left out: reservations, compare-and-write, protection information, sanitizing, formatting, power conditions between
// active and stopped. There is one initiator, so a change it makes is not announced to others.

import type { BlockBackend, BlockOutcome } from '../../../backends/block-backend.ts';
import { Done } from '../../../device/ports.ts';
import { type Command, isSense, parseCommand, supportedCommands } from './command.ts';
import {
  capacity10,
  capacity16,
  inquiryData,
  MAX_RANGE_BYTES,
  MAX_TRANSFER_BYTES,
  MAX_UNMAP_RANGES,
  modeData,
  parseModeList,
  type UnitFacts,
  vitalPage,
} from './pages.ts';
import { encodeUnitNumber } from './request.ts';
import { hostSense, SENSE, type Sense, STATUS_CHECK_CONDITION, STATUS_GOOD, senseBytes } from './sense.ts';

export interface ScsiDiskOptions {
  readonly backend: BlockBackend;
  /** 1 to 36 printable characters; without, there is no page of vital product data for it. */
  readonly serial?: string;
  /** At most 16 characters. Default `VIRTUAL DISK`. */
  readonly product?: string;
  /** Default 512. */
  readonly logicalBytes?: number;
  /** Default 4096. */
  readonly physicalBytes?: number;
}

/** How a command ended. */
export interface ScsiResult {
  readonly status: number;
  readonly sense?: Uint8Array;
  /** For the guest. */
  readonly data?: Uint8Array;
  /** What the host said, for the log. */
  readonly failure?: string;
}

/** Bytes of a read of the medium that nobody wants the data of, and of a repeated block. */
const PIECE_BYTES = 2 ** 20;

const good: ScsiResult = { status: STATUS_GOOD };

export function checkCondition(sense: Sense, failure?: string): ScsiResult {
  return { status: STATUS_CHECK_CONDITION, sense: senseBytes(sense), ...(failure !== undefined && { failure }) };
}

const OPCODE_REQUEST_SENSE = 0x03;
const OPCODE_INQUIRY = 0x12;
const OPCODE_REPORT_LUNS = 0xa0;
/** Commands that are answered in spite of a unit attention (SAM-5 5.14). */
const beforeAttention: readonly number[] = [OPCODE_REQUEST_SENSE, OPCODE_INQUIRY, OPCODE_REPORT_LUNS];
/** Commands that need the medium, and so a started unit. */
const onMedium: readonly Command['kind'][] = [
  'test-ready',
  'capacity',
  'read',
  'write',
  'verify',
  'flush',
  'write-same',
  'unmap',
];

export class LogicalUnit {
  readonly backend: BlockBackend;
  readonly name: string;
  private readonly options: ScsiDiskOptions;
  private readonly place: string;
  private readonly siblings: () => readonly number[];
  private readonly attentions: Sense[] = [];
  private started = true;
  private writeCache = true;

  /** `siblings`: the numbers of all units of its target. `place`: tells it from other units of the machine. */
  constructor(options: ScsiDiskOptions, place: string, siblings: () => readonly number[]) {
    this.options = options;
    this.backend = options.backend;
    this.name = options.backend.name;
    this.place = place;
    this.siblings = siblings;
  }

  /** The state after power-on, which the guest is told of. */
  powerOn(): void {
    this.attentions.length = 0;
    this.attentions.push(SENSE.powerOn);
    this.started = true;
    this.writeCache = true;
  }

  /** LOGICAL UNIT RESET (SAM-5 6.3.3). */
  resetUnit(): void {
    this.started = true;
    this.writeCache = true;
    this.attend(SENSE.unitReset);
  }

  /** Something the guest is told with the next command. */
  attend(sense: Sense): void {
    if (!this.attentions.includes(sense)) this.attentions.push(sense);
  }

  get facts(): UnitFacts {
    const { serial, product = 'VIRTUAL DISK', logicalBytes = 512, physicalBytes = 4096 } = this.options;
    const { sizeBytes, readOnly } = this.backend;
    const { place, writeCache } = this;
    return { sizeBytes, logicalBytes, physicalBytes, readOnly, writeCache, product, serial, place };
  }

  /** The command, if it can be begun now; else how it ends. */
  admit(cdb: Uint8Array): { readonly command: Command } | { readonly refused: ScsiResult } {
    const parsed = parseCommand(cdb);
    const attention = this.attentions[0];
    if (attention && !beforeAttention.includes(cdb[0])) {
      this.attentions.shift();
      return { refused: checkCondition(attention) };
    }
    const wrong = isSense(parsed) ? parsed : this.problemOf(parsed);
    return wrong ? { refused: checkCondition(wrong) } : { command: parsed as Command };
  }

  /** Bytes that come with the command. */
  bytesOut(command: Command): number {
    const { logicalBytes } = this.facts;
    switch (command.kind) {
      case 'write':
        return command.blocks * logicalBytes;
      case 'verify':
        return command.compare ? command.blocks * logicalBytes : 0;
      case 'write-same':
        return command.noData ? 0 : logicalBytes;
      case 'mode-select':
      case 'unmap':
        return command.lenBytes;
      default:
        return 0;
    }
  }

  /** Bytes that a read will give. */
  bytesIn(command: Command): number {
    return command.kind === 'read' ? command.blocks * this.facts.logicalBytes : 0;
  }

  /** Does an admitted command; `data` is what came with it. Commands that ask nothing of the host end at once. */
  perform(command: Command, data: Uint8Array): ScsiResult | Promise<ScsiResult> | Done<ScsiResult> {
    const { facts } = this;
    switch (command.kind) {
      case 'test-ready':
        return good;
      case 'request-sense': {
        const sense = this.attentions.shift() ?? (this.started ? SENSE.none : SENSE.stopped);
        return answer(senseBytes(sense, command.descriptors), command.allocation);
      }
      case 'inquiry': {
        const { page } = command;
        const bytes = page === undefined ? inquiryData(facts.product) : vitalPage(page, facts);
        return bytes ? answer(bytes, command.allocation) : checkCondition(SENSE.invalidCdb);
      }
      case 'report-units': {
        const changed = this.attentions.indexOf(SENSE.unitsChanged);
        if (changed >= 0) this.attentions.splice(changed, 1);
        return reportUnits(command, this.siblings());
      }
      case 'report-commands':
        return answerOr(supportedCommands(command), command.allocation);
      case 'capacity':
        return answer(command.long ? capacity16(facts) : capacity10(facts), command.allocation);
      case 'mode-sense':
        return answerOr(modeData(command, facts), command.allocation);
      case 'mode-select':
        return this.changeMode(data, command.long);
      case 'start-stop':
        return this.startOrStop(command.start);
      case 'read':
        return this.read(command.lba, new Uint8Array(this.bytesIn(command)));
      case 'write':
        return command.blocks === 0 ? good : this.write(command.lba, data, command.safe);
      case 'verify':
        return this.verify(command.lba, command.blocks, command.compare ? data : undefined);
      case 'flush':
        return this.flush(command.lba);
      case 'write-same':
        return this.written(command.lba, this.writeSame(command.lba, command.blocks, data, command.unmap), false);
      case 'unmap':
        return this.unmap(data);
    }
  }

  /** Why a command cannot be begun, as far as that can be told without its data. */
  private problemOf(command: Command): Sense | undefined {
    if (!this.started && onMedium.includes(command.kind)) return SENSE.stopped;
    const { sizeBytes, logicalBytes, readOnly } = this.facts;
    const writes = command.kind === 'write' || command.kind === 'write-same' || command.kind === 'unmap';
    if (writes && readOnly) return SENSE.writeProtected;
    if (!('lba' in command)) return undefined;
    const { lba, blocks } = command;
    if (lba + blocks > sizeBytes / logicalBytes) return SENSE.outOfRange;
    if (command.kind === 'write-same') {
      return blocks === 0 || blocks * logicalBytes > MAX_RANGE_BYTES ? SENSE.invalidCdb : undefined;
    }
    const held = command.kind === 'flush' ? 0 : blocks * logicalBytes;
    return held > MAX_TRANSFER_BYTES ? SENSE.invalidCdb : undefined;
  }

  private changeMode(list: Uint8Array, long: boolean): ScsiResult | Promise<ScsiResult> {
    const change = parseModeList(list, long, this.facts);
    if ('key' in change) return checkCondition(change);
    const { writeCache } = change;
    if (writeCache === undefined || writeCache === this.writeCache) return good;
    this.writeCache = writeCache;
    // What was written before is safe, too, once the cache is off.
    return writeCache ? good : this.flush(0);
  }

  private startOrStop(start: boolean): ScsiResult | Promise<ScsiResult> {
    this.started = start;
    return start ? good : this.flush(0);
  }

  private async flush(lba: number): Promise<ScsiResult> {
    if (this.backend.readOnly) return good;
    const failure = await this.backend.flush();
    return failure ? checkCondition(hostSense(failure, lba), failure.message) : good;
  }

  private read(lba: number, target: Uint8Array): ScsiResult | Promise<ScsiResult> | Done<ScsiResult> {
    if (target.length === 0) return good;
    const { backend } = this;
    const offset = lba * this.facts.logicalBytes;
    const ended = (failure: BlockOutcome): ScsiResult =>
      failure ? checkCondition(hostSense(failure, lba), failure.message) : { status: STATUS_GOOD, data: target };
    const outcome = backend.readNow ? backend.readNow(offset, target) : 'later';
    return outcome === 'later' ? backend.read(offset, target).then(ended) : new Done(ended(outcome));
  }

  private write(lba: number, data: Uint8Array, safe: boolean): Promise<ScsiResult> | Done<ScsiResult> {
    const { backend } = this;
    const offset = lba * this.facts.logicalBytes;
    const outcome = backend.writeNow && this.writeCache && !safe ? backend.writeNow(offset, data) : 'later';
    if (outcome === 'later') return this.written(lba, backend.write(offset, data), safe);
    return new Done(outcome ? checkCondition(hostSense(outcome, lba), outcome.message) : good);
  }

  /** `safe`: it must survive a crash of the host before the guest hears of it. */
  private async written(lba: number, work: Promise<BlockOutcome>, safe: boolean): Promise<ScsiResult> {
    let failure = await work;
    if (!failure && (safe || !this.writeCache)) failure = await this.backend.flush();
    return failure ? checkCondition(hostSense(failure, lba), failure.message) : good;
  }

  /** Reads all of it; with `wanted`, compares. */
  private async verify(lba: number, blocks: number, wanted: Uint8Array | undefined): Promise<ScsiResult> {
    const { logicalBytes } = this.facts;
    const total = blocks * logicalBytes;
    const piece = new Uint8Array(Math.min(total, PIECE_BYTES));
    for (let done = 0; done < total; done += piece.length) {
      const part = piece.subarray(0, Math.min(piece.length, total - done));
      const failure = await this.backend.read(lba * logicalBytes + done, part);
      if (failure) return checkCondition(hostSense(failure, lba), failure.message);
      if (wanted && !part.every((byte, n) => byte === wanted[done + n])) return checkCondition(SENSE.miscompare);
    }
    return good;
  }

  /** Writes `block`, or zeroes without one. `unmap` applies to zeroes; other content has to be there. */
  private async writeSame(lba: number, blocks: number, block: Uint8Array, unmap: boolean): Promise<BlockOutcome> {
    const { logicalBytes } = this.facts;
    const [offset, total] = [lba * logicalBytes, blocks * logicalBytes];
    if (block.every((byte) => byte === 0)) return this.backend.writeZeroes(offset, total, unmap);
    const piece = new Uint8Array(Math.min(total, PIECE_BYTES));
    for (let at = 0; at < piece.length; at += logicalBytes) piece.set(block, at);
    for (let done = 0; done < total; done += piece.length) {
      const part = piece.subarray(0, Math.min(piece.length, total - done));
      const failure = await this.backend.write(offset + done, part);
      if (failure) return failure;
    }
    return undefined;
  }

  /** The list of UNMAP (SBC-3 5.25.2): a header of 8 bytes, then 16 for each range. All ranges are checked first. */
  private unmap(list: Uint8Array): ScsiResult | Promise<ScsiResult> {
    if (list.length === 0) return good;
    if (list.length < 8) return checkCondition(SENSE.parameterListLength);
    const { sizeBytes, logicalBytes } = this.facts;
    const view = new DataView(list.buffer, list.byteOffset, list.byteLength);
    // What is announced beyond the end of the list is not there; a last descriptor that is not whole is ignored.
    const count = Math.floor(Math.min(view.getUint16(2), list.length - 8) / 16);
    if (count > MAX_UNMAP_RANGES) return checkCondition(SENSE.invalidParameter);
    const ranges: { offset: number; lenBytes: number }[] = [];
    let total = 0;
    for (let at = 8; at < 8 + 16 * count; at += 16) {
      const lba = view.getUint32(at) * 2 ** 32 + view.getUint32(at + 4);
      const blocks = view.getUint32(at + 8);
      if (lba + blocks > sizeBytes / logicalBytes) return checkCondition(SENSE.outOfRange);
      total += blocks * logicalBytes;
      if (blocks > 0) ranges.push({ offset: lba * logicalBytes, lenBytes: blocks * logicalBytes });
    }
    if (total > MAX_RANGE_BYTES) return checkCondition(SENSE.invalidParameter);
    return this.discardAll(ranges);
  }

  private async discardAll(ranges: readonly { offset: number; lenBytes: number }[]): Promise<ScsiResult> {
    const { logicalBytes } = this.facts;
    for (const { offset, lenBytes } of ranges) {
      const failure = await this.backend.discard(offset, lenBytes);
      if (failure) return checkCondition(hostSense(failure, offset / logicalBytes), failure.message);
    }
    return good;
  }
}

/** What a target answers for a number where it has no unit (SPC-4 6.4.2, 6.33). */
export function answerWithoutUnit(cdb: Uint8Array, listsUnits: boolean, siblings: readonly number[]): ScsiResult {
  const command = parseCommand(cdb);
  if (!isSense(command)) {
    if (command.kind === 'inquiry' && command.page === undefined) {
      return answer(inquiryData('', false), command.allocation);
    }
    if (command.kind === 'report-units' && listsUnits) return reportUnits(command, siblings);
    if (command.kind === 'request-sense') {
      return answer(senseBytes(SENSE.unitNotSupported, command.descriptors), command.allocation);
    }
  }
  return checkCondition(SENSE.unitNotSupported);
}

/** REPORT LUNS: 0 and 2 list the units, 1 the well-known ones, of which none is listed. */
function reportUnits(command: Extract<Command, { kind: 'report-units' }>, numbers: readonly number[]): ScsiResult {
  if (command.select > 2) return checkCondition(SENSE.invalidCdb);
  const listed = command.select === 1 ? [] : numbers;
  const bytes = new Uint8Array(8 + 8 * listed.length);
  new DataView(bytes.buffer).setUint32(0, 8 * listed.length);
  listed.forEach((number, n) => {
    bytes.set(encodeUnitNumber(number), 8 + 8 * n);
  });
  return answer(bytes, command.allocation);
}

function answer(data: Uint8Array, allocation: number): ScsiResult {
  return { status: STATUS_GOOD, data: data.subarray(0, allocation) };
}

function answerOr(data: Uint8Array | Sense, allocation: number): ScsiResult {
  return data instanceof Uint8Array ? answer(data, allocation) : checkCondition(data);
}
