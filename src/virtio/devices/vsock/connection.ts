// One stream between a program of the guest and one of the host, with its credit in both directions
// (VIRTIO 1.2 5.10.6.3): nobody is sent more than it has said it has room for.
//
// Towards the guest: what the host sent waits here, and the host is not read from while too much does. Towards the host:
// what the host has not taken yet is not reported as used up, so that the guest runs out of credit and waits.

import type { HostStream } from '../../../backends/net/host-sockets.ts';
import { OP, SHUTDOWN } from './packet.ts';

/** What the guest may send ahead on one connection. */
export const BUFFER_BYTES = 256 * 1024;
/** Data of the host that waits for the guest; a little more may be on its way when the host is told to stop. */
const MAX_WAITING_BYTES = 256 * 1024;
/** The guest is told of room again once so much has come free. */
const UPDATE_BYTES = BUFFER_BYTES / 4;

export interface Packet {
  readonly op: number;
  readonly flags: number;
  readonly lenBytes: number;
  readonly data: readonly Uint8Array[];
}

export class Connection {
  readonly guestPort: number;
  readonly hostPort: number;
  stream: HostStream | undefined;
  /** `guest` asked for it, or `host` did and waits for the answer; `open`: data flows; `over`: gone. */
  state: 'guest' | 'host' | 'open' | 'over';
  /** Told when the guest has taken the connection. */
  accepted: (() => void) | undefined;
  /** Bytes that waited for the guest and were sent, and used up by it, modulo 2^32. */
  private sent = 0;
  private guestUsed = 0;
  private guestRoom = 0;
  private waiting: Uint8Array[] = [];
  private waitingBytes = 0;
  private paused = false;
  /** Bytes from the guest, and those of them that the host has taken. */
  private received = 0;
  private taken = 0;
  /** `taken` as the guest knows it. */
  private told = 0;
  private hostEnded = false;
  private guestEnded = false;
  private guestDeaf = false;
  /** A packet without data that has to go first. */
  private first: number | undefined;
  private endTold = false;
  private updateDue = false;

  constructor(guestPort: number, hostPort: number, state: 'guest' | 'host') {
    this.guestPort = guestPort;
    this.hostPort = hostPort;
    this.state = state;
    if (state === 'host') this.first = OP.REQUEST;
  }

  get bufferBytes(): number {
    return BUFFER_BYTES;
  }
  /** For the header of each packet: sending it tells the guest. */
  get forwarded(): number {
    return this.taken >>> 0;
  }
  /** Nothing of the guest's is left that the host has not taken. */
  get drained(): boolean {
    return this.taken === this.received;
  }

  /** The guest does not know of it yet. */
  get unheard(): boolean {
    return this.first === OP.REQUEST;
  }

  /** Every packet of the guest says how much it has room for. */
  heard(bufferBytes: number, forwarded: number): void {
    this.guestRoom = bufferBytes;
    this.guestUsed = forwarded;
  }

  open(): void {
    const answered = this.state === 'guest';
    this.state = 'open';
    if (answered) this.first = OP.RESPONSE;
    else this.accepted?.();
  }

  // From the host

  hostSent(bytes: Uint8Array): void {
    if (this.guestDeaf) return;
    this.waiting.push(bytes);
    this.waitingBytes += bytes.length;
    if (this.waitingBytes < MAX_WAITING_BYTES || this.paused) return;
    this.paused = true;
    this.stream?.pause();
  }

  hostTook(lenBytes: number): void {
    this.taken += lenBytes;
    if (this.taken - this.told >= UPDATE_BYTES) this.updateDue = true;
  }

  hostEnd(): void {
    this.hostEnded = true;
  }

  // From the guest

  /** False: more than the guest has been told there is room for, or behind its own end. */
  mayReceive(lenBytes: number): boolean {
    return !this.guestEnded && this.received - this.taken + lenBytes <= BUFFER_BYTES;
  }

  guestSent(bytes: Uint8Array<ArrayBuffer>): void {
    this.received += bytes.length;
    this.stream?.write(bytes);
  }

  /** True if the guest neither sends nor receives any more. */
  guestShutdown(flags: number): boolean {
    if (flags & SHUTDOWN.SEND && !this.guestEnded) {
      this.guestEnded = true;
      this.stream?.end();
    }
    if (flags & SHUTDOWN.RECEIVE) {
      this.guestDeaf = true;
      this.waiting = [];
      this.waitingBytes = 0;
      this.resume();
    }
    return this.guestEnded && this.guestDeaf;
  }

  creditWanted(): void {
    this.updateDue = true;
  }

  // To the guest

  /** There is a packet to send, if there is room for one. */
  get wantsToSend(): boolean {
    if (this.first !== undefined) return true;
    if (this.state !== 'open') return false;
    return this.updateDue || (this.waitingBytes > 0 && this.credit > 0) || this.endDue;
  }

  /** The next packet, with at most `roomBytes` of data. Only if `wantsToSend`. */
  next(roomBytes: number): Packet {
    this.told = this.taken;
    this.updateDue = false;
    const { first } = this;
    if (first !== undefined) {
      this.first = undefined;
      return { op: first, flags: 0, lenBytes: 0, data: [] };
    }
    const lenBytes = Math.min(roomBytes, this.credit, this.waitingBytes);
    if (lenBytes > 0) return { op: OP.RW, flags: 0, lenBytes, data: this.take(lenBytes) };
    if (!this.endDue) return { op: OP.CREDIT_UPDATE, flags: 0, lenBytes: 0, data: [] };
    this.endTold = true;
    return { op: OP.SHUTDOWN, flags: SHUTDOWN.SEND, lenBytes: 0, data: [] };
  }

  private get endDue(): boolean {
    return this.hostEnded && !this.endTold && this.waitingBytes === 0;
  }

  /** Bytes that the guest has room for. */
  private get credit(): number {
    return Math.max(0, this.guestRoom - ((this.sent - this.guestUsed) >>> 0));
  }

  private take(lenBytes: number): Uint8Array[] {
    const parts: Uint8Array[] = [];
    for (let left = lenBytes; left > 0; ) {
      const [head] = this.waiting;
      const part = head.subarray(0, left);
      parts.push(part);
      left -= part.length;
      if (part.length === head.length) this.waiting.shift();
      else this.waiting[0] = head.subarray(part.length);
    }
    this.sent = (this.sent + lenBytes) >>> 0;
    this.waitingBytes -= lenBytes;
    if (this.waitingBytes <= MAX_WAITING_BYTES / 2) this.resume();
    return parts;
  }

  private resume(): void {
    if (!this.paused) return;
    this.paused = false;
    this.stream?.resume();
  }
}
