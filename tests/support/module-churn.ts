// A Debian guest that loads modules, works with their code and unloads them, over and over: what the machine holds on to
// shows after enough rounds. Used by a test with few rounds and by `npm run bench -- --only memory` with many.

import { readFile } from 'node:fs/promises';
import { MemoryBlock } from '../../src/backends/memory/block.ts';
import type { CpuCore } from '../../src/cpu/interpreter/core.ts';
import {
  DECODED_BASE,
  DECODED_END,
  DECODED_PAGE_STRIDE,
  DECODED_SLOT_BYTES,
  decodedPageInfo,
  RAM_BASE,
} from '../../src/cpu/state/memory-map.ts';
import { Machine, type MachineConfiguration } from '../../src/index.ts';
import { virtioBlock } from '../../src/vmm/virtio-devices.ts';
import { GuestSession } from './guest-session.ts';

const DISK_BYTES = 16 * 2 ** 20;
const CYCLE_PATIENCE_MS = 600_000;
/** Debian's kernels and what they are loaded with end below; modules and programs lie above. */
const KERNEL_IMAGE_BYTES = 48 * 2 ** 20;

/** State after so many rounds. Bytes are of the host. */
export interface ChurnSample {
  readonly cycle: number;
  readonly seconds: number;
  readonly residentBytes: number;
  readonly heapBytes: number;
  readonly externalBytes: number;
  readonly regions: number;
  readonly liveRegions: number;
  readonly codeBytes: number;
  readonly dropped: number;
  readonly flushes: number;
  readonly decodedPageResets: number;
  /** Entries of the table of functions: handlers and numbers ever given to regions. */
  readonly tableLength: number;
  /** Of that, handlers. */
  readonly handlers: number;
  /** Regions that a slot of a decoded page leads to, and those of them that lie outside of the kernel's image. */
  readonly reachable: number;
  readonly reachableElsewhere: number;
  readonly instructions: number;
}

export interface ChurnOptions {
  /** Arrivals that make code hot, where another number than the machine's own is wanted. */
  readonly threshold?: number;
  /** A sample is taken every so many rounds; default 1. */
  readonly every?: number;
  /** Returns false to stop. */
  readonly onSample: (sample: ChurnSample) => boolean;
}

/** One round in the guest: ext4 and vfat with what they need, file systems mounted, written and read, and all unloaded. */
const round = [
  'modprobe -a ext4 vfat sg 9p',
  'mount -t ext4 /dev/vda /mnt && for i in 1 2 3 4 5 6; do cp /bin/busybox /mnt/f$i; done && sync && cat /mnt/f* | md5sum',
  'rm /mnt/f*; umount /mnt',
  'modprobe -r ext4; modprobe -r vfat; modprobe -r sg; modprobe -r 9p',
].join('; ');

/** Rounds until `onSample` has enough. Throws if a round does not do what it should. */
export async function churnModules(
  files: { readonly kernel: string; readonly initrd: string },
  { threshold, every = 1, onSample }: ChurnOptions,
): Promise<void> {
  const disk = new MemoryBlock({ sizeBytes: DISK_BYTES, limitBytes: DISK_BYTES });
  const configuration: MachineConfiguration = {
    kernel: await readFile(files.kernel),
    initrd: await readFile(files.initrd),
    append: 'console=hvc0 quiet',
    memoryBytes: 2 ** 29,
    devices: [{ make: virtioBlock(disk) }],
  };
  const machine = await Machine.create(configuration);
  // What is kept is inside of the machine. Before it has run, its table of functions holds handlers alone.
  const { core } = machine as unknown as { core: CpuCore };
  const { exports } = core as unknown as { exports: { table: WebAssembly.Table } };
  const handlers = exports.table.length;
  if (threshold !== undefined) core.setShared('hotThreshold', BigInt(threshold));
  await using guest = GuestSession.of(machine);
  await guest.expect('~ # ', CYCLE_PATIENCE_MS);
  const loaded = 'grep -cE "^(ext4|jbd2|mbcache|crc16|vfat|fat|sg|9p) " /proc/modules';
  const made = await guest.command(
    'mke2fs -q /dev/vda; modprobe -r ext4; modprobe -r vfat; modprobe -r sg; modprobe -r 9p',
  );
  if (/rror|FATAL|can't/.test(made)) throw new Error(`the guest is not ready for rounds: ${made}`);
  const begun = performance.now();
  let sum: string | undefined;
  for (let cycle = 1; ; cycle++) {
    const output = await guest.command(`${round}; ${loaded}`);
    sum ??= output;
    if (output !== sum || !/^[0-9a-f]{32} {2}-\s+0$/.test(output)) throw new Error(`round ${cycle} printed: ${output}`);
    guest.forget();
    if (cycle % every !== 0) continue;
    if (!onSample(sample(guest.machine, core, handlers, cycle, (performance.now() - begun) / 1000))) break;
  }
}

/** Numbers of the functions of regions that code can come to, as the decoded pages have them. */
function reachable(view: DataView, handlers: number): { reachable: number; reachableElsewhere: number } {
  const all = new Set<number>();
  const elsewhere = new Set<number>();
  for (let page = DECODED_BASE; page < RAM_BASE; page += DECODED_PAGE_STRIDE) {
    if (view.getUint32(page + decodedPageInfo.regions, true) === 0) continue;
    const gra = view.getUint32(page + decodedPageInfo.source, true) - RAM_BASE;
    for (let slot = page; slot < page + DECODED_END; slot += DECODED_SLOT_BYTES) {
      const number = view.getUint32(slot, true);
      if (number < handlers) continue;
      all.add(number);
      if (gra >= KERNEL_IMAGE_BYTES) elsewhere.add(number);
    }
  }
  return { reachable: all.size, reachableElsewhere: elsewhere.size };
}

function sample(machine: Machine, core: CpuCore, handlers: number, cycle: number, seconds: number): ChurnSample {
  const { exports, view } = core as unknown as { exports: { table: WebAssembly.Table }; view: DataView };
  // Where Node was started with --expose-gc, what is only waiting to be collected does not count.
  globalThis.gc?.();
  const { rss, heapUsed, external } = process.memoryUsage();
  const { compiler, translations, instructions } = machine.report();
  return {
    cycle,
    seconds: Math.round(seconds),
    residentBytes: rss,
    heapBytes: heapUsed,
    externalBytes: external,
    regions: compiler?.regions ?? 0,
    liveRegions: compiler?.liveRegions ?? 0,
    codeBytes: compiler?.bytes ?? 0,
    dropped: compiler?.dropped ?? 0,
    flushes: compiler?.flushes ?? 0,
    decodedPageResets: translations.decodedPageResets,
    tableLength: exports.table.length,
    handlers,
    ...reachable(view, handlers),
    instructions,
  };
}
