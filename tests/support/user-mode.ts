// A small Linux for one static ppc64le program in problem state: enough of the system call interface for the C library to
// start, write, allocate and exit (Power Architecture 64-Bit ELF V2 ABI 4; Linux system call numbers of powerpc). One thread,
// no files but the standard three, no signals: a program that takes an interrupt has failed.

import type { UserModeCpu } from './cpu-under-test.ts';

export interface ProgramResult {
  readonly exitStatus: number;
  readonly stdout: Uint8Array;
  readonly stderr: Uint8Array;
  /** How often each system call was made, by number. */
  readonly systemCalls: ReadonlyMap<number, number>;
}

export interface ProgramOptions {
  readonly args: readonly string[];
  readonly environment?: readonly string[];
  /** Offer `scv` in AT_HWCAP2, which the C library then uses for its system calls. */
  readonly scv?: boolean;
}

const pageBytes = 0x10000;
const pageUp = (address: number) => Math.ceil(address / pageBytes) * pageBytes;

const errno = { EBADF: 9, ENOMEM: 12, EFAULT: 14, EINVAL: 22, ENOTTY: 25, ENOSYS: 38, ENOENT: 2 } as const;

/** The features of a POWER9 as Linux tells them, less transactional memory. */
const hwcap = 0xdc00_7de2n;
const hwcap2 = 0xaee0_0000n;
const hwcap2Scv = 0x0010_0000n;

const aux = {
  phdr: 3, phent: 4, phnum: 5, pagesz: 6, entry: 9, uid: 11, euid: 12, gid: 13, egid: 14, platform: 15, hwcap: 16, clktck: 17,
  dcacheBlock: 19, icacheBlock: 20, secure: 23, random: 25, hwcap2: 26,
} as const; // biome-ignore format: one list

class Program {
  private readonly cpu: UserModeCpu;
  private readonly output: [number[], number[]] = [[], []];
  private readonly calls = new Map<number, number>();
  private breakEnd = 0;
  private breakLimit = 0;
  private mapNext = 0;
  private clockNs = 1_000_000_000n;
  private randomState = 0x9e3779b9;
  private exitStatus: number | undefined;

  constructor(cpu: UserModeCpu) {
    this.cpu = cpu;
  }

  private get view(): DataView {
    const { memory } = this.cpu;
    return new DataView(memory.buffer, memory.byteOffset, memory.byteLength);
  }

  private cString(at: number): string {
    const { memory } = this.cpu;
    const end = memory.indexOf(0, at);
    return new TextDecoder().decode(memory.subarray(at, end));
  }

  /** Places the image and the stack as the kernel would; a file that is not a static ppc64le executable is refused. */
  load(image: Uint8Array, options: ProgramOptions): void {
    const { cpu } = this;
    const file = new DataView(image.buffer, image.byteOffset, image.byteLength);
    const machine = file.getUint16(18, true);
    if (
      file.getUint32(0) !== 0x7f45_4c46 ||
      image[4] !== 2 ||
      image[5] !== 1 ||
      machine !== 21 ||
      file.getUint16(16, true) !== 2
    )
      throw new Error('not a static ppc64le ELF executable');
    const entry = file.getBigUint64(24, true);
    const headersAt = Number(file.getBigUint64(32, true));
    const headers = file.getUint16(56, true);
    let end = 0;
    let headersEa = 0;
    for (let i = 0; i < headers; i++) {
      const at = headersAt + 56 * i;
      if (file.getUint32(at, true) !== 1) continue;
      const offset = Number(file.getBigUint64(at + 8, true));
      const address = Number(file.getBigUint64(at + 16, true));
      const fileBytes = Number(file.getBigUint64(at + 32, true));
      const memoryBytes = Number(file.getBigUint64(at + 40, true));
      if (address + memoryBytes > cpu.memory.length)
        throw new Error(`the program reaches to 0x${(address + memoryBytes).toString(16)}`);
      cpu.memory.set(image.subarray(offset, offset + fileBytes), address);
      end = Math.max(end, address + memoryBytes);
      if (headersAt >= offset && headersAt < offset + fileBytes) headersEa = address + headersAt - offset;
    }
    const top = cpu.memory.length - pageBytes;
    this.breakEnd = pageUp(end);
    this.mapNext = Math.floor((this.breakEnd + top) / 2 / pageBytes) * pageBytes;
    this.breakLimit = this.mapNext;
    this.stack(top, options, { entry, headersEa, headers });
    cpu.gpr.fill(0n, 2);
    cpu.gpr[12] = entry;
    cpu.nia = entry;
  }

  private stack(
    top: number,
    options: ProgramOptions,
    image: { entry: bigint; headersEa: number; headers: number },
  ): void {
    const { cpu, view } = this;
    let at = top;
    const put = (bytes: Uint8Array) => {
      at -= bytes.length;
      cpu.memory.set(bytes, at);
      return BigInt(at);
    };
    const text = (value: string) => put(new TextEncoder().encode(`${value}\0`));
    const args = options.args.map(text);
    const environment = (options.environment ?? []).map(text);
    const platform = text('power9');
    const random = put(Uint8Array.from({ length: 16 }, (_, i) => (i * 73 + 41) & 255));
    const auxiliary: [number, bigint][] = [
      [aux.dcacheBlock, 128n],
      [aux.icacheBlock, 128n],
      [aux.phdr, BigInt(image.headersEa)],
      [aux.phent, 56n],
      [aux.phnum, BigInt(image.headers)],
      [aux.pagesz, BigInt(pageBytes)],
      [aux.entry, image.entry],
      [aux.uid, 1000n],
      [aux.euid, 1000n],
      [aux.gid, 1000n],
      [aux.egid, 1000n],
      [aux.platform, platform],
      [aux.hwcap, hwcap],
      [aux.hwcap2, options.scv ? hwcap2 | hwcap2Scv : hwcap2],
      [aux.clktck, 100n],
      [aux.secure, 0n],
      [aux.random, random],
      [0, 0n],
    ];
    const words = [
      BigInt(args.length),
      ...args,
      0n,
      ...environment,
      0n,
      ...auxiliary.flatMap(([tag, value]) => [BigInt(tag), value]),
    ];
    at = (at - 8 * words.length) & ~15;
    for (const [i, word] of words.entries()) view.setBigUint64(at + 8 * i, word, true);
    cpu.gpr[1] = BigInt(at);
  }

  private write(fd: number, at: number, length: number): number {
    if (fd !== 1 && fd !== 2) return -errno.EBADF;
    if (at + length > this.cpu.memory.length) return -errno.EFAULT;
    const bytes = this.cpu.memory.subarray(at, at + length);
    for (const byte of bytes) this.output[fd - 1].push(byte);
    return length;
  }

  private map(address: number, length: number, flags: number): number {
    const fixed = (flags & 0x10) !== 0;
    // Anonymous memory only.
    if ((flags & 0x20) === 0) return -errno.EBADF;
    const bytes = pageUp(length);
    const at = fixed ? address : this.mapNext;
    if (at + bytes > this.cpu.memory.length - 16 * pageBytes) return -errno.ENOMEM;
    if (!fixed) this.mapNext += bytes;
    this.cpu.memory.fill(0, at, at + bytes);
    return at;
  }

  private remap(old: number, oldLength: number, length: number, flags: number): number {
    if (length <= oldLength) return old;
    if ((flags & 1) === 0) return -errno.ENOMEM;
    const at = this.map(0, length, 0x22);
    if (at > 0) this.cpu.memory.copyWithin(at, old, old + oldLength);
    return at;
  }

  /** The result of system call `number`: a value, or a negative error. */
  private call(number: number, args: readonly number[]): number {
    const { view, cpu } = this;
    const [a, b, c, d] = args;
    switch (number) {
      case 1: // exit
      case 234: // exit_group
        this.exitStatus = a & 255;
        return 0;
      case 3: // read: standard input is empty
        return a === 0 ? 0 : -errno.EBADF;
      case 4: // write
        return this.write(a, b, c);
      case 146: {
        // writev
        let total = 0;
        for (let i = 0; i < c; i++) {
          const done = this.write(
            a,
            Number(view.getBigUint64(b + 16 * i, true)),
            Number(view.getBigUint64(b + 16 * i + 8, true)),
          );
          if (done < 0) return done;
          total += done;
        }
        return total;
      }
      case 45: // brk
        if (a >= this.breakEnd - 0x400_0000 && a !== 0 && a <= this.breakLimit) {
          if (a > this.breakEnd) cpu.memory.fill(0, this.breakEnd, a);
          this.breakEnd = a;
        }
        return this.breakEnd;
      case 90: // mmap
        return this.map(a, b, d);
      case 163: // mremap
        return this.remap(a, b, c, d);
      case 91: // munmap
      case 125: // mprotect
      case 205: // madvise
      case 173: // rt_sigaction
      case 174: // rt_sigprocmask
      case 185: // sigaltstack
      case 300: // set_robust_list
      case 171: // prctl
      case 6: // close
      case 221: // futex
        return 0;
      case 387: // rseq
        return -errno.ENOSYS;
      case 20: // getpid
      case 207: // gettid
      case 232: // set_tid_address
        return 1000;
      case 24: // getuid
      case 47: // getgid
      case 49: // geteuid
      case 50: // getegid
        return 1000;
      case 54: // ioctl: no terminal
        return -errno.ENOTTY;
      case 85: // readlink
      case 296: // readlinkat
      case 5: // open
      case 286: // openat
        return -errno.ENOENT;
      case 108: // fstat: a character device
        if (a > 2) return -errno.EBADF;
        cpu.memory.fill(0, b, b + 144);
        view.setUint32(b + 24, 0o020620, true);
        view.setBigUint64(b + 56, 1024n, true);
        return 0;
      case 291: {
        // newfstatat: the same, for an empty path
        if (a > 2 || this.cString(b) !== '') return -errno.ENOENT;
        cpu.memory.fill(0, c, c + 144);
        view.setUint32(c + 24, 0o020620, true);
        view.setBigUint64(c + 56, 1024n, true);
        return 0;
      }
      case 122: {
        // uname
        const fields = ['Linux', 'powervisor', '6.1.0', '#1', 'ppc64le', '(none)'];
        cpu.memory.fill(0, a, a + 65 * fields.length);
        for (const [i, value] of fields.entries()) cpu.memory.set(new TextEncoder().encode(value), a + 65 * i);
        return 0;
      }
      case 246: // clock_gettime: a clock that advances a millisecond at each look
        this.clockNs += 1_000_000n;
        view.setBigInt64(b, this.clockNs / 1_000_000_000n, true);
        view.setBigInt64(b + 8, this.clockNs % 1_000_000_000n, true);
        return 0;
      case 325: // prlimit64
        if (d !== 0) {
          view.setBigUint64(d, 8n << 20n, true);
          view.setBigUint64(d + 8, (1n << 64n) - 1n, true);
        }
        return 0;
      case 359: // getrandom: the same bytes every time
        for (let i = 0; i < b; i++) {
          this.randomState = (Math.imul(this.randomState, 1664525) + 1013904223) | 0;
          cpu.memory[a + i] = this.randomState >>> 24;
        }
        return b;
      default:
        return -errno.ENOSYS;
    }
  }

  /** Serves system calls until the program exits; an interrupt is an error that names it. */
  run(): ProgramResult {
    const { cpu } = this;
    while (this.exitStatus === undefined) {
      const stop = cpu.run();
      if (stop !== 'sc' && stop !== 'scv') {
        const cause = `interrupt 0x${stop.interrupt.toString(16)}, SRR1 0x${stop.srr1.toString(16)}`;
        const word =
          cpu.nia < BigInt(cpu.memory.length) ? this.view.getUint32(Number(cpu.nia), true).toString(16) : '?';
        throw new Error(`the program took ${cause} at 0x${cpu.nia.toString(16)} (${word})`);
      }
      const number = Number(cpu.gpr[0] & 0xffff_ffffn);
      this.calls.set(number, (this.calls.get(number) ?? 0) + 1);
      const args = [3, 4, 5, 6, 7, 8].map((n) => Number(BigInt.asIntN(64, cpu.gpr[n])));
      const result = this.call(number, args);
      if (stop === 'scv') cpu.gpr[3] = BigInt.asUintN(64, BigInt(result));
      else {
        // An error is positive, with the summary overflow bit of CR0.
        cpu.gpr[3] = BigInt(Math.abs(result));
        cpu.cr = (result < 0 ? cpu.cr | 0x1000_0000 : cpu.cr & ~0x1000_0000) >>> 0;
      }
    }
    return {
      exitStatus: this.exitStatus,
      stdout: Uint8Array.from(this.output[0]),
      stderr: Uint8Array.from(this.output[1]),
      systemCalls: this.calls,
    };
  }
}

/** Runs a static executable to its end. The memory of `cpu` must be zero and hold the program, its heap and its stack. */
export function runProgram(cpu: UserModeCpu, image: Uint8Array, options: ProgramOptions): ProgramResult {
  const program = new Program(cpu);
  program.load(image, options);
  return program.run();
}
