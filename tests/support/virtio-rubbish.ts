// Virtqueues of generated rubbish: mostly nearly right, so that every check is reached, and wrong in every way.

import type { QueueLayout } from '../../src/virtio/core/queue.ts';
import type { QueueFormat } from './virtio-driver.ts';

/** Memory that rubbish for queue 0 needs: its areas lie in the first 16 KiB, the buffers behind. */
export const RUBBISH_BYTES = 0x10000;
export const RUBBISH_BUFFERS = 0x8000;
const QUEUE_BYTES = 0x1000;

/** Lengths of a header, of data, and of what the device writes last, as of a block device. */
const BLOCK_PIECES: readonly number[] = [16, 512, 1];

/**
 * Fills a queue's areas, and tables for its indirect descriptors. Up to 7 queues fit in front of the buffers, which lie at
 * RUBBISH_BUFFERS and are the caller's to fill.
 */
export function makeRubbish(
  word: () => number,
  data: DataView,
  format: QueueFormat,
  { index = 0, size, pieces = BLOCK_PIECES }: { index?: number; size: number; pieces?: readonly number[] },
): QueueLayout {
  const base = QUEUE_BYTES * (index + 1);
  const [ring, driver, device, table] = [base, base + 0x400, base + 0x600, base + 0x900];
  // A device whose requests have more to them than a block device's gets more that are whole.
  const whole = pieces !== BLOCK_PIECES;
  const rarely = () => word() % 16 === 0;
  const address = () => {
    const choice = word() % 32;
    if (choice === 0) return [word(), word()];
    if (choice === 1) return [0, 0xffff_0000 + (word() % 65536)];
    return [0, RUBBISH_BUFFERS + 16 * (word() % 0x700)];
  };
  const descriptor = (at: number, next: number, kind: 'ring' | 'table', place: number) => {
    const flagsAt = format === 'packed' ? at + 14 : at + 12;
    const otherAt = format === 'packed' ? at + 12 : at + 14;
    const indirect = word() % (kind === 'ring' ? 6 : 40) === 0;
    const [high, low] = indirect ? [0, table + 16 * (word() % 64)] : address();
    data.setUint32(at, low, true);
    data.setUint32(at + 4, high, true);
    // Often a piece of what a device expects: header, data, status.
    const role = word() % (whole ? 12 : 3) === 0 ? -1 : place % 3;
    const expected = role === 1 && word() % 4 === 0 ? 16 : pieces[role];
    const likely = role < 0 ? [1, 4, 8, 16, 16, 20, 512, 512][word() % 8] : expected;
    const lenBytes = indirect ? 16 * (1 + (word() % 6)) + (rarely() ? 3 : 0) : likely;
    data.setUint32(at + 8, rarely() ? word() : lenBytes, true);
    let flags = indirect ? 4 : word() & 1;
    if (role === 0 && !indirect) flags = 1;
    else if (role === 2 && !indirect) flags = 2;
    else if (word() % 3 === 0) flags |= 2;
    if (rarely()) flags |= word() & 7;
    if (format === 'packed' && kind === 'ring') flags |= rarely() ? word() & 0x8080 : 0x80;
    data.setUint16(flagsAt, flags, true);
    data.setUint16(otherAt, rarely() ? word() : (place + (role < 0 ? word() % 3 : 1)) % next, true);
  };
  for (let n = 0; n < size; n++) descriptor(ring + 16 * n, size, 'ring', n);
  for (let n = 0; n < 70; n += 1 + (word() % 4)) descriptor(table + 16 * n, 6, 'table', n % 6);
  data.setUint16(driver, word() & 3, true);
  data.setUint16(driver + 2, rarely() ? word() : word() % (size + 1), true);
  for (let n = 0; n <= size; n++) {
    const head = word() % size;
    const start = whole && word() % 4 !== 0 ? head - (head % 3) : head;
    data.setUint16(driver + 4 + 2 * n, rarely() ? word() : start, true);
  }
  data.setUint32(device, word() & 3, true);
  return { index, size, descriptorArea: ring, driverArea: driver, deviceArea: device };
}
