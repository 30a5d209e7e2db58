// Makers of virtio PCI devices: a kind with its backend on a transport.

import type { BlockBackend } from '../backends/block-backend.ts';
import type { EntropyBackend } from '../backends/entropy-backend.ts';
import type { NetBackend } from '../backends/net/net-backend.ts';
import type { ShareBackend } from '../backends/share-backend.ts';
import type { VsockBackend } from '../backends/vsock-backend.ts';
import type { DevicePorts } from '../device/ports.ts';
import type { PciBus } from '../pci/function.ts';
import type { DeviceKind } from '../virtio/core/device.ts';
import { VirtioNineP } from '../virtio/devices/9p/device.ts';
import { VirtioBalloon } from '../virtio/devices/balloon/device.ts';
import { VirtioBlock, type VirtioBlockOptions } from '../virtio/devices/block/device.ts';
import { VirtioConsole, type VirtioConsoleOptions } from '../virtio/devices/console/device.ts';
import { VirtioNet, type VirtioNetOptions } from '../virtio/devices/net/device.ts';
import { VirtioRng } from '../virtio/devices/rng/device.ts';
import { VirtioScsi, type VirtioScsiOptions } from '../virtio/devices/scsi/device.ts';
import { VirtioVsock } from '../virtio/devices/vsock/device.ts';
import { VirtioPci, type VirtioPciOptions } from '../virtio/transport/virtio-pci.ts';
import type { DeviceMaker } from './devices.ts';

/** How any virtio device sits on the bus and what rings it offers. */
export type TransportOptions = Omit<VirtioPciOptions, 'warn'>;

function onPci(
  makeKind: (ports: DevicePorts) => DeviceKind,
  options: TransportOptions,
): (bus: PciBus, ports: DevicePorts) => VirtioPci {
  return (bus, ports) =>
    new VirtioPci(makeKind(ports), bus, { ...options, warn: (message) => ports.log.warn(message) });
}

export function virtioBlock(
  backend: BlockBackend,
  options: Omit<VirtioBlockOptions, 'backend' | 'events' | 'log'> = {},
  transport: TransportOptions = {},
): DeviceMaker {
  return onPci(({ events, log }) => new VirtioBlock({ ...options, backend, events, log }), transport);
}

/** `made` is handed the controller, through which units come and go. */
export function virtioScsi(
  options: Omit<VirtioScsiOptions, 'events' | 'log'>,
  transport: TransportOptions = {},
  made: (controller: VirtioScsi) => void = () => {},
): DeviceMaker {
  return onPci(({ events, log }) => {
    const controller = new VirtioScsi({ ...options, events, log });
    made(controller);
    return controller;
  }, transport);
}

export function virtioRng(entropy: EntropyBackend, transport: TransportOptions = {}): DeviceMaker {
  return onPci(() => new VirtioRng(entropy), transport);
}

export function virtioConsole(
  options: Omit<VirtioConsoleOptions, 'events'>,
  transport: TransportOptions = {},
): DeviceMaker {
  return onPci(({ events }) => new VirtioConsole({ ...options, events }), transport);
}

/** `makeBackend` is handed the machine's time and events, which a network lives by. */
export function virtioNet(
  makeBackend: (ports: DevicePorts) => NetBackend,
  options: Omit<VirtioNetOptions, 'backend'>,
  transport: TransportOptions = {},
): DeviceMaker {
  return onPci((ports) => new VirtioNet({ clock: ports.clock, ...options, backend: makeBackend(ports) }), transport);
}

/** `made` is handed the device, through which the balloon is set and read. */
export function virtioBalloon(
  made: (balloon: VirtioBalloon) => void = () => {},
  transport: TransportOptions = {},
): DeviceMaker {
  return (bus, ports) => {
    const balloon = new VirtioBalloon(bus.view.sizeBytes);
    made(balloon);
    return onPci(() => balloon, transport)(bus, ports);
  };
}

/** A folder that the guest mounts by `tag`, 1 to 31 bytes. */
export function virtioNineP(backend: ShareBackend, tag: string, transport: TransportOptions = {}): DeviceMaker {
  return onPci(({ events }) => new VirtioNineP({ tag, backend, events }), transport);
}

/** Stream sockets between guest and host; `guestCid` is the guest's number, 3 and up. */
export function virtioVsock(backend: VsockBackend, guestCid?: number, transport: TransportOptions = {}): DeviceMaker {
  return onPci(({ events }) => new VirtioVsock({ backend, events, guestCid }), transport);
}
