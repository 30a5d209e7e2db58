// What a machine is made of: the configuration that programs give, checked.

import { MAX_RAM_BYTES, MAX_VCPUS } from '../cpu/state/memory-map.ts';
import type { BootProtocol } from '../firmware/boot.ts';
import { VIOLATION_POLICIES, type ViolationPolicy } from '../memory/checked-host-view.ts';
import { MIN_SECURE_BYTES } from '../ultravisor/secure-frames.ts';
import { UsageError } from '../util/errors.ts';
import type { DeviceRequest } from '../vmm/devices.ts';
import { DMA_POLICIES, type DmaPolicy, isDmaPolicy } from '../vmm/dma-policy.ts';
import type { ClockMode } from './time.ts';

export interface MachineConfiguration {
  /** vmlinux or zImage.pseries (ELF), possibly compressed. */
  readonly kernel: Uint8Array;
  /** What messages call the kernel. */
  readonly kernelName?: string;
  /** System.map or vmlinux of the kernel, for names in reports. Default: the kernel's own, unless it is stripped. */
  readonly symbols?: Uint8Array;
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
  /** When virtio devices go through the platform's translation: see DMA_POLICIES. Default `transition`. */
  readonly dmaPolicy?: DmaPolicy;
  /** False: no ultravisor, so that the guest cannot turn secure. Default true. */
  readonly ultravisor?: boolean;
  /** The ultravisor's private key, which opens sealed images: RSA, PEM, without a passphrase. */
  readonly ultravisorKey?: string;
  /** UV_ESM refuses images that are not sealed. */
  readonly requireSealed?: boolean;
  /**
   * Secure memory of a VM that has turned secure, in bytes, at least 16 MiB: what does not fit is paged out to the
   * hypervisor, encrypted. Shared pages do not count. Default: enough for all of the guest's memory.
   */
  readonly secureMemoryBytes?: number;
  /** What becomes of accesses to secure memory. Default `block`. */
  readonly onViolation?: ViolationPolicy;
  /**
   * Size of the pages in which a secure guest counts and shares memory: 65536, or 4096. Default: as the device tree tells
   * that the guest's prom_init made, and 65536 if it does not.
   */
  readonly securePageBytes?: 0x10000 | 0x1000;
  /** False: everything is interpreted, nothing compiled. Default true. It changes speed and nothing else. */
  readonly compiler?: boolean;
  /**
   * Where regions are compiled: `inline`, while the vCPU that wants them waits, which is the default, or `beside` the vCPUs,
   * on another thread, where the host has them. It changes speed and nothing else.
   */
  readonly compile?: 'beside' | 'inline';
  /** Called with each compiled region, as text for people: guest code, structure, WebAssembly. */
  readonly onRegion?: (text: string) => void;
  /** Notes where the guest spends its instructions, for `Machine.profile`. */
  readonly profile?: boolean;
  /** Event categories that `events()` gives when it is not told which. */
  readonly trace?: readonly string[];
}

/** A configuration whose values are in range. */
export interface CheckedConfiguration extends MachineConfiguration {
  readonly memoryBytes: number;
  readonly cpus: number;
  readonly onViolation: ViolationPolicy;
  readonly dmaPolicy: DmaPolicy;
}

/** Fills in the sizes. Throws UsageError naming what is out of range. */
export function checkConfiguration(configuration: MachineConfiguration): CheckedConfiguration {
  const { memoryBytes = 2 ** 30, cpus = 1, onViolation = 'block', dmaPolicy = 'transition' } = configuration;
  if (!Number.isInteger(cpus) || cpus < 1 || cpus > MAX_VCPUS) {
    throw new UsageError('cpus', `A machine has 1 to ${MAX_VCPUS} CPUs, not ${cpus}.`);
  }
  if (!Number.isInteger(memoryBytes) || memoryBytes < 2 ** 26 || memoryBytes > MAX_RAM_BYTES || memoryBytes % 2 ** 20) {
    throw new UsageError(
      'memory',
      `A machine has 64 to ${MAX_RAM_BYTES / 2 ** 20} MiB of memory, not ${memoryBytes} bytes.`,
    );
  }
  if (!VIOLATION_POLICIES.includes(onViolation)) {
    throw new UsageError(
      'violation',
      `There is no policy "${onViolation}"; there are ${VIOLATION_POLICIES.join(', ')}.`,
    );
  }
  const { secureMemoryBytes } = configuration;
  if (
    secureMemoryBytes !== undefined &&
    !(secureMemoryBytes >= MIN_SECURE_BYTES && secureMemoryBytes % 0x10000 === 0)
  ) {
    throw new UsageError(
      'secure-memory',
      `Secure memory is at least 16 MiB, in whole 64 KiB, not ${secureMemoryBytes} bytes.`,
    );
  }
  if (!isDmaPolicy(dmaPolicy)) {
    const names = Object.keys(DMA_POLICIES).join(', ');
    throw new UsageError('dma-policy', `There is no DMA policy "${dmaPolicy}"; there are ${names}.`);
  }
  const { compile, compiler, onRegion } = configuration;
  if (compile !== undefined && compile !== 'beside' && compile !== 'inline') {
    throw new UsageError('compile', `Regions are compiled "beside" or "inline", not "${compile}".`);
  }
  if (compile === 'beside' && onRegion) {
    throw new UsageError('compile', 'Regions can be dumped where they are compiled "inline" only; leave out "beside".');
  }
  if (compile !== undefined && compiler === false) {
    throw new UsageError('compile', `Without the compiler nothing is compiled "${compile}"; leave out one of the two.`);
  }
  return { ...configuration, memoryBytes, cpus, onViolation, dmaPolicy };
}
