// A DHCP server for the guests of one network (RFC 2131, 2132): DISCOVER, REQUEST, INFORM, DECLINE and RELEASE of a message
// to an answer. Each hardware address keeps its lease; the first one gets the first address.

import { type Bytes, formatMac, putU16, putU32, u16, u32 } from './packet.ts';

const FIXED_BYTES = 240;
const MAGIC = 0x63825363;
const LEASE_SECONDS = 86400;
const MESSAGE = { discover: 1, offer: 2, request: 3, decline: 4, ack: 5, nak: 6, release: 7, inform: 8 } as const;
const OPTION = {
  mask: 1,
  router: 3,
  nameServer: 6,
  requested: 50,
  lease: 51,
  type: 53,
  server: 54,
  renewal: 58,
  rebinding: 59,
  end: 255,
} as const;

export interface DhcpConfig {
  readonly server: number;
  readonly mask: number;
  readonly router: number;
  readonly nameServer: number;
  readonly firstAddress: number;
  readonly addressCount: number;
}

export interface DhcpReply {
  readonly message: Bytes;
  /** Where to: the guest's new address, or all ones. */
  readonly destination: number;
}

export class DhcpServer {
  private readonly config: DhcpConfig;
  private readonly leases = new Map<string, number>();

  constructor(config: DhcpConfig) {
    this.config = config;
  }

  /** Undefined for what is malformed, not for this server, or wants no answer. */
  answer(message: Bytes): DhcpReply | undefined {
    if (message.length < FIXED_BYTES || message[0] !== 1 || message[1] !== 1 || message[2] !== 6) return undefined;
    if (u32(message, 236) !== MAGIC) return undefined;
    const options = parseOptions(message);
    const type = options.get(OPTION.type)?.[0];
    const server = addressOf(options.get(OPTION.server));
    if (server !== undefined && server !== this.config.server) return undefined;
    const clientAddress = u32(message, 12);
    const mac = formatMac(message.subarray(28, 34));
    switch (type) {
      case MESSAGE.discover: {
        const address = this.leaseOf(mac);
        return address === undefined ? undefined : this.reply(message, MESSAGE.offer, address);
      }
      case MESSAGE.request: {
        const wanted = addressOf(options.get(OPTION.requested)) ?? clientAddress;
        const address = this.leaseOf(mac);
        if (address === undefined) return undefined;
        return wanted === address ? this.reply(message, MESSAGE.ack, address) : this.reply(message, MESSAGE.nak, 0);
      }
      case MESSAGE.inform:
        return this.reply(message, MESSAGE.ack, 0);
      default:
        // DECLINE and RELEASE: the address stays this guest's, for there is nobody else to give it to.
        return undefined;
    }
  }

  private leaseOf(mac: string): number | undefined {
    const known = this.leases.get(mac);
    if (known !== undefined) return known;
    if (this.leases.size >= this.config.addressCount) return undefined;
    const address = this.config.firstAddress + this.leases.size;
    this.leases.set(mac, address);
    return address;
  }

  private reply(request: Bytes, type: number, address: number): DhcpReply {
    const { config } = this;
    const message = new Uint8Array(FIXED_BYTES + 60);
    message[0] = 2;
    message[1] = 1;
    message[2] = 6;
    message.set(request.subarray(4, 8), 4);
    putU16(message, 10, u16(request, 10));
    const clientAddress = u32(request, 12);
    putU32(message, 12, type === MESSAGE.nak ? 0 : clientAddress);
    putU32(message, 16, address);
    putU32(message, 20, type === MESSAGE.nak ? 0 : config.server);
    message.set(request.subarray(28, 44), 28);
    putU32(message, 236, MAGIC);
    let at = FIXED_BYTES;
    const put = (code: number, value: readonly number[]) => {
      message.set([code, value.length, ...value], at);
      at += 2 + value.length;
    };
    put(OPTION.type, [type]);
    put(OPTION.server, bytesOf(config.server));
    if (type !== MESSAGE.nak) {
      if (address !== 0) {
        put(OPTION.lease, bytesOf(LEASE_SECONDS));
        put(OPTION.renewal, bytesOf(LEASE_SECONDS / 2));
        put(OPTION.rebinding, bytesOf((LEASE_SECONDS / 8) * 7));
      }
      put(OPTION.mask, bytesOf(config.mask));
      put(OPTION.router, bytesOf(config.router));
      put(OPTION.nameServer, bytesOf(config.nameServer));
    }
    message[at] = OPTION.end;
    // A client without an address may be unable to take a frame for one (RFC 2131 4.1).
    const broadcast = type === MESSAGE.nak || (message[10] & 0x80) !== 0;
    const destination =
      clientAddress !== 0 && type !== MESSAGE.nak ? clientAddress : broadcast || !address ? 0xffffffff : address;
    return { message, destination };
  }
}

function parseOptions(message: Bytes): Map<number, Bytes> {
  const options = new Map<number, Bytes>();
  for (let at = FIXED_BYTES; at < message.length; ) {
    const code = message[at];
    if (code === OPTION.end) break;
    if (code === 0) {
      at++;
      continue;
    }
    if (at + 1 >= message.length) break;
    const lenBytes = message[at + 1];
    if (at + 2 + lenBytes > message.length) break;
    options.set(code, message.subarray(at + 2, at + 2 + lenBytes));
    at += 2 + lenBytes;
  }
  return options;
}

function addressOf(value: Bytes | undefined): number | undefined {
  return value?.length === 4 ? u32(value, 0) : undefined;
}

function bytesOf(value: number): number[] {
  return [24, 16, 8, 0].map((shift) => (value >>> shift) & 0xff);
}
