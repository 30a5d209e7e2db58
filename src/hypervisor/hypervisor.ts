// The hypervisor of one partition: hypercalls, RTAS, interrupt controller, terminals, watchdogs. It holds all of their
// state (no module-level state), sees memory as a HostView, and acts on vCPUs and machine through ports.
//
// A hypercall: `sc 1` leaves the vCPU, the machine calls `hcall`, the token in r3 picks a definition, its handler reads
// and writes registers through Hcall, the return code goes to r3. LoPAR, Hypervisor Call Functions.

import type { HostView } from '../memory/host-view.ts';
import type { HostBridge } from '../pci/host-bridge.ts';
import { ABSENT_HCALLS } from './absent-hcalls.ts';
import type { HypervisorEvents } from './events.ts';
import { H_FUNCTION, H_PARAMETER, H_PRIVILEGE } from './h-status.ts';
import { type Hcall, type HcallDefinition, type HcallEntry, HcallTable } from './hcall-table.ts';
import { interruptHcalls } from './hcalls/interrupt.ts';
import { memoryHcalls } from './hcalls/memory.ts';
import { PartitionMode } from './hcalls/mode.ts';
import { processorHcalls } from './hcalls/processor.ts';
import { schedulingHcalls } from './hcalls/scheduling.ts';
import { terminalHcalls } from './hcalls/terminal.ts';
import { vpaHcalls } from './hcalls/vpa.ts';
import { Watchdogs } from './hcalls/watchdog.ts';
import { LimitedLog } from './limited-log.ts';
import { logicalAddress } from './logical-address.ts';
import { configServices } from './pci/config-services.ts';
import { MessageInterrupts } from './pci/message-services.ts';
import { tceHcalls } from './pci/tce-hcalls.ts';
import { windowServices } from './pci/window-services.ts';
import { RealTimeClock } from './rtas/clock.ts';
import { interruptServices } from './rtas/interrupts.ts';
import { H_RTAS_TOKEN } from './rtas/layout.ts';
import { NonMaskableInterrupts } from './rtas/nmi.ts';
import { Nvram } from './rtas/nvram.ts';
import { PlatformEvents } from './rtas/platform-events.ts';
import { powerServices } from './rtas/power.ts';
import { processorServices } from './rtas/processors.ts';
import { Rtas } from './rtas/rtas.ts';
import { systemParameterServices } from './rtas/system-parameters.ts';
import { SecureGuest, type SecureGuestOptions } from './svm/secure-guest.ts';
import { type TerminalOutput, Terminals, Vty, type VtyConfig } from './terminal.ts';
import type { HypervisorLog, MmioPort, PartitionConfig, PartitionPort, VcpuPort } from './vcpu-port.ts';
import { DISPATCHED, VirtualProcessor, VirtualProcessors } from './virtual-processor.ts';
import { Xics } from './xics/xics.ts';

/** How many different unknown tokens are counted one by one; the rest share a count. */
const MAX_UNKNOWN_TOKENS = 64;

const NO_ARGUMENTS: readonly bigint[] = [];

export interface HypervisorOptions {
  readonly view: HostView;
  /** In the order of their save slots in the RTAS area; ids are unique. */
  readonly vcpus: readonly VcpuPort[];
  readonly partition: PartitionPort;
  readonly config: PartitionConfig;
  /** The first is the console. */
  readonly terminals: readonly (VtyConfig & { readonly output: TerminalOutput })[];
  readonly mmio?: MmioPort;
  /** PCI host bridges; all of them signal the same range of sources. None unless given. */
  readonly bridges?: readonly HostBridge[];
  readonly log?: HypervisorLog;
  /** Given if the partition may turn secure. */
  readonly svm?: Omit<SecureGuestOptions, 'memoryBytes'>;
  /** Contents to start with, 64 KiB; kept by reference. */
  readonly nvram?: Uint8Array;
}

export class Hypervisor {
  /** Assign members to listen; see HypervisorEvents. */
  readonly events: HypervisorEvents = {};
  readonly xics: Xics;
  readonly terminals: Terminals;
  readonly rtas: Rtas;
  readonly nvram: Nvram;
  readonly clock: RealTimeClock;

  private readonly table = new HcallTable();
  private readonly processors: VirtualProcessors;
  private readonly mode: PartitionMode;
  private readonly watchdogs: Watchdogs;
  private readonly nmi: NonMaskableInterrupts;
  private readonly platformEvents: PlatformEvents;
  private readonly messageInterrupts: MessageInterrupts;
  /** What it does for a partition that turns secure; undefined without an ultravisor. */
  readonly secureGuest: SecureGuest | undefined;
  private readonly log: LimitedLog;
  private readonly absent = new Map<number, string>(ABSENT_HCALLS.map(([token, name]) => [token, name]));
  private readonly calls = new Map<string, number>();
  private unknownTokens = 0;

  constructor(options: HypervisorOptions) {
    const { view, vcpus, partition, config } = options;
    const timebase = () => partition.timebase();
    this.log = new LimitedLog(options.log);
    this.xics = new Xics(vcpus, timebase, this.events);
    this.terminals = new Terminals(
      options.terminals.map((vty) => new Vty(vty, vty.output, this.events, (irq) => this.xics.sources.pulse(irq))),
    );
    this.processors = new VirtualProcessors(vcpus.map((vcpu) => new VirtualProcessor(vcpu, view, timebase)));
    this.mode = new PartitionMode(partition, view);
    this.watchdogs = new Watchdogs(partition, config.timebaseHz, options.log);
    this.rtas = new Rtas(view, this.events, this.log);
    this.clock = new RealTimeClock(partition);
    this.nvram = new Nvram(options.nvram);
    this.nmi = new NonMaskableInterrupts(view, vcpus.length);
    this.platformEvents = new PlatformEvents(this.xics.sources, this.clock);
    this.messageInterrupts = new MessageInterrupts(options.bridges ?? []);
    this.secureGuest = options.svm && new SecureGuest({ ...options.svm, memoryBytes: view.sizeBytes });
    this.registerHcalls(options);
    this.registerServices(options);
  }

  /**
   * Serves the hypercall that `vcpu` has issued; its next instruction address is already past the `sc`. Afterwards the
   * vCPU may have left the 'running' state. Nothing that the guest passes makes this throw. `carried` is the memory of an
   * RTAS call that an ultravisor passes on.
   */
  hcall(vcpu: VcpuPort, carried?: HostView): void {
    const token = vcpu.gpr(3);
    if (vcpu.problemState) {
      this.finish(vcpu, token, 'from problem state', NO_ARGUMENTS, H_PRIVILEGE);
      return;
    }
    const entry = this.table.find(token);
    if (!entry) {
      this.finish(vcpu, token, this.nameUnserved(token), NO_ARGUMENTS, H_FUNCTION);
      return;
    }
    const { definition } = entry;
    const args = this.events.hcall ? readArguments(vcpu, definition.inputs) : NO_ARGUMENTS;
    const status = definition.handler(new RegisterCall(vcpu, entry, carried));
    this.finish(vcpu, token, definition.name, args, status);
  }

  /** Adds a hypercall of another layer (firmware, PCI, secure memory). The token must be free. */
  register(definition: HcallDefinition): void {
    this.table.add(definition);
  }

  /** The definition behind `token`, for a layer that reflects the call and must know its registers. */
  definition(token: bigint): HcallDefinition | undefined {
    return this.table.find(token)?.definition;
  }

  /** All hypercalls that are served, by ascending token. */
  definitions(): HcallDefinition[] {
    return this.table.definitions();
  }

  /** What to put into `ibm,hypertas-functions`. */
  hypertasFunctions(): string[] {
    const sets = this.table.definitions().flatMap(({ functionSet }) => functionSet ?? []);
    return [...new Set(sets)];
  }

  /** Hypercalls so far by name; those not served are marked. RTAS services have counts of their own (Rtas.counts). */
  counts(): Record<string, number> {
    return Object.fromEntries([...this.calls].sort(([a], [b]) => (a < b ? -1 : 1)));
  }

  /**
   * The scheduler is about to run vCPU `id`; false if it must not. A ceded vCPU with a pending interrupt is woken here.
   */
  beginSlice(id: number): boolean {
    const processor = this.processors.find(id);
    if (!processor) return false;
    const { port } = processor;
    if (port.state === 'running') {
      processor.dispatch(DISPATCHED.timeSlice);
      return true;
    }
    if (port.state !== 'ceded' || !port.interruptPending()) return false;
    const external = (this.xics.presenter(id)?.xisr ?? 0) !== 0;
    processor.wake(external ? DISPATCHED.external : DISPATCHED.decrementer);
    return true;
  }

  /** The scheduler takes the processor away from vCPU `id`. A lone vCPU is never said to be preempted. */
  endSlice(id: number): void {
    if (this.processors.all.length > 1) this.processors.find(id)?.preempt();
  }

  /** The deadline given to PartitionPort.setTimer has come. */
  timerExpired(): void {
    this.watchdogs.expire();
  }

  /** Asks the guest to shut down, as a power button does. */
  requestShutdown(): void {
    this.platformEvents.requestShutdown();
  }

  /** Sends a system reset interrupt to vCPU `id`, waking it; a stopped or unknown one ignores it. */
  systemReset(id: number): void {
    const processor = this.processors.find(id);
    if (processor) this.deliverSystemReset(processor);
  }

  /** Where RTAS was instantiated (layout.ts); false if the area is not RAM. */
  setRtasArea(baseGra: number): boolean {
    return this.nmi.setArea(baseGra);
  }

  /** Power-on state, except for clock, NVRAM and counts. The machine resets vCPUs and memory. */
  reset(): void {
    this.xics.reset();
    this.terminals.reset();
    this.mode.reset();
    this.watchdogs.reset();
    this.nmi.reset();
    this.platformEvents.reset();
    this.messageInterrupts.reset();
    this.secureGuest?.reset();
    for (const processor of this.processors.all) processor.reset();
  }

  private registerHcalls(options: HypervisorOptions): void {
    const { view, partition, config, mmio } = options;
    const { processors } = this;
    const rtas: HcallDefinition = {
      token: H_RTAS_TOKEN,
      name: 'H_RTAS',
      inputs: 1,
      outputs: 0,
      handler: (call) => {
        const gra = logicalAddress(call.arg(0));
        return gra === undefined ? H_PARAMETER : this.rtas.call(call.vcpu, gra, call.carried);
      },
      ref: 'private: the stub of rtas/layout.ts',
    };
    for (const definition of [
      ...processorHcalls({ processors, partition }),
      ...memoryHcalls({ view, mmio }),
      ...tceHcalls({ bridges: options.bridges ?? [], view }),
      ...terminalHcalls(this.terminals),
      ...interruptHcalls(this.xics),
      ...vpaHcalls({ processors, view, sharedProcessors: config.sharedProcessors }),
      ...schedulingHcalls({ processors, systemReset: (processor) => this.deliverSystemReset(processor) }),
      ...this.mode.hcalls(),
      ...this.watchdogs.hcalls(),
      ...(this.secureGuest?.hcalls() ?? []),
      rtas,
    ]) {
      this.table.add(definition);
    }
  }

  private registerServices(options: HypervisorOptions): void {
    const { view, partition, config, bridges = [] } = options;
    const { processors, xics } = this;
    for (const service of [
      ...this.clock.services(),
      ...powerServices(partition, this.events),
      ...processorServices({ processors, xics, partition }),
      ...interruptServices(xics),
      ...this.nvram.services(),
      ...systemParameterServices({
        name: config.name,
        uuid: config.uuid,
        memoryBytes: view.sizeBytes,
        vcpuCount: options.vcpus.length,
      }),
      ...this.platformEvents.services(),
      ...this.nmi.services(),
      ...configServices(bridges),
      ...this.messageInterrupts.services(),
      ...windowServices(bridges),
    ]) {
      this.rtas.registerService(service);
    }
  }

  private deliverSystemReset(processor: VirtualProcessor): void {
    if (processor.port.state === 'stopped') return;
    if (processor.waiting) processor.wake(DISPATCHED.systemReset);
    this.nmi.deliver(processor, this.processors.all.indexOf(processor));
  }

  private finish(
    vcpu: VcpuPort,
    token: bigint,
    name: string,
    args: readonly bigint[],
    status: number | undefined,
  ): void {
    this.calls.set(name, (this.calls.get(name) ?? 0) + 1);
    if (status !== undefined) vcpu.setGpr(3, BigInt.asUintN(64, BigInt(status)));
    this.events.hcall?.({ vcpu: vcpu.id, token, name, args, status });
  }

  /** Name under which a token without handler is counted; logs it the first time. */
  private nameUnserved(token: bigint): string {
    const known = token <= 0xffff_ffffn ? this.absent.get(Number(token)) : undefined;
    if (known) {
      const name = `${known} (not implemented)`;
      this.log.once(name, `hypercall ${known} is not implemented: H_FUNCTION`);
      return name;
    }
    const name = `unknown 0x${token.toString(16)}`;
    if (this.calls.has(name)) return name;
    if (this.unknownTokens >= MAX_UNKNOWN_TOKENS) return 'unknown, other tokens';
    this.unknownTokens++;
    this.log.once(name, `hypercall with unknown token 0x${token.toString(16)}: H_FUNCTION`);
    return name;
  }
}

/** An Hcall over a vCPU's registers: r4 and up. */
class RegisterCall implements Hcall {
  readonly vcpu: VcpuPort;
  readonly origin: HcallEntry['origin'];
  readonly carried: HostView | undefined;

  constructor(vcpu: VcpuPort, entry: HcallEntry, carried: HostView | undefined) {
    this.vcpu = vcpu;
    this.origin = entry.origin;
    this.carried = carried;
  }
  arg(n: number): bigint {
    return this.vcpu.gpr(4 + n);
  }
  result(n: number, value: bigint): void {
    this.vcpu.setGpr(4 + n, BigInt.asUintN(64, value));
  }
}

function readArguments(vcpu: VcpuPort, count: number): bigint[] {
  return Array.from({ length: count }, (_, n) => vcpu.gpr(4 + n));
}
