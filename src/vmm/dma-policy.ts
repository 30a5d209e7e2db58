// When a virtio device goes through the platform's translation: the alternatives of the kernel thread "Virtio uses DMA API
// for all devices" (2018) as policies of one machine, and the walk over its devices at the transition.
//
//   transition  plain until the hypervisor learns that the VM has turned secure, then all of them through the platform
//   creation    through the platform from power-on
//   quirk       plain until the guest pokes a bit in the device, a vendor capability of its configuration space
//   window      through the platform from power-on, with no window but a small one onto memory that the device tree sets
//               aside for bouncing
//   legacy      plain for ever
//
// A device whose kind ignores the platform (the balloon) is plain under every policy.

import type { PciDevice } from '../pci/device.ts';
import type { DmaMode } from '../pci/dma-space.ts';
import { UsageError } from '../util/errors.ts';
import type { LiveReset } from '../virtio/core/device.ts';
import { VirtioPci } from '../virtio/transport/virtio-pci.ts';

export type DmaPolicy = 'transition' | 'creation' | 'quirk' | 'window' | 'legacy';

/** Each policy with a line for help texts. */
export const DMA_POLICIES: Readonly<Record<DmaPolicy, string>> = {
  transition: 'plain until the guest turns secure; then the machine switches every virtio device (the default)',
  creation: 'ACCESS_PLATFORM from power-on, as for a VM of which it is known that it will turn secure',
  quirk: 'plain until the guest switches a device itself, through a vendor capability of its configuration space',
  window: 'ACCESS_PLATFORM from power-on, through a small window onto memory that the device tree sets aside',
  legacy: 'ACCESS_PLATFORM is never offered',
};

export function isDmaPolicy(name: string): name is DmaPolicy {
  return Object.hasOwn(DMA_POLICIES, name);
}

/**
 * Why a device was switched: the hypercall that told of the transition, the end of the secure VM, a reset of the machine,
 * or the guest's poke.
 */
export type DmaSwitchCause = 'H_SVM_INIT_DONE' | 'normal again' | 'machine reset' | 'guest';

export interface DmaMoment {
  /** Retired by all vCPUs. */
  readonly instructions: bigint;
  readonly guestSeconds: number;
}

/** One switch of one device. */
export interface DmaSwitch extends DmaMoment {
  readonly from: DmaMode;
  readonly to: DmaMode;
  readonly cause: DmaSwitchCause;
  /** The driver that it was taken from, if one had it. */
  readonly reset?: LiveReset;
}

/** For the stream of events. */
export interface DmaSwitchEvent extends DmaSwitch {
  readonly device: string;
}

/** Kept for each device; a guest that pokes without end does not use up the host's memory. */
const MAX_SWITCHES = 100;

export interface DmaControlOptions {
  readonly policy: DmaPolicy;
  readonly now: () => DmaMoment;
  readonly switched?: (event: DmaSwitchEvent) => void;
}

export class DmaControl {
  readonly policy: DmaPolicy;
  private readonly options: DmaControlOptions;
  /** How each device is at power-on. */
  private readonly home = new Map<VirtioPci, DmaMode>();
  private readonly history = new Map<VirtioPci, DmaSwitch[]>();

  constructor(options: DmaControlOptions) {
    this.options = options;
    this.policy = options.policy;
  }

  /** Applies the policy to a device that is about to be plugged. Throws UsageError for one that contradicts it. */
  adopt(device: PciDevice): void {
    if (!(device instanceof VirtioPci)) return;
    const { policy } = this;
    const fromPowerOn = policy === 'creation' || policy === 'window';
    if (fromPowerOn && device.transitional) {
      throw new UsageError(
        'dma-policy',
        `${device.device.name} cannot be transitional under the DMA policy "${policy}": the legacy interface knows no ACCESS_PLATFORM.`,
      );
    }
    if (policy === 'legacy' && device.dmaMode === 'platform') {
      throw new UsageError(
        'dma-policy',
        `${device.device.name} cannot offer ACCESS_PLATFORM under the DMA policy "legacy", which never does.`,
      );
    }
    if (fromPowerOn) device.switchDma('platform');
    if (policy === 'quirk') device.offerDmaRegister((mode) => this.switch(device, mode, 'guest'));
    this.home.set(device, device.dmaMode);
    this.history.set(device, []);
  }

  /** The VM has become secure: the walk. */
  turnedSecure(): void {
    if (this.policy !== 'transition') return;
    for (const device of this.home.keys()) this.switch(device, 'platform', 'H_SVM_INIT_DONE');
  }

  /** The VM is a normal one again, or has not become a secure one. */
  turnedNormal(): void {
    if (this.policy !== 'transition') return;
    for (const [device, mode] of this.home) this.switch(device, mode, 'normal again');
  }

  /** The machine starts anew; the devices have been reset. */
  machineReset(): void {
    for (const [device, mode] of this.home) this.switch(device, mode, 'machine reset');
  }

  /** What has become of a device; undefined for one that is no virtio device. */
  switches(device: PciDevice): readonly DmaSwitch[] | undefined {
    return this.history.get(device as VirtioPci);
  }

  private switch(device: VirtioPci, to: DmaMode, cause: DmaSwitchCause): void {
    const from = device.dmaMode;
    const reset = device.switchDma(to);
    // The balloon stays as it is.
    if (device.dmaMode === from && !reset) return;
    const record = { from, to: device.dmaMode, cause, ...this.options.now(), ...(reset && { reset }) };
    const records = this.history.get(device)!;
    if (records.length < MAX_SWITCHES) records.push(record);
    this.options.switched?.({ device: device.device.name, ...record });
  }
}

/** Memory that the device tree sets aside. */
export interface BounceArea {
  readonly gra: number;
  readonly lenBytes: number;
}

const MAX_BOUNCE_BYTES = 64 * 2 ** 20;
/** At most this part of memory. */
const BOUNCE_FRACTION = 8;

/** Where devices may reach under the policy `window`: the end of memory. */
export function bounceArea(memoryBytes: number): BounceArea {
  const wanted = 2 ** Math.floor(Math.log2(memoryBytes / BOUNCE_FRACTION));
  const lenBytes = Math.min(wanted, MAX_BOUNCE_BYTES);
  return { gra: memoryBytes - lenBytes, lenBytes };
}
