// One machine: CPU core, hypervisor and firmware wired together, and the interface that programs drive it by.

import type { MachineHost } from '../backends/machine-host.ts';
import { CpuCore } from '../cpu/interpreter/core.ts';
import { semantics } from '../cpu/semantics/index.ts';
import { MAX_RAM_BYTES, MAX_VCPUS } from '../cpu/state/memory-map.ts';
import { EXIT, type ExitReason, MSR } from '../cpu/state/msr.ts';
import { AddressMap, type MmioBytes } from '../device/address-map.ts';
import { type BootProtocol, prepareBoot } from '../firmware/boot.ts';
import type { ClientInterface } from '../firmware/client-interface.ts';
import { type KernelImage, openKernel } from '../firmware/kernel-image.ts';
import { cells, cells64, text } from '../firmware/property.ts';
import type { MachineDescription } from '../firmware/pseries-tree.ts';
import { H_OPEN_FIRMWARE } from '../firmware/stubs.ts';
import { H_PARAMETER } from '../hypervisor/h-status.ts';
import { Hypervisor } from '../hypervisor/hypervisor.ts';
import { logicalAddress } from '../hypervisor/logical-address.ts';
import type { Vty } from '../hypervisor/terminal.ts';
import type { PartitionPort } from '../hypervisor/vcpu-port.ts';
import { EPOW_IRQ, LSI_IRQ_FIRST, MSI_IRQ_COUNT, MSI_IRQ_FIRST, VIO_IRQ_FIRST } from '../hypervisor/xics/irq-map.ts';
import { VIOLATION_POLICIES, type ViolationPolicy } from '../memory/checked-host-view.ts';
import type { HostView } from '../memory/host-view.ts';
import { UsageError } from '../util/errors.ts';
import { type DeviceDescription, type DeviceRequest, Devices } from '../vmm/devices.ts';
import { DeviceSchedule } from './device-schedule.ts';
import { dmaEvent, EVENT_CATEGORIES, type EventCategory, EventStream, type MachineEvent } from './events.ts';
import { logicalMmio } from './logical-mmio.ts';
import { RandomSource } from './random-source.ts';
import { Scheduler } from './scheduler.ts';
import { SecurePartition, type SecureReport } from './secure-partition.ts';
import { type ClockMode, MachineTime, TICKS_PER_MS, TIMEBASE_HZ } from './time.ts';
import { PVR_POWER9, VcpuAdapter } from './vcpu-adapter.ts';

/** Number of the console's virtual terminal: what H_PUT_TERM_CHAR names. */
const CONSOLE_UNIT = 0x71000000;
/** Unit of memory that could be added, if any could. */
const MEMORY_GRANULE_BYTES = 2 ** 28;
/** Host milliseconds of execution between two breaths of the host. */
const BREATH_MS = 12;
/** Longest sleep of an idle machine, in host milliseconds; input wakes it earlier. */
const LONGEST_SLEEP_MS = 1000;
/** Idle time passes at once with the virtual clock; while somebody may type, each skip gives the host this long. */
const IDLE_SKIP_MS = 1;
/** Date of the virtual clock at power-on unless the configuration says otherwise: 2026-01-01. */
const DEFAULT_BOOT_TIME_MS = Date.UTC(2026, 0, 1);

export interface MachineConfiguration {
  /** vmlinux or zImage.pseries (ELF), possibly compressed. */
  readonly kernel: Uint8Array;
  /** What messages call the kernel. */
  readonly kernelName?: string;
  readonly initrd?: Uint8Array;
  /** Kernel command line. */
  readonly append?: string;
  /** Guest RAM in bytes; a multiple of 1 MiB, 64 MiB to 3584 MiB. Default 1 GiB. */
  readonly memoryBytes?: number;
  /** 1 to 16. Default 1. */
  readonly cpus?: number;
  /** `virtual` (default): time from instructions, every run alike. `host`: the host's clock. */
  readonly clock?: ClockMode;
  /** Seed of the guest's random numbers. Default 1 with the virtual clock, random with the host's. */
  readonly seed?: number;
  /** Wall-clock time at power-on, UTC milliseconds since 1970; for the virtual clock. */
  readonly bootTimeMs?: number;
  readonly protocol?: BootProtocol;
  /** What is plugged into the PCI slots, in this order. */
  readonly devices?: readonly DeviceRequest[];
  /** PCI host bridges, 1 or 2. Default 1. */
  readonly bridges?: number;
  /** False: no ultravisor, so that the guest cannot turn secure. Default true. */
  readonly ultravisor?: boolean;
  /** What becomes of accesses to secure memory. Default `block`. */
  readonly onViolation?: ViolationPolicy;
  /** Size of the pages in which the guest counts and shares memory: 65536 (default), or 4096 for a 4K-page kernel. */
  readonly securePageBytes?: 0x10000 | 0x1000;
  /** Event categories that `events()` gives when it is not told which. */
  readonly trace?: readonly string[];
}

export type EndReason = 'power-off' | 'panic' | 'timeout' | 'stopped' | 'error';

export interface RunOutcome {
  readonly reason: EndReason;
  /** What the guest or the machine said about it. */
  readonly message?: string;
}

/** How it went, as plain JSON. */
export interface MachineReport extends SecureReport {
  readonly outcome: RunOutcome | undefined;
  readonly clock: ClockMode;
  readonly memoryBytes: number;
  /** Per vCPU: instructions retired since power-on, state, and where it stands. */
  readonly cpus: readonly { id: number; instructions: number; state: string; nia: string; msr: string; lr: string }[];
  readonly instructions: number;
  readonly guestSeconds: number;
  readonly hostSeconds: number;
  readonly reboots: number;
  readonly hcalls: Readonly<Record<string, number>>;
  readonly rtas: Readonly<Record<string, number>>;
  readonly exits: Readonly<Record<string, number>>;
  readonly translations: { readonly flushes: number; readonly decodedPageResets: number };
  readonly devices: readonly DeviceDescription[];
  /** Accesses to guest real addresses where there is nothing. */
  readonly unassignedAccesses: number;
  readonly warnings: readonly string[];
}

const exitNames: Readonly<Record<ExitReason, string>> = {
  [EXIT.budget]: 'budget',
  [EXIT.hcall]: 'hcall',
  [EXIT.ucall]: 'ucall',
  [EXIT.mmioRead]: 'mmio-read',
  [EXIT.mmioWrite]: 'mmio-write',
  [EXIT.timer]: 'timer',
  [EXIT.yield]: 'yield',
  [EXIT.checkstop]: 'checkstop',
};

/** The console as bytes in both directions. */
export interface MachineConsole {
  /** Everything the guest writes from now on. Ends when the machine is disposed of. */
  readonly output: AsyncIterable<Uint8Array>;
  /** Types on the console. Returns how many bytes were taken; the guest's input queue holds 64 KiB. */
  write(bytes: Uint8Array): number;
}

export class Machine implements AsyncDisposable {
  readonly console: MachineConsole;
  private readonly host: MachineHost;
  private readonly image: KernelImage;
  private readonly configuration: MachineConfiguration;
  private readonly core: CpuCore;
  private readonly view: HostView;
  private readonly secure: SecurePartition;
  private readonly vcpus: readonly VcpuAdapter[];
  private readonly time: MachineTime;
  private readonly map: AddressMap;
  private readonly devices: Devices;
  private readonly schedule: DeviceSchedule;
  private readonly hypervisor: Hypervisor;
  private readonly scheduler: Scheduler;
  private readonly stream: EventStream;
  private readonly consoleListeners = new Set<(bytes: Uint8Array) => void>();
  private readonly randomness: RandomSource;
  private readonly warnings: string[] = [];
  private firmware: ClientInterface | undefined;
  private timer: bigint | undefined;
  private outcome: RunOutcome | undefined;
  private rebootRequested = false;
  /** UV_ESM found no ultravisor, and the guest has not said since what it makes of that. */
  private refusedSecurity = false;
  private reboots = 0;
  private hostSeconds = 0;
  private running = false;
  private stopRequested = false;
  private inputOpen = true;
  private wakeSleeper: (() => void) | undefined;

  /**
   * A machine at power-on. Throws UsageError for values out of range and PowervisorError for a kernel or initrd that
   * cannot be loaded.
   */
  static async create(configuration: MachineConfiguration, host: MachineHost): Promise<Machine> {
    const { memoryBytes = 2 ** 30, cpus = 1 } = configuration;
    if (!Number.isInteger(cpus) || cpus < 1 || cpus > MAX_VCPUS) {
      throw new UsageError('cpus', `A machine has 1 to ${MAX_VCPUS} CPUs, not ${cpus}.`);
    }
    if (
      !Number.isInteger(memoryBytes) ||
      memoryBytes < 2 ** 26 ||
      memoryBytes > MAX_RAM_BYTES ||
      memoryBytes % 2 ** 20
    ) {
      throw new UsageError(
        'memory',
        `A machine has 64 to ${MAX_RAM_BYTES / 2 ** 20} MiB of memory, not ${memoryBytes} bytes.`,
      );
    }
    const image = await openKernel(configuration.kernel, configuration.kernelName ?? 'the kernel', host.decompress);
    return new Machine({ ...configuration, memoryBytes, cpus }, image, host);
  }

  private constructor(
    configuration: MachineConfiguration & { memoryBytes: number; cpus: number },
    image: KernelImage,
    host: MachineHost,
  ) {
    this.configuration = configuration;
    this.host = host;
    this.image = image;
    this.time = new MachineTime(configuration.clock ?? 'virtual', host);
    this.randomness = new RandomSource(configuration.seed ?? (this.time.mode === 'virtual' ? 1 : undefined), host);
    this.core = new CpuCore({ semantics, ramBytes: configuration.memoryBytes, cpus: configuration.cpus });
    const vcpuHost = {
      timebase: () => this.time.now,
      rescheduled: () => {
        this.scheduler?.rescheduled();
        this.wakeSleeper?.();
      },
      preferNext: (id: number) => this.scheduler.preferNext(id),
    };
    this.vcpus = this.core.vcpus.map(({ id }) => new VcpuAdapter(this.core, id, vcpuHost));
    this.secure = this.createSecurePartition(configuration);
    this.view = this.secure.view;
    this.schedule = new DeviceSchedule(this.time, () => {
      this.scheduler?.rescheduled();
      this.wakeSleeper?.();
    });
    this.map = new AddressMap(({ gra }) => {
      if (this.map.unassigned > 1) return;
      this.warn(`nothing is at guest real address 0x${gra.toString(16)}; further such accesses are only counted`);
    });
    this.devices = this.createDevices(configuration);
    this.hypervisor = new Hypervisor({
      view: this.view,
      vcpus: this.secure.ports,
      partition: this.partition(),
      config: { name: 'powervisor', uuid: new Uint8Array(16), timebaseHz: TIMEBASE_HZ, sharedProcessors: true },
      terminals: [{ unit: CONSOLE_UNIT, irq: VIO_IRQ_FIRST, output: { write: (bytes) => this.consoleOutput(bytes) } }],
      mmio: logicalMmio(this.map),
      bridges: this.devices.bridges,
      log: { warn: (message) => this.warn(message) },
      svm: this.secure.hypervisorSide(() => {}),
    });
    this.hypervisor.register({
      token: H_OPEN_FIRMWARE,
      name: 'H_OPEN_FIRMWARE',
      inputs: 1,
      outputs: 0,
      handler: (call) => {
        const gra = logicalAddress(call.arg(0));
        return gra === undefined || !this.firmware ? H_PARAMETER : this.firmware.call(gra);
      },
      ref: 'private: the stub of firmware/stubs.ts',
    });
    this.scheduler = new Scheduler(this.core, this.vcpus, this.time, {
      beginSlice: (id) => this.hypervisor.beginSlice(id),
      endSlice: (id) => this.hypervisor.endSlice(id),
      exit: (id, reason) => this.exit(id, reason),
      nextTimer: () => earlier(this.timer, this.schedule.nextTimer()),
      fireTimer: () => {
        this.schedule.fireTimers();
        if (this.timer === undefined || this.timer > this.time.now) return;
        this.timer = undefined;
        this.hypervisor.timerExpired();
      },
      halted: () => this.outcome !== undefined || this.rebootRequested,
    });
    this.stream = new EventStream(() => this.listen());
    this.console = {
      output: { [Symbol.asyncIterator]: () => this.consoleIterator() },
      write: (bytes) => this.typeOnConsole(bytes),
    };
    this.powerOn();
  }

  /** Calls `listener` with everything the guest writes, as it writes it. Returns what ends that. */
  onConsole(listener: (bytes: Uint8Array) => void): () => void {
    this.consoleListeners.add(listener);
    return () => this.consoleListeners.delete(listener);
  }

  /** Says that nothing more will be typed: an idle machine with the virtual clock then need not wait for anybody. */
  closeInput(): void {
    this.inputOpen = false;
    this.wakeSleeper?.();
  }

  /** What happens from now on, by category; all categories, or those of `trace`, if none are named. */
  events(...categories: EventCategory[]): AsyncIterableIterator<MachineEvent> {
    const wanted = categories.length > 0 ? categories : (this.configuration.trace ?? EVENT_CATEGORIES);
    for (const category of wanted) {
      if (!(EVENT_CATEGORIES as readonly string[]).includes(category)) {
        throw new UsageError('trace', `There are no "${category}" events; there are ${EVENT_CATEGORIES.join(', ')}.`);
      }
    }
    return this.stream.listen(wanted as readonly EventCategory[]);
  }

  /**
   * Runs until the guest ends, `pause` is called, the signal aborts or the time is over. Can be called again after a
   * pause. `instructions` ends the run, as a pause does, after about so many instructions.
   */
  async run(
    options: { timeoutMs?: number; signal?: AbortSignalLike; instructions?: number } = {},
  ): Promise<RunOutcome> {
    if (this.running) throw new UsageError('running', 'The machine is running already.');
    if (this.outcome) return this.outcome;
    const started = this.host.monotonicMs();
    const deadline = options.timeoutMs === undefined ? Infinity : started + options.timeoutMs;
    const lastTick = options.instructions === undefined ? undefined : this.time.now + BigInt(options.instructions);
    const onAbort = () => this.pause();
    options.signal?.addEventListener('abort', onAbort);
    this.running = true;
    this.stopRequested = options.signal?.aborted ?? false;
    this.emitMachine('start');
    try {
      while (!this.outcome && !this.stopRequested) {
        if (this.host.monotonicMs() >= deadline) return { reason: 'timeout' };
        if (lastTick !== undefined && this.time.now >= lastTick) break;
        await this.burst(Math.min(deadline, this.host.monotonicMs() + BREATH_MS), lastTick);
      }
      if (this.outcome) return this.outcome;
      this.emitMachine('stop');
      return { reason: 'stopped' };
    } finally {
      this.running = false;
      this.hostSeconds += (this.host.monotonicMs() - started) / 1000;
      options.signal?.removeEventListener('abort', onAbort);
    }
  }

  /** Makes `run` return soon, with reason `stopped`. */
  pause(): void {
    this.stopRequested = true;
    this.wakeSleeper?.();
  }

  /** Asks the guest to shut down, as a power button does. */
  requestShutdown(): void {
    this.hypervisor.requestShutdown();
    this.wakeSleeper?.();
  }

  /** Hex SHA-256 of all RAM and of the registers of all vCPUs. */
  stateHash(): Promise<string> {
    return this.host.sha256([this.core.ramBytesView(), ...this.core.vcpus.map((vcpu) => vcpu.block())]);
  }

  report(): MachineReport {
    const hex = (value: bigint) => `0x${value.toString(16)}`;
    const cpus = this.core.vcpus.map((vcpu, id) => ({
      id,
      instructions: Number(vcpu.retired),
      state: this.vcpus[id].state,
      nia: hex(vcpu.get64('nia')),
      msr: hex(vcpu.get64('msr')),
      lr: hex(vcpu.get64('lr')),
    }));
    return {
      outcome: this.outcome,
      clock: this.time.mode,
      memoryBytes: this.view.sizeBytes,
      cpus,
      instructions: cpus.reduce((sum, cpu) => sum + cpu.instructions, 0),
      guestSeconds: this.time.seconds,
      hostSeconds: this.hostSeconds,
      reboots: this.reboots,
      hcalls: this.hypervisor.counts(),
      rtas: this.hypervisor.rtas.counts(),
      exits: Object.fromEntries([...this.scheduler.exits].map(([reason, count]) => [exitNames[reason], count])),
      translations: {
        flushes: Number(this.core.shared('translationFlushes')),
        decodedPageResets: Number(this.core.shared('decodedPageResets')),
      },
      devices: this.devices.describe(),
      unassignedAccesses: this.map.unassigned,
      ...this.secure.report(),
      warnings: this.warnings,
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.pause();
    this.outcome ??= { reason: 'stopped' };
    this.stream.end();
    this.consoleListeners.clear();
    this.devices.close();
  }

  /** Executes until `untilMs` of the host, or sleeps if there is nothing to execute; then lets the host breathe. */
  private async burst(untilMs: number, lastTick: bigint | undefined): Promise<void> {
    let rounds = 0;
    while (!this.outcome && !this.stopRequested) {
      if (lastTick !== undefined && this.time.now >= lastTick) return;
      if (this.schedule.mustSettle) await this.schedule.settle();
      this.schedule.runPosted();
      const result = this.scheduler.round();
      if (this.rebootRequested) this.reboot();
      if (result.kind === 'idle' && !this.outcome) {
        if (await this.idle(result.until)) return;
      }
      // The clock is looked at every few turns only: it costs as much as a short turn.
      if ((++rounds & 7) === 0 && this.host.monotonicMs() >= untilMs) break;
    }
    await this.host.breathe();
  }

  /** Nothing to execute before `until`. True if the host has had time for its other work. */
  private async idle(until: bigint | undefined): Promise<boolean> {
    if (this.schedule.pressing) return false;
    if (this.time.mode === 'host') {
      const ms = until === undefined ? LONGEST_SLEEP_MS : Math.min(LONGEST_SLEEP_MS, this.time.hostMsUntil(until));
      await this.sleep(ms);
      return true;
    }
    if (until === undefined) {
      if (!this.inputOpen) this.end({ reason: 'error', message: 'every CPU waits, and nothing can wake one' });
      else await this.sleep(LONGEST_SLEEP_MS);
      return true;
    }
    this.time.skipTo(until);
    if (!this.inputOpen) return false;
    await this.sleep(IDLE_SKIP_MS);
    return true;
  }

  private async sleep(ms: number): Promise<void> {
    const sleeper = this.host.sleep(ms);
    this.wakeSleeper = () => sleeper.wake();
    await sleeper.done;
    this.wakeSleeper = undefined;
  }

  private exit(id: number, reason: ExitReason): void {
    const vcpu = this.vcpus[id];
    switch (reason) {
      case EXIT.hcall:
        this.secure.guestHcall(vcpu);
        return;
      case EXIT.ucall:
        if (this.secure.guestUcall(vcpu) === 'no-ultravisor') this.refusedSecurity = true;
        return;
      case EXIT.mmioRead:
      case EXIT.mmioWrite:
        this.mmio(id, reason === EXIT.mmioRead);
        return;
      default:
        this.end({ reason: 'error', message: `CPU ${id} stopped for an unknown reason (${reason})` });
    }
  }

  /** An access outside of RAM: what the address map has there answers. */
  private mmio(id: number, isLoad: boolean): void {
    const vcpu = this.core.vcpus[id];
    // Beyond 2^53 the number is rounded, and still nothing is there.
    const gra = Number(vcpu.get64('mmioAddress'));
    const lenBytes = vcpu.get32('mmioSize');
    if (isLoad) {
      vcpu.answerMmio(lenBytes === 8 ? this.map.load64(gra) : BigInt(this.map.load(gra, lenBytes as MmioBytes)));
      return;
    }
    const value = vcpu.get64('mmioData');
    if (lenBytes === 8) this.map.store64(gra, value);
    else this.map.store(gra, lenBytes as MmioBytes, Number(BigInt.asUintN(8 * lenBytes, value)));
    vcpu.answerMmio(0n);
  }

  private createDevices(configuration: MachineConfiguration): Devices {
    const devices = new Devices({
      view: this.view,
      map: this.map,
      bridges: configuration.bridges ?? 1,
      interrupts: (index) => ({
        pulse: (irq) => this.hypervisor.xics.sources.pulse(irq),
        setLevel: (irq, asserted) => this.hypervisor.xics.sources.setLevel(irq, asserted),
        pinIrqFirst: LSI_IRQ_FIRST + 4 * index,
        messageIrqFirst: MSI_IRQ_FIRST,
        messageIrqCount: MSI_IRQ_COUNT,
      }),
      ports: { clock: this.schedule, events: this.schedule, log: { warn: (message) => this.warn(message) } },
    });
    for (const request of configuration.devices ?? []) devices.plug(request);
    return devices;
  }

  private powerOn(): void {
    for (const vcpu of this.vcpus) vcpu.reset();
    this.core.setShared('processTableBytes', 0n);
    this.core.setShared('randomState', this.randomness.next());
    this.core.flushTranslations();
    const boot = prepareBoot(this.view, {
      protocol: this.configuration.protocol ?? 'open-firmware',
      machine: this.description(),
      kernel: this.image,
      initrd: this.configuration.initrd,
      consoles: new Map([
        [CONSOLE_UNIT, { write: (bytes) => this.consoleOutput(bytes), read: (max) => this.firmwareInput(max) }],
      ]),
      host: {
        milliseconds: () => Math.floor(this.time.seconds * 1000),
        startCpu: (server, entryGra, r3) => {
          const vcpu = this.vcpus[server];
          if (vcpu?.state !== 'stopped') return false;
          vcpu.start(entryGra, BigInt(r3));
          return true;
        },
        clientEnded: (how) => this.end({ reason: 'power-off', message: `the Open Firmware client called ${how}` }),
        event: (event) => {
          if (event.kind === 'rtas-instantiated') this.hypervisor.setRtasArea(event.baseGra);
          if (event.kind === 'client-architecture-support' && !event.outcome.agreed) {
            this.warn(`client-architecture-support refused: ${event.outcome.reason}`);
          }
          this.stream.emit({ category: 'firmware', event });
        },
      },
    });
    this.firmware = boot.clientInterface;
    if (boot.rtasBaseGra !== undefined) this.hypervisor.setRtasArea(boot.rtasBaseGra);
    const first = this.core.vcpus[0];
    first.set64('msr', boot.msr === 'be64' ? MSR.SF : 0n);
    first.set64('nia', BigInt(boot.entryGra));
    for (const [n, value] of [
      [1, boot.registers.r1],
      [3, boot.registers.r3],
      [4, boot.registers.r4],
      [5, boot.registers.r5],
    ]) {
      first.set64('gpr', BigInt(value), n);
    }
    this.vcpus[0].state = 'running';
  }

  private description(): Omit<MachineDescription, 'initrd'> {
    const { hypervisor } = this;
    return {
      memoryBytes: this.view.sizeBytes,
      cpus: this.vcpus.length,
      pvr: Number(PVR_POWER9),
      timebaseHz: TIMEBASE_HZ,
      decimalFloat: true,
      bootargs: this.configuration.append ?? '',
      rtasServices: hypervisor.rtas.services(),
      // A panicking kernel tells through ibm,os-term only if it is told that the call returns.
      rtasProperties: {
        'ibm,extended-os-term': text(''),
        // Nothing can be added, but Linux from 6.12 on takes the size of a DMA window for all memory from here: the end
        // of memory, the granule, and the number of processors.
        'ibm,lrdr-capacity': lrdrCapacity(this.view.sizeBytes, this.vcpus.length),
      },
      hypertas: hypervisor.hypertasFunctions(),
      vtys: [{ unit: CONSOLE_UNIT, interrupt: VIO_IRQ_FIRST }],
      rngSeed: this.randomness.bytes(32),
      randomHcall: true,
      epowInterrupt: EPOW_IRQ,
      addNodes: (tree) => this.devices.addNodes(tree, (service) => hypervisor.rtas.token(service)),
    };
  }

  private reboot(): void {
    this.rebootRequested = false;
    this.reboots++;
    this.emitMachine('reboot');
    this.refusedSecurity = false;
    this.devices.reset();
    this.secure.restart(() => this.hypervisor.reset());
    this.timer = undefined;
    this.core.memory.fill(0, this.view.sizeBytes, 0);
    this.powerOn();
  }

  private partition(): PartitionPort {
    const every = (name: 'interruptLittleEndian' | 'interruptLocation', value: number) => {
      for (const vcpu of this.core.vcpus) vcpu.set32(name, value);
    };
    const bootTime = this.configuration.bootTimeMs ?? DEFAULT_BOOT_TIME_MS;
    return {
      setInterruptEndian: (endian) => every('interruptLittleEndian', endian === 'little' ? 1 : 0),
      setInterruptLocation: (ail) => every('interruptLocation', ail),
      registerProcessTable: (baseGra, sizeLog2) => this.secure.registerProcessTable(baseGra, sizeLog2),
      deregisterProcessTable: () => this.secure.registerProcessTable(0, 0),
      timebase: () => this.time.now,
      setTimer: (deadline) => {
        this.timer = deadline;
        this.scheduler.rescheduled();
      },
      wallClockMs: () =>
        this.time.mode === 'host' ? this.host.wallClockMs() : bootTime + Number(this.time.now / TICKS_PER_MS),
      random: () => this.randomness.next(),
      powerOff: () => {
        this.end({ reason: 'power-off' });
      },
      reboot: () => {
        this.rebootRequested = true;
        this.scheduler.rescheduled();
      },
      guestPanic: (message) => this.guestPanic(message),
    };
  }

  /**
   * ibm,os-term. Linux also calls it when UV_ESM finds no ultravisor, and then goes on as a normal VM if the call
   * returns, which it does here, once.
   */
  private guestPanic(message: string): void {
    if (this.refusedSecurity) this.warn(`the guest asked for secure mode, and there is no ultravisor: ${message}`);
    else this.end({ reason: 'panic', message });
    this.refusedSecurity = false;
  }

  private createSecurePartition(configuration: MachineConfiguration): SecurePartition {
    const policy = configuration.onViolation ?? 'block';
    if (!VIOLATION_POLICIES.includes(policy)) {
      throw new UsageError('violation', `There is no policy "${policy}"; there are ${VIOLATION_POLICIES.join(', ')}.`);
    }
    return new SecurePartition({
      memory: this.core.memory,
      vcpus: this.vcpus,
      instructions: () => this.core.vcpus.reduce((sum, vcpu) => sum + vcpu.retired, 0n),
      hypervisor: () => this.hypervisor,
      ultravisor: configuration.ultravisor ?? true,
      pageBytes: configuration.securePageBytes ?? 0x10000,
      policy,
      random: () => this.randomness.next(),
      setProcessTable: (baseGra, sizeLog2) => {
        this.core.setShared('processTable', BigInt(baseGra));
        this.core.setShared('processTableBytes', sizeLog2 === 0 ? 0n : 1n << BigInt(sizeLog2));
        this.core.flushTranslations();
      },
      event: (event) => this.stream?.emit({ category: 'svm', ...event }),
      violation: (violation) => this.stream?.emit({ category: 'violation', ...violation }),
      halt: (message) => this.end({ reason: 'error', message }),
    });
  }

  private end(outcome: RunOutcome): void {
    if (this.outcome) return;
    this.outcome = outcome;
    this.scheduler.rescheduled();
    if (outcome.reason === 'power-off' || outcome.reason === 'panic') this.emitMachine(outcome.reason, outcome.message);
  }

  private emitMachine(event: (MachineEvent & { category: 'machine' })['event'], message?: string): void {
    this.stream.emit({ category: 'machine', event, message });
  }

  private warn(message: string): void {
    this.warnings.push(message);
    this.stream.emit({ category: 'warning', message });
  }

  /** Connects the hypervisor's events to the stream for as long as somebody listens. */
  private listen(): void {
    const { events } = this.hypervisor;
    const { stream } = this;
    events.hcall = stream.wants('hcall') ? (event) => stream.emit({ category: 'hcall', ...event }) : undefined;
    events.rtas = stream.wants('rtas') ? (event) => stream.emit({ category: 'rtas', ...event }) : undefined;
    events.interrupt = stream.wants('interrupt')
      ? (event) => stream.emit({ category: 'interrupt', ...event })
      : undefined;
    this.devices.listenToDma(
      stream.wants('dma')
        ? {
            access: ({ origin, access, mode, gra, lenBytes }) =>
              stream.emit({ ...dmaEvent(origin), access, mode, gra, lenBytes }),
            fault: ({ reason, access, mode, address }, origin) =>
              stream.emit({ ...dmaEvent({ ...origin, busAddress: address }), access, mode, fault: reason }),
          }
        : {},
    );
    events.console = stream.wants('console') ? (event) => stream.emit({ category: 'console', ...event }) : undefined;
  }

  private consoleOutput(bytes: Uint8Array): void {
    for (const listener of this.consoleListeners) listener(bytes);
  }

  private get vty(): Vty {
    return this.hypervisor.terminals.all[0];
  }

  private typeOnConsole(bytes: Uint8Array): number {
    const taken = this.vty.input(bytes);
    this.wakeSleeper?.();
    return taken;
  }

  private firmwareInput(maxBytes: number): Uint8Array {
    return this.vty.get().subarray(0, maxBytes);
  }

  private consoleIterator(): AsyncIterableIterator<Uint8Array> {
    const events = this.stream.listen(['console']);
    return {
      next: async (): Promise<IteratorResult<Uint8Array>> => {
        for (;;) {
          const { done, value } = await events.next();
          if (done) return { done: true, value: undefined };
          if (value.category === 'console' && value.direction === 'from-guest')
            return { done: false, value: value.bytes };
        }
      },
      return: async () => {
        await events.return?.();
        return { done: true, value: undefined };
      },
      [Symbol.asyncIterator]() {
        return this;
      },
    };
  }
}

/** LoPAR B.6.3.1: the most memory and processors that the partition can have. */
function lrdrCapacity(memoryBytes: number, cpus: number): Uint8Array<ArrayBuffer> {
  return Uint8Array.of(...cells64(memoryBytes, MEMORY_GRANULE_BYTES), ...cells(cpus));
}

function earlier(a: bigint | undefined, b: bigint | undefined): bigint | undefined {
  return a === undefined || (b !== undefined && b < a) ? b : a;
}

/** The part of an AbortSignal that is used. */
export interface AbortSignalLike {
  readonly aborted: boolean;
  addEventListener(type: 'abort', listener: () => void): void;
  removeEventListener(type: 'abort', listener: () => void): void;
}
