// Disk and network rows of the benchmark: the same kernel, initial RAM disk and disk image on both machines, and the
// same servers on the loopback address. Times are those at which lines of the guest arrive here.

import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  closeSync,
  copyFileSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { writeCpio } from '../src/backends/node/cpio.ts';

const MIB = 2 ** 20;
const DISK_BYTES = 512 * MIB;
const RANDOM_ACCESSES = 10_000;
const NET_BYTES = 32 * MIB;
const PATIENCE_MS = 300_000;
const command = fileURLToPath(new URL('../bin/powervisor', import.meta.url));

/** What one row gives for one machine: milliseconds, and what must be the same on the other. */
export type RecordRow = (name: string, sample: { readonly ms: number; readonly result: string }) => void;

interface Files {
  readonly kernel: string;
  readonly initrd: string;
  readonly disk: string;
}

/** Runs all rows on one machine, `repeat` times in one boot. */
export async function deviceRows(
  peer: { readonly name: string; readonly node?: string },
  guest: { readonly kernel: string; readonly initrd: string },
  chosen: ReadonlySet<string>,
  repeat: number,
  record: RecordRow,
): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'powervisor-bench-'));
  const servers = await openServers();
  try {
    const session = new Session(start(peer, prepare(folder, guest)));
    try {
      await session.prompt();
      const list = rows(servers).filter(({ name }) => chosen.has(name));
      for (let run = 0; run < repeat; run++) {
        for (const { name, line } of list) {
          const { ms, output } = await session.command(line);
          record(name, { ms, result: output });
        }
      }
    } finally {
      session.kill();
    }
  } finally {
    servers.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Names of the rows. */
export const deviceRowNames: readonly string[] = rows({ downPort: 0, upPort: 0 }).map(({ name }) => name);

/** Each prints the same on both machines. */
function rows(servers: Pick<Servers, 'downPort' | 'upPort'>): { name: string; line: string }[] {
  const mebibytes = DISK_BYTES / MIB;
  const io = '/bin/random-io';
  const up = `dd if=/dev/zero bs=64k count=${NET_BYTES / 65536} 2>/dev/null | nc 10.0.2.2 ${servers.upPort}`;
  return [
    {
      name: `disk: read ${mebibytes} MiB in order`,
      line: `dd if=/dev/vda of=/dev/null bs=1M iflag=direct 2>&1 | head -2`,
    },
    {
      name: `disk: write ${mebibytes} MiB in order`,
      line: `dd if=/dev/zero of=/dev/vda bs=1M count=${mebibytes} oflag=direct conv=fsync 2>&1 | head -2`,
    },
    { name: `disk: ${RANDOM_ACCESSES} random writes of 4 KiB`, line: `${io} write /dev/vda ${RANDOM_ACCESSES}` },
    { name: `disk: ${RANDOM_ACCESSES} random reads of 4 KiB`, line: `${io} read /dev/vda ${RANDOM_ACCESSES}` },
    {
      name: 'disk: files on ext4',
      line: [
        'mke2fs -q /dev/vda 200000; mkdir -p /m; mount -t ext4 /dev/vda /m',
        'i=0; while [ $i -lt 80 ]; do i=$((i + 1)); mkdir /m/$i; cp /bin/busybox /m/$i/a; ln /m/$i/a /m/$i/b; echo $i > /m/$i/c; done',
        'sync; echo 3 > /proc/sys/vm/drop_caches; cat /m/*/c /m/1/a /m/80/b | md5sum; rm -r /m/1* && umount /m; echo $?',
      ].join('; '),
    },
    {
      name: `net: ${NET_BYTES / MIB} MiB from the host`,
      line: `nc 10.0.2.2 ${servers.downPort} < /dev/null | wc -c`,
    },
    { name: `net: ${NET_BYTES / MIB} MiB to the host`, line: up },
  ];
}

/** A disk of its own, and the initial RAM disk with the program of the random rows behind it. */
function prepare(folder: string, { kernel, initrd }: { kernel: string; initrd: string }): Files {
  const program = join(folder, 'random-io');
  const source = fileURLToPath(new URL('guest/random-io.c', import.meta.url));
  execFileSync('powerpc64le-linux-gnu-gcc', ['-static', '-O2', '-o', program, source]);
  const more = writeCpio([{ kind: 'file', path: 'bin/random-io', mode: 0o755, data: readFileSync(program) }]);
  const whole = join(folder, 'initrd');
  copyFileSync(initrd, whole);
  const bytes = readFileSync(whole);
  writeFileSync(whole, Buffer.concat([bytes, Buffer.alloc((512 - (bytes.length % 512)) % 512), more]));
  const disk = join(folder, 'disk');
  writeRandom(disk, DISK_BYTES);
  return { kernel, initrd: whole, disk };
}

/** Writes a file of random bytes, so that nothing along the way can save work on zeroes. */
function writeRandom(path: string, lenBytes: number): void {
  const part = randomBytes(MIB);
  const file = openSync(path, 'w');
  for (let at = 0; at < lenBytes; at += MIB) writeSync(file, part);
  closeSync(file);
}

function start(peer: { readonly name: string; readonly node?: string }, { kernel, initrd, disk }: Files): ChildProcess {
  const stdio: ['pipe', 'pipe', 'inherit'] = ['pipe', 'pipe', 'inherit'];
  const common = ['--kernel', kernel, '--initrd', initrd, '--append', 'console=hvc0 quiet', '--memory', '1G'];
  if (peer.name !== 'qemu') {
    const devices = ['--drive', `file=${disk}`, '--net', 'user'];
    return spawn(peer.node ?? process.execPath, [command, 'run', ...common, '--clock', 'host', ...devices], { stdio });
  }
  return spawn(
    'qemu-system-ppc64',
    [
      ...['-M', 'pseries,x-vof=on', '-cpu', 'power9', '-m', '1G', '-nodefaults', '-nographic', '-serial', 'stdio'],
      ...['-kernel', kernel, '-initrd', initrd, '-append', 'console=hvc0 quiet'],
      ...['-drive', `file=${disk},format=raw,if=none,id=d`, '-device', 'virtio-blk-pci,drive=d'],
      ...['-netdev', 'user,id=n', '-device', 'virtio-net-pci,netdev=n'],
    ],
    { stdio: ['pipe', 'pipe', 'ignore'] },
  );
}

/** Somebody at the console of a machine. */
class Session {
  private readonly machine: ChildProcess;
  private text = '';
  private look: (() => void) | undefined;
  private over = false;

  constructor(machine: ChildProcess) {
    this.machine = machine;
    machine.stdout?.on('data', (bytes: Buffer) => {
      this.text += bytes.toString('latin1');
      this.look?.();
    });
    machine.once('close', () => {
      this.over = true;
      this.look?.();
    });
  }

  async prompt(): Promise<void> {
    await this.expect(/~ # /);
    await this.command('stty -echo; ip addr add 10.0.2.15/24 dev eth0; ip link set eth0 up; sleep 2');
  }

  /** Runs a line of shell; milliseconds between its two marks, and what it printed between them. */
  async command(line: string): Promise<{ ms: number; output: string }> {
    this.machine.stdin?.write(`echo "BE""GIN"; ${line}; echo "DO""NE"\n`);
    await this.expect(/BEGIN\r?\n/);
    const begun = performance.now();
    const output = await this.expect(/DONE\r?\n/);
    const ms = performance.now() - begun;
    return {
      ms,
      output: output
        .replace(/DONE\r?\n$/, '')
        .replaceAll('\r', '')
        .trim(),
    };
  }

  kill(): void {
    this.machine.kill('SIGKILL');
  }

  private async expect(wanted: RegExp): Promise<string> {
    const deadline = performance.now() + PATIENCE_MS;
    for (;;) {
      const match = wanted.exec(this.text);
      if (match) {
        const end = match.index + match[0].length;
        const found = this.text.slice(0, end);
        this.text = this.text.slice(end);
        return found;
      }
      if (this.over || performance.now() > deadline) {
        throw new Error(`no ${wanted} on the console; last output:\n${this.text.slice(-500)}`);
      }
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, 1000);
        this.look = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }
}

interface Servers {
  readonly downPort: number;
  readonly upPort: number;
  close(): void;
}

/** One that sends NET_BYTES to whoever connects, and one that counts what it is sent and answers with that. */
async function openServers(): Promise<Servers> {
  const data = Buffer.alloc(NET_BYTES, randomBytes(MIB));
  const down = createServer((socket) => {
    socket.on('error', () => {});
    socket.end(data);
  });
  const up = createServer({ allowHalfOpen: true }, (socket) => {
    let bytes = 0;
    socket.on('error', () => {});
    socket.on('data', (part) => {
      bytes += part.length;
      if (bytes === NET_BYTES) socket.end(`${bytes}\n`);
    });
  });
  return {
    downPort: await listen(down),
    upPort: await listen(up),
    close() {
      down.close();
      up.close();
    },
  };
}

function listen(server: Server): Promise<number> {
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => {
      server.unref();
      resolve((server.address() as AddressInfo).port);
    });
  });
}
