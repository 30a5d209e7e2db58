// What security costs: how long the transition takes, by size of memory, and how fast a disk and a network card are when
// every byte goes through bounce buffers. Powervisor alone: QEMU has no ultravisor to compare with.

import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { MemoryBlock } from '../src/backends/memory/block.ts';
import { UserNetwork } from '../src/backends/net/user-network.ts';
import { nodeSockets } from '../src/backends/node/net/node-sockets.ts';
import { Machine, type MachineConfiguration } from '../src/index.ts';
import { virtioBlock, virtioNet } from '../src/vmm/virtio-devices.ts';
import { GuestSession } from '../tests/support/guest-session.ts';

export interface SecureRow {
  readonly name: string;
  /** Of a normal VM, where there is something to compare. */
  readonly normalMs?: number;
  readonly secureMs: number;
}

const DISK_BYTES = 16 * 2 ** 20;
const DOWNLOAD_BYTES = 8 * 2 ** 20;
const REPETITIONS = 3;

const median = (list: readonly number[]) => [...list].sort((a, b) => a - b)[list.length >> 1];

/** Host milliseconds from the guest's UV_ESM until it goes on, secure. */
async function transitionMs(kernel: Uint8Array, gibibytes: number): Promise<number> {
  const append = 'plain only=secure';
  await using machine = await Machine.create({ kernel, append, memoryBytes: gibibytes * 2 ** 30 });
  machine.closeInput();
  // The call is served between two instructions; its door is inside of the machine.
  const { secure } = machine as unknown as { secure: { guestUcall(vcpu: unknown): unknown } };
  const serve = secure.guestUcall.bind(secure);
  let longest = 0;
  secure.guestUcall = (vcpu) => {
    const started = performance.now();
    const answer = serve(vcpu);
    longest = Math.max(longest, performance.now() - started);
    return answer;
  };
  await machine.run({ timeoutMs: 60_000 });
  if (machine.report().svm?.state !== 'secure') throw new Error('the pocket guest did not turn secure');
  return longest;
}

/** Medians of what a Linux guest takes for each command. */
async function timed(
  configuration: MachineConfiguration,
  commands: ReadonlyMap<string, string>,
): Promise<Map<string, number>> {
  await using guest = await GuestSession.start(configuration);
  await guest.expect('# ');
  await guest.command('ip link set lo up; ip link set eth0 up; ip addr add 10.0.2.15/24 dev eth0');
  const results = new Map<string, number>();
  for (const [name, command] of commands) {
    const samples: number[] = [];
    for (let n = 0; n < REPETITIONS; n++) {
      const started = performance.now();
      const output = await guest.command(`${command} && echo fine`);
      samples.push(performance.now() - started);
      if (!output.endsWith('fine')) throw new Error(`${name}: ${output}`);
    }
    results.set(name, median(samples));
  }
  const { count } = guest.machine.report().violations;
  if (count > 0) throw new Error(`${count} accesses to secure memory`);
  return results;
}

/** `files`: kernel and initrd of a guest that can turn secure. */
export async function secureRows(pocket: string, files: { kernel: string; initrd: string }): Promise<SecureRow[]> {
  const rows: SecureRow[] = [];
  const kernel = readFileSync(pocket);
  for (const gibibytes of [1, 2, 3]) {
    const samples: number[] = [];
    for (let n = 0; n < REPETITIONS; n++) samples.push(await transitionMs(kernel, gibibytes));
    rows.push({ name: `transition of ${gibibytes} GiB`, secureMs: median(samples) });
  }

  const body = new Uint8Array(DOWNLOAD_BYTES).map((_, n) => n * 31);
  const web = createServer((_, response) => response.end(body));
  await new Promise<void>((resolve) => web.listen(0, '127.0.0.1', () => resolve()));
  const { port } = web.address() as AddressInfo;
  const commands = new Map([
    ['virtio-blk read 16 MiB, 64K direct', 'dd if=/dev/vda of=/dev/null bs=64k iflag=direct 2>/dev/null'],
    ['virtio-blk write 16 MiB, 64K direct', 'dd if=/dev/zero of=/dev/vda bs=64k count=256 oflag=direct 2>/dev/null'],
    ['virtio-blk read 2 MiB, 4K direct', 'dd if=/dev/vda of=/dev/null bs=4k count=512 iflag=direct 2>/dev/null'],
    ['virtio-net download 8 MiB', `wget -q -O /dev/null http://10.0.2.2:${port}/`],
  ]);
  const configuration = (append: string): MachineConfiguration => ({
    kernel: readFileSync(files.kernel),
    initrd: readFileSync(files.initrd),
    append,
    memoryBytes: 512 * 2 ** 20,
    clock: 'host',
    devices: [
      { make: virtioBlock(new MemoryBlock({ sizeBytes: DISK_BYTES, limitBytes: DISK_BYTES })) },
      {
        make: virtioNet((ports) => new UserNetwork({ ...ports, sockets: nodeSockets, warn: () => {} }), {
          mac: Uint8Array.of(0x52, 0x54, 0, 0x12, 0x34, 0x56),
        }),
      },
    ],
  });
  try {
    const normal = await timed(configuration('console=hvc0 quiet'), commands);
    const secure = await timed(configuration('console=hvc0 quiet svm=on swiotlb=force'), commands);
    for (const name of commands.keys()) {
      rows.push({ name, normalMs: normal.get(name)!, secureMs: secure.get(name)! });
    }
  } finally {
    web.close();
    web.closeAllConnections();
  }
  return rows;
}

/** A table as text. */
export function secureTable(rows: readonly SecureRow[]): string[] {
  const number = (value: number | undefined, digits: number) => (value === undefined ? '-' : value.toFixed(digits));
  return [
    `${'secure mode'.padEnd(40)}${'normal ms'.padStart(10)}${'secure ms'.padStart(10)}${'ratio'.padStart(8)}`,
    ...rows.map(({ name, normalMs, secureMs }) => {
      const ratio = normalMs === undefined ? undefined : normalMs / secureMs;
      return `${name.padEnd(40)}${number(normalMs, 1).padStart(10)}${number(secureMs, 1).padStart(10)}${number(ratio, 2).padStart(8)}`;
    }),
  ];
}
