// `--net` and `--pcap`: network cards, and what their wires end in on this machine.

import { closeSync, openSync, writeSync } from 'node:fs';
import { isIP } from 'node:net';
import type { NetBackend } from '../backends/net/net-backend.ts';
import { parseIpv4 } from '../backends/net/packet.ts';
import { capture } from '../backends/net/pcap.ts';
import { type PortForward, UserNetwork } from '../backends/net/user-network.ts';
import { nodeSockets } from '../backends/node/net/node-sockets.ts';
import { type StreamAddress, StreamBackend } from '../backends/node/net/stream-backend.ts';
import type { DevicePorts } from '../device/ports.ts';
import type { ClockMode } from '../machine/time.ts';
import { PowervisorError, UsageError } from '../util/errors.ts';
import { MAX_NET_PAIRS } from '../virtio/devices/net/config.ts';
import type { DeviceRequest } from '../vmm/devices.ts';
import { virtioNet } from '../vmm/virtio-devices.ts';
import { fileProblem } from './guest-file.ts';
import { type GivenOption, type OptionRow, optionValue, parseOptionList } from './option-list.ts';
import { checkTransport, placeOf, TRANSPORT_ROWS, transportOf } from './transport-options.ts';

const CARD_ROWS: readonly OptionRow[] = [
  { name: 'mac', takes: { kind: 'text' }, help: 'hardware address, such as 52:54:00:12:34:56' },
  { name: 'pairs', takes: { kind: 'number', min: 1, max: MAX_NET_PAIRS }, help: 'pairs of queues' },
  { name: 'offloads', takes: { kind: 'flag', preset: true }, help: 'do not offer checksums and segmentation' },
  { name: 'mergeable', takes: { kind: 'flag', preset: true }, help: 'do not offer mergeable receive buffers' },
  ...TRANSPORT_ROWS,
];
const USER_ROWS: readonly OptionRow[] = [
  { name: 'hostfwd', takes: { kind: 'text' }, repeats: true, help: 'tcp|udp:[ADDR]:PORT-[ADDR]:PORT' },
  {
    name: 'dns',
    takes: { kind: 'text' },
    help: 'name server to ask instead of the one this machine asks, ADDR[:PORT]',
  },
  ...CARD_ROWS,
];
const STREAM_ROWS: readonly OptionRow[] = [
  { name: 'server', takes: { kind: 'flag' }, help: 'wait for the peer instead of connecting' },
  ...CARD_ROWS,
];

/** The first card's address; the next ones count up. */
const FIRST_MAC = 0x525400123456;
const GUEST = '10.0.2.15';
const LOOPBACK = '127.0.0.1';
/** What the virtual clock's first moment is in a capture, as in the guest: 2026-01-01. */
const VIRTUAL_START_MS = Date.UTC(2026, 0, 1);

export type NetOption =
  | { readonly kind: 'none' }
  | {
      readonly kind: 'user';
      readonly forwards: readonly PortForward[];
      readonly dns: Place | undefined;
      readonly given: Given;
    }
  | { readonly kind: 'stream'; readonly address: StreamAddress; readonly given: Given };

type Given = readonly GivenOption[];
type Place = { readonly address: string; readonly port: number };

/** `--net` as written. Throws a UsageError for what cannot be. */
export function parseNet(text: string): NetOption {
  const [kind, ...rest] = text.split(/,(.*)/s);
  const list = rest[0] ?? '';
  switch (kind) {
    case 'none':
      if (list !== '') throw usage(`--net none takes no options, not "${list}".`);
      return { kind };
    case 'user': {
      const given = checked(parseOptionList('--net user', list, USER_ROWS));
      const forwards = given.filter(({ name }) => name === 'hostfwd').map(({ value }) => parseForward(value as string));
      const dns = optionValue(given, 'dns') as string | undefined;
      return { kind, forwards, dns: dns === undefined ? undefined : parseNameServer(dns), given };
    }
    case 'stream': {
      const [place, options] = [list.split(',', 1)[0], list.includes(',') ? list.slice(list.indexOf(',') + 1) : ''];
      if (place === '') throw usage('--net stream needs where to: stream,PATH of a unix socket or stream,HOST:PORT.');
      const given = checked(parseOptionList('--net stream', options, STREAM_ROWS));
      return { kind, address: parseStreamAddress(place), given };
    }
    default:
      throw usage(`--net is user, stream or none, not "${kind}".`);
  }
}

/** The cards of one run. */
export class Networks {
  /** There is a card. */
  readonly any: boolean;
  private readonly options: readonly NetOption[];
  private readonly warn: (message: string) => void;
  private readonly file: CaptureFile | undefined;
  private readonly waiting: (() => Promise<void>)[] = [];

  /** Throws a UsageError for options that contradict each other, and a PowervisorError if the capture cannot be written. */
  constructor(options: readonly NetOption[], pcap: string | undefined, warn: (message: string) => void) {
    if (options.length > 1 && options.some(({ kind }) => kind === 'none')) {
      throw usage('--net none says that there is no network; leave it or the other --net out.');
    }
    this.options = options;
    this.warn = warn;
    this.any = options.some(({ kind }) => kind !== 'none');
    if (pcap !== undefined && !this.any) throw usage('--pcap needs a network card: --net user or --net stream.');
    this.file = pcap === undefined ? undefined : new CaptureFile(pcap, warn);
  }

  /** What to plug. */
  requests(clock: ClockMode): DeviceRequest[] {
    const startUs = (clock === 'host' ? Date.now() : VIRTUAL_START_MS) * 1000;
    const requests: DeviceRequest[] = [];
    for (const option of this.options) {
      if (option.kind === 'none') continue;
      const { given } = option;
      const make = virtioNet(
        (ports) => {
          const backend = this.backend(option, ports);
          const { file } = this;
          if (!file) return backend;
          return capture(backend, file.writer(), () => startUs + ports.clock.nowNs() / 1000);
        },
        {
          mac: parseMac(optionValue(given, 'mac') as string | undefined, requests.length),
          pairs: optionValue(given, 'pairs') as number | undefined,
          offloads: optionValue(given, 'offloads') as boolean | undefined,
          mergeable: optionValue(given, 'mergeable') as boolean | undefined,
        },
        transportOf(given),
      );
      requests.push({ make, ...placeOf(given) });
    }
    return requests;
  }

  /** Opens what the cards made for a machine need of this machine. Rejects with a PowervisorError. */
  async open(): Promise<void> {
    for (const open of this.waiting) await open();
  }

  close(): void {
    this.file?.close();
  }

  private backend(option: Exclude<NetOption, { kind: 'none' }>, ports: DevicePorts): NetBackend {
    const { warn } = this;
    if (option.kind === 'user') {
      const { forwards, dns } = option;
      const network = new UserNetwork({ ...ports, sockets: nodeSockets, forwards, nameServer: dns, warn });
      this.waiting.push(() => network.listen());
      return network;
    }
    const listen = optionValue(option.given, 'server') === true;
    const stream = new StreamBackend({ address: option.address, listen, events: ports.events, warn });
    this.waiting.push(() => stream.open());
    return stream;
  }
}

/** A capture file that several cards may share. */
class CaptureFile {
  private readonly descriptor: number;
  private readonly warn: (message: string) => void;
  private started = false;
  private broken = false;

  constructor(path: string, warn: (message: string) => void) {
    this.warn = warn;
    try {
      this.descriptor = openSync(path, 'w');
    } catch (cause) {
      throw new PowervisorError('PCAP', `Cannot write the capture ${path}: ${fileProblem(cause)}.`, { cause });
    }
  }

  /** For one card: its first bytes are the header, of which the file has one. */
  writer(): (bytes: Uint8Array) => void {
    let header = true;
    return (bytes) => {
      const skip = header && this.started;
      header = false;
      this.started = true;
      if (!skip) this.write(bytes);
    };
  }

  close(): void {
    this.broken = true;
    closeSync(this.descriptor);
  }

  private write(bytes: Uint8Array): void {
    if (this.broken) return;
    try {
      for (let done = 0; done < bytes.length; ) done += writeSync(this.descriptor, bytes, done);
    } catch (cause) {
      this.broken = true;
      this.warn(`the capture ends here: ${fileProblem(cause)}.`);
    }
  }
}

function checked(given: Given): Given {
  checkTransport('--net', given);
  parseMac(optionValue(given, 'mac') as string | undefined, 0);
  return given;
}

/** `tcp:[ADDR]:PORT-[ADDR]:PORT`. Without an address the host's port is on the loopback address only. */
function parseForward(text: string): PortForward {
  const match = /^(tcp|udp):([^:]*):(\d{1,5})-([^:]*):(\d{1,5})$/.exec(text);
  const ports = match ? [Number(match[3]), Number(match[5])] : [];
  const addresses = match ? [match[2] || LOOPBACK, match[4] || GUEST] : [];
  const right =
    match &&
    ports.every((port) => port <= 65535) &&
    ports[1] > 0 &&
    addresses.every((each) => parseIpv4(each) !== undefined);
  if (!right) throw usage(`--net takes hostfwd=tcp::2222-:22, or with IPv4 addresses before the ports, not "${text}".`);
  return {
    protocol: match[1] as 'tcp' | 'udp',
    hostAddress: addresses[0],
    hostPort: ports[0],
    guestAddress: addresses[1],
    guestPort: ports[1],
  };
}

function parseNameServer(text: string): Place {
  const match = /^(?:\[(.+)\]|([\d.]+)|([\da-f:]+))(?::(\d{1,5}))?$/i.exec(text);
  const bare = isIP(text) > 0;
  const address = bare ? text : (match?.[1] ?? match?.[2] ?? '');
  const port = bare ? 53 : Number(match?.[4] ?? 53);
  if (isIP(address) === 0 || port < 1 || port > 65535) {
    throw usage(`--net takes dns=ADDR, ADDR:PORT or [ADDR]:PORT with an IP address, not "${text}".`);
  }
  return { address, port };
}

function parseStreamAddress(text: string): StreamAddress {
  const match = text.includes('/') ? null : /^(.+):(\d{1,5})$/.exec(text);
  return match && Number(match[2]) <= 65535 ? { host: match[1], port: Number(match[2]) } : { path: text };
}

function parseMac(text: string | undefined, index: number): Uint8Array {
  const value = text ?? (FIRST_MAC + index).toString(16).replace(/..(?!$)/g, '$&:');
  const bytes = /^([\da-f]{2}:){5}[\da-f]{2}$/i.test(value)
    ? value.split(':').map((part) => Number.parseInt(part, 16))
    : [];
  if (bytes.length === 6 && (bytes[0] & 1) === 0) return Uint8Array.from(bytes);
  throw usage(`--net takes a mac such as 52:54:00:12:34:56, one that is not for groups, not "${value}".`);
}

function usage(message: string): UsageError {
  return new UsageError('BAD_OPTION', message);
}
