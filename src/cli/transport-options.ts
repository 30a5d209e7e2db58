// The options that all virtio devices share: how they sit on the bus and what rings they offer.

import { UsageError } from '../util/errors.ts';
import type { TransportOptions } from '../vmm/virtio-devices.ts';
import { type GivenOption, type OptionRow, optionValue } from './option-list.ts';

export const flag = (name: string, help: string, preset = false): OptionRow => ({
  name,
  takes: { kind: 'flag', preset },
  help,
});

/** What every virtio device has. */
export const TRANSPORT_ROWS: readonly OptionRow[] = [
  flag('transitional', 'offer the legacy interface too'),
  flag('packed', 'do not offer packed rings', true),
  flag('indirect', 'do not offer indirect descriptors', true),
  flag('event-idx', 'do not offer event indices', true),
  flag('in-order', 'offer to return buffers in order'),
  flag('platform', 'offer ACCESS_PLATFORM: memory through the TCE tables'),
  flag('order-platform', 'offer ORDER_PLATFORM'),
  flag('msix', 'interrupt through the pin only', true),
  { name: 'bridge', takes: { kind: 'number', min: 0, max: 1 }, help: 'PCI host bridge' },
  { name: 'slot', takes: { kind: 'number', min: 0, max: 31 }, help: 'PCI slot; the lowest free one if not given' },
];

export function transportOf(given: readonly GivenOption[]): TransportOptions {
  const on = (name: string, preset: boolean) => (optionValue(given, name) as boolean | undefined) ?? preset;
  return {
    transitional: on('transitional', false),
    accessPlatform: on('platform', false),
    msix: on('msix', true),
    rings: {
      packed: on('packed', true),
      indirect: on('indirect', true),
      eventIdx: on('event-idx', true),
      inOrder: on('in-order', false),
      orderPlatform: on('order-platform', false),
    },
  };
}

export function placeOf(given: readonly GivenOption[]): { bridge?: number; slot?: number } {
  return {
    bridge: optionValue(given, 'bridge') as number | undefined,
    slot: optionValue(given, 'slot') as number | undefined,
  };
}

export function checkTransport(option: string, given: readonly GivenOption[]): void {
  if (optionValue(given, 'transitional') === true && optionValue(given, 'platform') === true) {
    throw new UsageError(
      'BAD_OPTION',
      `${option} takes transitional or platform, not both: the legacy interface knows no ACCESS_PLATFORM.`,
    );
  }
}
