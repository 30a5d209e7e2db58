// `--device`: which devices a machine gets besides disks and network cards, and their backends on this machine.

import { SeededEntropy } from '../backends/memory/entropy.ts';
import { FileConsole, SocketConsole } from '../backends/node/console.ts';
import { nodeEntropy } from '../backends/node/entropy.ts';
import { UsageError } from '../util/errors.ts';
import { MAX_CONSOLE_PORTS } from '../virtio/devices/console/config.ts';
import type { ConsolePortOptions } from '../virtio/devices/console/device.ts';
import type { DeviceMaker, DeviceRequest } from '../vmm/devices.ts';
import { virtioBalloon, virtioConsole, virtioRng } from '../vmm/virtio-devices.ts';
import { type DriveOption, openDrives } from './drives.ts';
import { type GivenOption, type OptionRow, optionForm, optionValue, parseOptionList } from './option-list.ts';
import { checkTransport, placeOf, TRANSPORT_ROWS, transportOf } from './transport-options.ts';

/** What a device may ask of the run it is part of. */
export interface DeviceContext {
  /** Seed of a repeatable run; undefined: the host's random numbers. */
  readonly seed: number | undefined;
}

interface DeviceRow {
  readonly help: string;
  readonly rows: readonly OptionRow[];
  readonly make: (given: readonly GivenOption[], context: DeviceContext) => Promise<DeviceMaker>;
}

const DEVICES: ReadonlyMap<string, DeviceRow> = new Map([
  [
    'virtio-rng',
    {
      help: 'random numbers: of this machine, or from the seed of a repeatable run',
      rows: [],
      make: async (given, { seed }) =>
        virtioRng(seed === undefined ? nodeEntropy : new SeededEntropy(seed), transportOf(given)),
    },
  ],
  [
    'virtio-console',
    {
      help: 'terminals and byte channels; each file or socket adds a port',
      rows: [
        { name: 'name', takes: { kind: 'text' }, repeats: true, help: 'name of the port that comes next' },
        { name: 'file', takes: { kind: 'text' }, repeats: true, help: 'a port that writes to this file' },
        { name: 'socket', takes: { kind: 'text' }, repeats: true, help: 'a port for a client of this unix socket' },
      ],
      make: async (given) => virtioConsole({ ports: await openPorts(given) }, transportOf(given)),
    },
  ],
  [
    'virtio-balloon',
    {
      help: 'lets the guest give memory up, which is counted and not returned to this machine',
      rows: [{ name: 'target', takes: { kind: 'size' }, help: 'memory to ask back from the start' }],
      make: async (given) => {
        const bytes = (optionValue(given, 'target') as number | undefined) ?? 0;
        return virtioBalloon((balloon) => balloon.setTargetBytes(bytes - (bytes % 4096)), transportOf(given));
      },
    },
  ],
]);

/** What to say of devices that have an option of their own. */
const MADE_OTHERWISE: Readonly<Record<string, string | undefined>> = {
  'virtio-blk': ' Disks are made by --drive.',
  'virtio-scsi': ' SCSI disks and their controllers are made by --drive if=scsi.',
  'virtio-net': ' Network cards are made by --net.',
  'virtio-9p': ' Shared folders are made by --share.',
  'virtio-vsock': ' It is made by --vsock.',
};

export interface DeviceOption {
  readonly name: string;
  readonly given: readonly GivenOption[];
}

/** `--device` as written; a string is the help that was asked for instead. Throws a UsageError for what cannot be. */
export function parseDevice(text: string): DeviceOption | string {
  const comma = text.indexOf(',');
  const written = comma < 0 ? text : text.slice(0, comma);
  // `rng` is as good as `virtio-rng`.
  const name = isKnown(`virtio-${written}`) ? `virtio-${written}` : written;
  const rest = comma < 0 ? '' : text.slice(comma + 1);
  if (name === 'help') return deviceHelp();
  const device = DEVICES.get(name);
  if (!device) {
    const others = [...DEVICES.keys()].join(', ');
    const hint = MADE_OTHERWISE[name] ?? '';
    throw usage(`There is no device "${name}"; there are ${others}.${hint}`);
  }
  if (rest === 'help') return rowsHelp(name, device);
  const given = parseOptionList(`--device ${name}`, rest, [...device.rows, ...TRANSPORT_ROWS]);
  checkTransport(`--device ${name}`, given);
  return { name, given };
}

function isKnown(name: string): boolean {
  return DEVICES.has(name) || name in MADE_OTHERWISE;
}

/** Opens the backends and says what to plug. Throws for files that cannot be opened. */
export async function openDevices(
  drives: readonly DriveOption[],
  devices: readonly DeviceOption[],
  context: DeviceContext,
): Promise<DeviceRequest[]> {
  const requests: DeviceRequest[] = await openDrives(drives);
  for (const { name, given } of devices) {
    requests.push({ make: await DEVICES.get(name)!.make(given, context), ...placeOf(given) });
  }
  return requests;
}

async function openPorts(given: readonly GivenOption[]): Promise<ConsolePortOptions[]> {
  const ports: ConsolePortOptions[] = [];
  let portName: string | undefined;
  for (const { name, value } of given) {
    if (name === 'name') portName = value as string;
    if (name !== 'file' && name !== 'socket') continue;
    const path = value as string;
    const backend = name === 'file' ? await FileConsole.open(path) : await SocketConsole.listen(path);
    // A port with a name is a channel of bytes for a program, one without is a terminal.
    ports.push({ backend, name: portName, terminal: portName === undefined });
    portName = undefined;
  }
  if (ports.length >= 1 && ports.length <= MAX_CONSOLE_PORTS) return ports;
  throw usage(`--device virtio-console needs 1 to ${MAX_CONSOLE_PORTS} ports: file=... or socket=..., each one.`);
}

function deviceHelp(): string {
  const lines = [...DEVICES].map(([name, { help }]) => `  ${name.padEnd(16)} ${help}`);
  return [
    'Devices for --device NAME[,options]; --device NAME,help shows the options of one:',
    ...lines,
    `  ${'virtio-blk'.padEnd(16)} disks, which are made by --drive`,
    `  ${'virtio-scsi'.padEnd(16)} controllers of disks, which are made by --drive if=scsi`,
    `  ${'virtio-net'.padEnd(16)} network cards, which are made by --net`,
    `  ${'virtio-9p'.padEnd(16)} folders of this machine, which are made by --share`,
    `  ${'virtio-vsock'.padEnd(16)} sockets between guest and this machine, which are made by --vsock`,
    '',
  ].join('\n');
}

function rowsHelp(name: string, { help, rows }: DeviceRow): string {
  const all = [...rows, ...TRANSPORT_ROWS].map((row) => `  ${optionForm(row).padEnd(20)} ${row.help}`);
  return [`${name}: ${help}`, ...all, ''].join('\n');
}

function usage(message: string): UsageError {
  return new UsageError('BAD_OPTION', message);
}
