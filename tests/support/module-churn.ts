// A Debian guest that loads modules, works with their code and unloads them, over and over: what the machine holds on to
// shows after enough rounds. Used by a test with few rounds and by `npm run bench -- --only memory` with many.

import { readFile } from 'node:fs/promises';
import { MemoryBlock } from '../../src/backends/memory/block.ts';
import type { CpuCore } from '../../src/cpu/interpreter/core.ts';
import type { Machine, MachineConfiguration } from '../../src/index.ts';
import { virtioBlock } from '../../src/vmm/virtio-devices.ts';
import { GuestSession } from './guest-session.ts';

const DISK_BYTES = 16 * 2 ** 20;
const CYCLE_PATIENCE_MS = 600_000;

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
  /** Instruction words whose handler is remembered. */
  readonly knownWords: number;
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
  await using guest = await GuestSession.start(configuration);
  // What is kept by number and by word is inside of the machine.
  const { core } = guest.machine as unknown as { core: CpuCore };
  if (threshold !== undefined) core.setShared('hotThreshold', BigInt(threshold));
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
    if (!onSample(sample(guest.machine, core, cycle, (performance.now() - begun) / 1000))) break;
  }
}

function sample(machine: Machine, core: CpuCore, cycle: number, seconds: number): ChurnSample {
  const { exports, handlers } = core as unknown as {
    exports: { table: WebAssembly.Table };
    handlers: Map<number, number>;
  };
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
    knownWords: handlers.size,
    instructions,
  };
}
