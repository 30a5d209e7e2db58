// One machine: CPU core, hypervisor and firmware wired together, and the interface that programs drive it by.

import type { MachineHost } from '../backends/machine-host.ts';
import { defaultRegionOptions, RegionCache } from '../cpu/compiler/cache.ts';
import { describeRegion, type MadeRegion } from '../cpu/compiler/dump.ts';
import { CpuCore } from '../cpu/interpreter/core.ts';
import { prebuiltInterpreter } from '../cpu/interpreter/prebuilt.ts';
import type { RegionHost } from '../cpu/interpreter/region-service.ts';
import { semantics } from '../cpu/semantics/index.ts';
import { EXIT, type ExitReason } from '../cpu/state/msr.ts';
import { AddressMap } from '../device/address-map.ts';
import type { ClientInterface } from '../firmware/client-interface.ts';
import { type KernelImage, openKernel } from '../firmware/kernel-image.ts';
import { H_OPEN_FIRMWARE } from '../firmware/stubs.ts';
import { H_PARAMETER } from '../hypervisor/h-status.ts';
import { Hypervisor } from '../hypervisor/hypervisor.ts';
import { logicalAddress } from '../hypervisor/logical-address.ts';
import type { PartitionPort } from '../hypervisor/vcpu-port.ts';
import { LSI_IRQ_FIRST, MSI_IRQ_COUNT, MSI_IRQ_FIRST, VIO_IRQ_FIRST } from '../hypervisor/xics/irq-map.ts';
import type { HostView } from '../memory/host-view.ts';
import type { Sealing } from '../ultravisor/esm/verify.ts';
import { UsageError } from '../util/errors.ts';
import { Devices } from '../vmm/devices.ts';
import { compilerReport } from './compiler-report.ts';
import { type CheckedConfiguration, checkConfiguration, type MachineConfiguration } from './configuration.ts';
import { GuestConsole, type MachineConsole } from './console.ts';
import { DeviceSchedule } from './device-schedule.ts';
import { EVENT_CATEGORIES, type EventCategory, EventStream, type MachineEvent } from './events.ts';
import { GuestSymbols } from './guest-symbols.ts';
import { logicalMmio } from './logical-mmio.ts';
import { Pace } from './pace.ts';
import { CONSOLE_UNIT, powerOn } from './power-on.ts';
import { GuestProfile } from './profile.ts';
import { RandomSource } from './random-source.ts';
import { type MachineReport, namedExits, type RunOutcome } from './report.ts';
import { Scheduler } from './scheduler.ts';
import { sealingOf } from './sealing.ts';
import { SecurePartition } from './secure-partition.ts';
import { MachineTime, TICKS_PER_MS, TIMEBASE_HZ } from './time.ts';
import { connectTrace } from './trace.ts';
import { VcpuAdapter } from './vcpu-adapter.ts';
import { answerMmio } from './vcpu-mmio.ts';

/** Date of the virtual clock at power-on unless the configuration says otherwise: 2026-01-01. */
const DEFAULT_BOOT_TIME_MS = Date.UTC(2026, 0, 1);

export class Machine implements AsyncDisposable {
  private readonly host: MachineHost;
  private readonly image: KernelImage;
  private readonly symbols: GuestSymbols;
  private readonly guestProfile: GuestProfile | undefined;
  private readonly configuration: CheckedConfiguration;
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
  private readonly guestConsole: GuestConsole;
  private readonly pace: Pace;
  private readonly randomness: RandomSource;
  private readonly warnings: string[] = [];
  private compiler: RegionCache | undefined;
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

  /**
   * A machine at power-on. Throws UsageError for values out of range and PowervisorError for a kernel or initrd that
   * cannot be loaded.
   */
  static async create(configuration: MachineConfiguration, host: MachineHost): Promise<Machine> {
    const checked = checkConfiguration(configuration);
    const image = await openKernel(configuration.kernel, configuration.kernelName ?? 'the kernel', host.decompress);
    return new Machine(checked, image, host, await sealingOf(checked, host));
  }

  private constructor(configuration: CheckedConfiguration, image: KernelImage, host: MachineHost, sealing: Sealing) {
    this.configuration = configuration;
    this.host = host;
    this.image = image;
    this.symbols = new GuestSymbols(configuration.kernel, configuration.symbols, () =>
      this.warn('the symbols are not those of the kernel that runs, so reports have addresses only'),
    );
    this.time = new MachineTime(configuration.clock ?? 'virtual', host);
    this.randomness = new RandomSource(configuration.seed ?? (this.time.mode === 'virtual' ? 1 : undefined), host);
    this.core = new CpuCore({
      semantics,
      image: prebuiltInterpreter,
      ramBytes: configuration.memoryBytes,
      cpus: configuration.cpus,
      regions: configuration.compiler === false ? undefined : (host) => this.createCompiler(host),
    });
    const vcpuHost = {
      timebase: () => this.time.now,
      rescheduled: () => {
        this.scheduler?.rescheduled();
        this.pace?.wake();
      },
      preferNext: (id: number) => this.scheduler.preferNext(id),
    };
    this.vcpus = this.core.vcpus.map(({ id }) => new VcpuAdapter(this.core, id, vcpuHost));
    this.secure = this.createSecurePartition(configuration, sealing);
    this.view = this.secure.view;
    this.schedule = new DeviceSchedule(this.time, () => {
      this.scheduler?.rescheduled();
      this.pace?.wake();
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
      terminals: [
        { unit: CONSOLE_UNIT, irq: VIO_IRQ_FIRST, output: { write: (bytes) => this.guestConsole.written(bytes) } },
      ],
      mmio: logicalMmio(this.map),
      bridges: this.devices.bridges,
      log: { warn: (message) => this.warn(message) },
      svm: this.secure.hypervisorSide((phase) => this.devices.transition(phase)),
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
    this.guestProfile = configuration.profile ? new GuestProfile((reader) => this.symbols.fitting(reader)) : undefined;
    this.scheduler = new Scheduler(this.guestProfile?.running(this.core) ?? this.core, this.vcpus, this.time, {
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
    this.stream = new EventStream(() => connectTrace(this.stream, this.hypervisor, this.devices));
    this.guestConsole = new GuestConsole(
      this.stream,
      () => this.hypervisor.terminals.all[0],
      () => this.pace.wake(),
    );
    this.pace = new Pace({
      host,
      time: this.time,
      schedule: this.schedule,
      scheduler: this.scheduler,
      stopped: () => this.outcome !== undefined || this.stopRequested,
      held: () => this.secure.verification,
      betweenTurns: () => {
        if (this.rebootRequested) this.reboot();
      },
      stuck: () => this.end({ reason: 'error', message: 'every CPU waits, and nothing can wake one' }),
    });
    this.powerOn();
  }

  get console(): MachineConsole {
    return this.guestConsole;
  }

  /** Calls `listener` with everything the guest writes, as it writes it. Returns what ends that. */
  onConsole(listener: (bytes: Uint8Array) => void): () => void {
    return this.guestConsole.listen(listener);
  }

  /** Says that nothing more will be typed: an idle machine with the virtual clock then need not wait for anybody. */
  closeInput(): void {
    this.pace.closeInput();
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
        await this.pace.burst(deadline, lastTick);
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
    this.pace?.wake();
  }

  /** Asks the guest to shut down, as a power button does. */
  requestShutdown(): void {
    this.hypervisor.requestShutdown();
    this.pace?.wake();
  }

  /** Hex SHA-256 of all RAM and of the registers of all vCPUs. */
  stateHash(): Promise<string> {
    return this.host.sha256([this.core.ramBytesView(), ...this.core.vcpus.map((vcpu) => vcpu.block())]);
  }

  private createCompiler(host: RegionHost): RegionCache {
    const { onRegion, compile } = this.configuration;
    this.compiler = new RegionCache(host, {
      ...defaultRegionOptions,
      now: () => this.host.monotonicMs(),
      workshop: compile === 'beside' ? (counts) => this.host.openRegionWorkshop?.(counts) : undefined,
      onWorkshopFailure: (reason) =>
        this.warn(`the thread that compiles has failed (${reason}); the rest is compiled between instructions`),
      ...(onRegion && { onRegion: (region: MadeRegion) => onRegion(describeRegion(region)) }),
    });
    return this.compiler;
  }

  /** Where the guest has spent its instructions, as the JSON of a .cpuprofile file; only with `profile`. */
  profile(): object | undefined {
    return this.guestProfile?.toJSON();
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
      exits: namedExits(this.scheduler.exits),
      translations: {
        flushes: Number(this.core.shared('translationFlushes')),
        decodedPageResets: Number(this.core.shared('decodedPageResets')),
      },
      compiler: this.compiler && compilerReport(this.compiler, this.core),
      dmaPolicy: this.devices.dmaPolicy,
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
    this.guestConsole.close();
    await this.compiler?.close();
    await this.devices.close();
  }

  private exit(id: number, reason: ExitReason): void {
    const vcpu = this.vcpus[id];
    switch (reason) {
      case EXIT.hcall:
        this.secure.guestHcall(vcpu);
        return;
      case EXIT.ucall:
        if (this.secure.guestUcall(vcpu) === 'no-ultravisor') this.refusedSecurity = true;
        if (this.secure.verification) this.scheduler.rescheduled();
        return;
      case EXIT.absentPage:
        this.secure.guestPageFault(Number(this.core.vcpus[id].get64('mmioAddress')));
        return;
      case EXIT.mmioRead:
      case EXIT.mmioWrite:
        this.secure.guestMmio(vcpu, () => answerMmio(this.core.vcpus[id], this.map, reason === EXIT.mmioRead));
        return;
      default:
        this.end({ reason: 'error', message: `CPU ${id} stopped for an unknown reason (${reason})` });
    }
  }

  /** Retired by all vCPUs. */
  private instructions(): bigint {
    return this.core.vcpus.reduce((sum, vcpu) => sum + vcpu.retired, 0n);
  }

  private createDevices(configuration: CheckedConfiguration): Devices {
    const devices = new Devices({
      view: this.view,
      map: this.map,
      bridges: configuration.bridges ?? 1,
      dmaPolicy: configuration.dmaPolicy,
      now: () => ({ instructions: this.instructions(), guestSeconds: this.time.seconds }),
      dmaSwitched: (event) => this.stream.emit({ category: 'device', ...event }),
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
    const { configuration, image: kernel, core, vcpus, view, hypervisor, devices, time, randomness, stream } = this;
    const end = (outcome: RunOutcome) => this.end(outcome);
    const warn = (message: string) => this.warn(message);
    const parts = {
      configuration,
      kernel,
      core,
      vcpus,
      view,
      hypervisor,
      devices,
      time,
      randomness,
      stream,
      end,
      warn,
    };
    this.firmware = powerOn({ ...parts, console: this.guestConsole });
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

  private createSecurePartition(configuration: CheckedConfiguration, sealing: Sealing): SecurePartition {
    return new SecurePartition({
      memory: this.core.memory,
      core: this.core,
      symbols: (reader) => this.symbols.fitting(reader),
      vcpus: this.vcpus,
      instructions: () => this.instructions(),
      hypervisor: () => this.hypervisor,
      ultravisor: configuration.ultravisor ?? true,
      pageBytes: configuration.securePageBytes,
      secureBytes: configuration.secureMemoryBytes,
      policy: configuration.onViolation,
      sealing,
      pageCipher: this.host.pageCipher,
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
