// The tree of devices of a machine: host bridges, and the devices plugged into their slots. Everything that concerns all
// devices (reset, the device tree, switching how they reach memory) walks it.

import type { AddressMap } from '../device/address-map.ts';
import type { DevicePorts } from '../device/ports.ts';
import type { DeviceTree } from '../firmware/device-tree.ts';
import type { HostView } from '../memory/host-view.ts';
import type { PciDevice } from '../pci/device.ts';
import type { DmaEvents, DmaMode } from '../pci/dma-space.ts';
import type { PciBus, PciFunction } from '../pci/function.ts';
import { DEVICES_PER_BUS, HostBridge, MAX_HOST_BRIDGES, type PciInterrupts } from '../pci/host-bridge.ts';
import { UsageError } from '../util/errors.ts';
import {
  type BounceArea,
  bounceArea,
  DmaControl,
  type DmaMoment,
  type DmaPolicy,
  type DmaSwitch,
  type DmaSwitchEvent,
} from './dma-policy.ts';
import { addBounceNode, addHostBridgeNode, type TokenOf } from './pci-nodes.ts';

/** Makes a device for the bus it will sit on. */
export type DeviceMaker = (bus: PciBus, ports: DevicePorts) => PciDevice;

/** One device that a machine is to have. */
export interface DeviceRequest {
  readonly make: DeviceMaker;
  /** Host bridge, 0 unless given. */
  readonly bridge?: number;
  /** Slot, 0 to 31; the lowest free one unless given. */
  readonly slot?: number;
}

export interface PluggedDevice {
  readonly device: PciDevice;
  readonly bridge: HostBridge;
  readonly slot: number;
}

export interface DevicesOptions {
  readonly view: HostView;
  readonly map: AddressMap;
  /** Where the interrupts of bridge `index` go. */
  readonly interrupts: (index: number) => PciInterrupts;
  /** 1 or 2. */
  readonly bridges: number;
  readonly ports: DevicePorts;
  /** When virtio devices go through the platform's translation. Default `transition`. */
  readonly dmaPolicy?: DmaPolicy;
  /** Where the machine stands, for the records of switches. */
  readonly now?: () => DmaMoment;
  /** Told of each switch. */
  readonly dmaSwitched?: (event: DmaSwitchEvent) => void;
}

/** A device as reports show it. */
export interface DeviceDescription {
  readonly kind: string;
  /** `bridge:slot`, as in `0:3`. */
  readonly place: string;
  readonly functions: readonly { readonly name: string; readonly id: string; readonly dma: DmaMode }[];
  /** How a virtio device's way to memory was switched, in order. */
  readonly dmaSwitches?: readonly DmaSwitch[];
}

export class Devices {
  readonly bridges: readonly HostBridge[];
  private readonly ports: DevicePorts;
  private readonly plugged: PluggedDevice[] = [];
  private readonly dma: DmaControl;
  /** Under the policy `window`, the memory that the guest is to leave to its devices. */
  readonly bounceArea: BounceArea | undefined;

  /** Throws UsageError for an impossible number of bridges. */
  constructor(options: DevicesOptions) {
    const { bridges, view, map, interrupts, ports } = options;
    if (!Number.isInteger(bridges) || bridges < 1 || bridges > MAX_HOST_BRIDGES) {
      throw new UsageError('bridges', `A machine has 1 or ${MAX_HOST_BRIDGES} PCI host bridges, not ${bridges}.`);
    }
    this.ports = ports;
    this.dma = new DmaControl({
      policy: options.dmaPolicy ?? 'transition',
      now: options.now ?? (() => ({ instructions: 0n, guestSeconds: 0 })),
      ...(options.dmaSwitched && { switched: options.dmaSwitched }),
    });
    this.bounceArea = this.dma.policy === 'window' ? bounceArea(view.sizeBytes) : undefined;
    this.bridges = Array.from(
      { length: bridges },
      (_, index) =>
        new HostBridge({
          index,
          view,
          map,
          interrupts: interrupts(index),
          ...(this.bounceArea && { onlyDmaWindow: this.bounceArea }),
          warn: (message) => ports.log.warn(message),
        }),
    );
  }

  /** Makes and plugs a device. Throws UsageError if the place does not exist or is taken. */
  plug(request: DeviceRequest): PluggedDevice {
    const { bridge: index = 0 } = request;
    const bridge = this.bridges[index];
    if (!bridge) throw new UsageError('bridge', `There is no PCI host bridge ${index}; ${this.bridgeNumbers()}.`);
    const slot = request.slot ?? bridge.freeSlot();
    if (slot === undefined) {
      throw new UsageError('slot', `All ${DEVICES_PER_BUS} slots of PCI host bridge ${index} are taken.`);
    }
    if (!Number.isInteger(slot) || slot < 0 || slot >= DEVICES_PER_BUS) {
      throw new UsageError('slot', `A PCI host bridge has slots 0 to ${DEVICES_PER_BUS - 1}, not ${slot}.`);
    }
    if (bridge.functionAt(slot, 0)) {
      throw new UsageError('slot', `Slot ${slot} of PCI host bridge ${index} is taken; choose another or none.`);
    }
    const device = request.make(bridge, this.ports);
    this.dma.adopt(device);
    bridge.plug(slot, device.functions);
    const plugged = { device, bridge, slot };
    this.plugged.push(plugged);
    return plugged;
  }

  /** In the order of plugging. */
  all(): readonly PluggedDevice[] {
    return this.plugged;
  }

  *functions(): Generator<PciFunction> {
    for (const { device } of this.plugged) yield* device.functions;
  }

  get dmaPolicy(): DmaPolicy {
    return this.dma.policy;
  }

  /** The hypervisor has learnt what the VM is now: switches how the devices reach memory, as the policy says. */
  transition(now: 'normal' | 'started' | 'secure'): void {
    if (now === 'secure') this.dma.turnedSecure();
    if (now === 'normal') this.dma.turnedNormal();
  }

  /** Power-on state of all devices and bridges. */
  reset(): void {
    for (const { device } of this.plugged) device.reset();
    this.dma.machineReset();
    for (const bridge of this.bridges) bridge.reset();
  }

  /** Lets go of what the devices have of the host. */
  async close(): Promise<void> {
    await Promise.all(this.plugged.map(({ device }) => device.close?.()));
  }

  /** Connects a listener for DMA of all devices; undefined members disconnect. */
  listenToDma(events: DmaEvents): void {
    for (const { dmaEvents } of this.bridges) {
      dmaEvents.access = events.access;
      dmaEvents.fault = events.fault;
    }
  }

  /** The nodes of the bridges and their functions. */
  addNodes(tree: DeviceTree, tokenOf: TokenOf): void {
    for (const bridge of this.bridges) addHostBridgeNode(tree, bridge, tokenOf);
    if (this.bounceArea) addBounceNode(tree, this.bounceArea);
  }

  describe(): DeviceDescription[] {
    return this.plugged.map(({ device, bridge, slot }) => ({
      kind: device.kind,
      place: `${bridge.index}:${slot}`,
      functions: device.functions.map(({ name, config, identity, dma }) => ({
        name,
        id: `${hex4(config.vendorId)}:${hex4(identity.deviceId)}`,
        dma: dma.mode,
      })),
      ...(this.dma.switches(device) && { dmaSwitches: this.dma.switches(device)! }),
    }));
  }

  private bridgeNumbers(): string {
    return this.bridges.length === 1 ? 'there is bridge 0' : `there are bridges 0 to ${this.bridges.length - 1}`;
  }
}

function hex4(value: number): string {
  return value.toString(16).padStart(4, '0');
}
