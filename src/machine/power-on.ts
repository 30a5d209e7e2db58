// Power-on: registers and memory as the firmware leaves them, and the description of the machine that it builds.

import type { CpuCore } from '../cpu/interpreter/core.ts';
import { MSR } from '../cpu/state/msr.ts';
import { prepareBoot } from '../firmware/boot.ts';
import type { ClientInterface } from '../firmware/client-interface.ts';
import type { KernelImage } from '../firmware/kernel-image.ts';
import { cells, cells64, text } from '../firmware/property.ts';
import type { MachineDescription } from '../firmware/pseries-tree.ts';
import type { Hypervisor } from '../hypervisor/hypervisor.ts';
import { EPOW_IRQ, VIO_IRQ_FIRST } from '../hypervisor/xics/irq-map.ts';
import type { HostView } from '../memory/host-view.ts';
import type { Devices } from '../vmm/devices.ts';
import type { CheckedConfiguration } from './configuration.ts';
import type { GuestConsole } from './console.ts';
import type { EventStream } from './events.ts';
import type { RandomSource } from './random-source.ts';
import type { RunOutcome } from './report.ts';
import { type MachineTime, TIMEBASE_HZ } from './time.ts';
import { PVR_POWER9, type VcpuAdapter } from './vcpu-adapter.ts';

/** Number of the console's virtual terminal: what H_PUT_TERM_CHAR names. */
export const CONSOLE_UNIT = 0x71000000;
/** Unit of memory that could be added, if any could. */
const MEMORY_GRANULE_BYTES = 2 ** 28;

/** What power-on works on. */
export interface PowerOnParts {
  readonly configuration: CheckedConfiguration;
  readonly kernel: KernelImage;
  readonly core: CpuCore;
  readonly vcpus: readonly VcpuAdapter[];
  readonly view: HostView;
  readonly hypervisor: Hypervisor;
  readonly devices: Devices;
  readonly time: MachineTime;
  readonly randomness: RandomSource;
  readonly console: GuestConsole;
  readonly stream: EventStream;
  readonly end: (outcome: RunOutcome) => void;
  readonly warn: (message: string) => void;
}

/** Starts the first vCPU at the kernel. Returns the Open Firmware client interface, if the boot protocol has one. */
export function powerOn(parts: PowerOnParts): ClientInterface | undefined {
  const { core, vcpus, hypervisor, console, configuration } = parts;
  for (const vcpu of vcpus) vcpu.reset();
  core.setShared('processTableBytes', 0n);
  core.setShared('randomState', parts.randomness.next());
  core.flushTranslations();
  const boot = prepareBoot(parts.view, {
    protocol: configuration.protocol ?? 'open-firmware',
    machine: description(parts),
    kernel: parts.kernel,
    initrd: configuration.initrd,
    ...(parts.devices.bounceArea && { reserved: parts.devices.bounceArea }),
    consoles: new Map([
      [CONSOLE_UNIT, { write: (bytes) => console.written(bytes), read: (max) => console.firmwareInput(max) }],
    ]),
    host: {
      milliseconds: () => Math.floor(parts.time.seconds * 1000),
      startCpu: (server, entryGra, r3) => {
        const vcpu = vcpus[server];
        if (vcpu?.state !== 'stopped') return false;
        vcpu.start(entryGra, BigInt(r3));
        return true;
      },
      clientEnded: (how) => parts.end({ reason: 'power-off', message: `the Open Firmware client called ${how}` }),
      event: (event) => {
        if (event.kind === 'rtas-instantiated') hypervisor.setRtasArea(event.baseGra);
        if (event.kind === 'client-architecture-support' && !event.outcome.agreed) {
          parts.warn(`client-architecture-support refused: ${event.outcome.reason}`);
        }
        parts.stream.emit({ category: 'firmware', event });
      },
    },
  });
  if (boot.rtasBaseGra !== undefined) hypervisor.setRtasArea(boot.rtasBaseGra);
  const first = core.vcpus[0];
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
  vcpus[0].state = 'running';
  return boot.clientInterface;
}

function description(parts: PowerOnParts): Omit<MachineDescription, 'initrd'> {
  const { hypervisor } = parts;
  return {
    memoryBytes: parts.view.sizeBytes,
    cpus: parts.vcpus.length,
    pvr: Number(PVR_POWER9),
    timebaseHz: TIMEBASE_HZ,
    decimalFloat: true,
    bootargs: parts.configuration.append ?? '',
    rtasServices: hypervisor.rtas.services(),
    // A panicking kernel tells through ibm,os-term only if it is told that the call returns.
    rtasProperties: {
      'ibm,extended-os-term': text(''),
      // Nothing can be added, but Linux from 6.12 on takes the size of a DMA window for all memory from here: the end
      // of memory, the granule, and the number of processors.
      'ibm,lrdr-capacity': lrdrCapacity(parts.view.sizeBytes, parts.vcpus.length),
    },
    hypertas: hypervisor.hypertasFunctions(),
    vtys: [{ unit: CONSOLE_UNIT, interrupt: VIO_IRQ_FIRST }],
    rngSeed: parts.randomness.bytes(32),
    randomHcall: true,
    epowInterrupt: EPOW_IRQ,
    addNodes: (tree) => parts.devices.addNodes(tree, (service) => hypervisor.rtas.token(service)),
  };
}

/** LoPAR B.6.3.1: the most memory and processors that the partition can have. */
function lrdrCapacity(memoryBytes: number, cpus: number): Uint8Array<ArrayBuffer> {
  return Uint8Array.of(...cells64(memoryBytes, MEMORY_GRANULE_BYTES), ...cells(cpus));
}
