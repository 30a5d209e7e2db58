// One TCP connection of the guest, terminated here and carried on by a socket of the host (RFC 9293, window scaling of
// RFC 7323, retransmission timer of RFC 6298).
//
// Deviation: no congestion control, for the wire is this process and only the guest's buffers can overflow; the guest's
// window bounds what is under way. No SACK, no timestamps, no urgent data (delivered in line), no simultaneous open.
//
// Flow control goes through: the window shown to the guest is what the host's socket still takes, and the host's socket is
// paused while the guest does not take what is buffered.

import type { HostSocketFailure, HostStream } from './host-sockets.ts';
import { type Bytes, TCP_FLAG, type TcpSegment } from './packet.ts';
import { SendBuffer } from './send-buffer.ts';

/** Bytes under way to the host at most, and so the largest window: per connection. */
const RECEIVE_BYTES = 512 * 1024;
const RECEIVE_SCALE = 4;
/** The host's socket is paused above this, and resumed below half of it. */
const SEND_BYTES = 512 * 1024;
/** Segments of the guest kept while an earlier one is missing. */
const MAX_EARLY_SEGMENTS = 64;
/** Pieces of this size for the host are not worth a copy. */
const LARGE_PIECE_BYTES = 16 * 1024;
const DEFAULT_MSS = 536;
const SECOND_NS = 1e9;
const INITIAL_RTO_NS = SECOND_NS;
const MIN_RTO_NS = SECOND_NS / 2;
const MAX_RTO_NS = 60 * SECOND_NS;
/** Retransmissions in a row before the guest is given up. */
const MAX_RETRIES = 12;
const TIME_WAIT_NS = 2 * SECOND_NS;
/** How long the host may take for the rest of the data of a guest that has closed, without taking any. */
const LINGER_NS = 120 * SECOND_NS;

const { fin: FIN, syn: SYN, rst: RST, psh: PSH, ack: ACK } = TCP_FLAG;

/** Distance from `b` to `a` in sequence space, -2^31 to 2^31 - 1. */
export function seqDistance(a: number, b: number): number {
  return (a - b) | 0;
}

/** What a connection sends. */
export interface OutgoingSegment {
  readonly seq: number;
  readonly ack: number;
  readonly flags: number;
  readonly window: number;
  readonly payloadBytes: number;
  /** Fills the payload. */
  readonly fill: ((target: Bytes) => void) | undefined;
  /** Of a SYN: our window scale, or -1 for none. */
  readonly windowScale: number;
}

/** Both ends as the guest sees them. */
export interface TcpEndpoints {
  readonly guestAddress: number;
  readonly guestPort: number;
  readonly address: number;
  readonly port: number;
}

export interface TcpHost {
  nowNs(): number;
  at(deadlineNs: number, action: () => void): () => void;
  /** False: nothing can be sent; `wake` is called when that changes. */
  readonly ready: boolean;
  /** Payload bytes that one segment may have: a multiple of the wire's, if the guest takes large ones. */
  largestPayload(mss: number): number;
  transmit(connection: TcpConnection, segment: OutgoingSegment): void;
  /** The connection wants `flush` to be called when the guest's frames at hand are through. */
  wantFlush(connection: TcpConnection): void;
  /** The connection exists no more. */
  removed(connection: TcpConnection): void;
}

export type TcpState = 'connecting' | 'syn-sent' | 'syn-received' | 'open' | 'time-wait' | 'closed';

interface EarlySegment {
  readonly seq: number;
  readonly payload: Bytes;
}

export class TcpConnection {
  readonly endpoints: TcpEndpoints;
  state: TcpState;
  /** Largest payload of a segment to the guest. */
  mss = DEFAULT_MSS;
  stream: HostStream | undefined;
  retransmissions = 0;
  private readonly host: TcpHost;
  private readonly wireMss: number;
  // To the guest.
  private readonly iss: number;
  private sndUna: number;
  private sndNxt: number;
  private sndMax: number;
  private sndWnd = 0;
  private sndWl1 = 0;
  private sndWl2 = 0;
  private sndScale = 0;
  private readonly buffer = new SendBuffer();
  private paused = false;
  private finQueued = false;
  private finAcked = false;
  private duplicateAcks = 0;
  private recover: number | undefined;
  // From the guest.
  private irs = 0;
  private rcvNxt = 0;
  private rcvEdge = 0;
  private rcvScale = 0;
  private early: EarlySegment[] = [];
  private finSeq: number | undefined;
  private guestEnded = false;
  private hostQueued = 0;
  private mustAck = false;
  /** Data for the host that `flush` hands over. */
  private gathered: Bytes[] = [];
  // Timer: retransmission, window probe, time wait or lingering.
  private cancelTimer: (() => void) | undefined;
  private lingering = false;
  private rtoNs = INITIAL_RTO_NS;
  private srttNs = -1;
  private rttVarNs = 0;
  private retries = 0;
  private timedSeq: number | undefined;
  private timedAtNs = 0;
  private lastProgressNs = 0;

  constructor(host: TcpHost, endpoints: TcpEndpoints, iss: number, wireMss: number, state: 'connecting' | 'syn-sent') {
    this.host = host;
    this.endpoints = endpoints;
    this.state = state;
    this.wireMss = wireMss;
    this.iss = iss >>> 0;
    this.sndUna = this.iss;
    this.sndNxt = this.iss;
    this.sndMax = this.iss;
  }

  /** The guest's SYN, for a connection that waits for the host's. */
  takeSyn(segment: TcpSegment): void {
    this.learn(segment);
  }

  /** Both directions are done with, or the guest is: may be dropped for a new connection. */
  get expendable(): boolean {
    return this.state === 'time-wait' || this.guestEnded;
  }

  get guestSynSeq(): number {
    return this.irs;
  }

  // --- events of the host -----------------------------------------------------------------------------------------

  /** Opens towards the guest: for a connection that a forwarded port of the host has taken. */
  open(stream: HostStream): void {
    this.stream = stream;
    this.rcvScale = RECEIVE_SCALE;
    this.sendSyn();
  }

  /** The host's connection stands: now the guest gets its answer. */
  hostConnected(): void {
    if (this.state !== 'connecting') return;
    this.state = 'syn-received';
    this.sendSyn();
  }

  hostData(bytes: Bytes): void {
    if (this.state === 'closed' || this.finQueued) return;
    this.buffer.append(bytes);
    if (!this.paused && this.buffer.lengthBytes > SEND_BYTES) {
      this.paused = true;
      this.stream?.pause();
    }
    this.output();
  }

  /** Lets the host's data come again, unless the guest is behind. */
  resumeStream(): void {
    if (!this.paused) this.stream?.resume();
  }

  hostEnded(): void {
    if (this.state === 'closed') return;
    this.finQueued = true;
    this.output();
  }

  hostWritten(lenBytes: number): void {
    if (this.state === 'closed') return;
    this.hostQueued -= lenBytes;
    this.lastProgressNs = this.host.nowNs();
    if (this.state === 'open' && !this.guestEnded && this.edgeGain() >= RECEIVE_BYTES / 4) this.sendAck();
  }

  /** Resets the guest's side. The caller has let go of the host's connection. */
  hostFailed(_reason: HostSocketFailure): void {
    if (this.state === 'closed') return;
    this.abort();
  }

  // --- segments of the guest --------------------------------------------------------------------------------------

  segment(segment: TcpSegment): void {
    switch (this.state) {
      case 'closed':
        return;
      case 'connecting':
        if (segment.flags & RST) this.drop();
        return;
      case 'syn-sent':
        this.answerToSyn(segment);
        return;
      default:
        this.established(segment);
    }
  }

  private answerToSyn(segment: TcpSegment): void {
    const acceptable = (segment.flags & ACK) !== 0 && segment.ack === (this.iss + 1) >>> 0;
    if (segment.flags & RST) {
      if (acceptable) this.drop();
      return;
    }
    if (!acceptable) {
      if (segment.flags & ACK) this.transmit(RST, segment.ack, 0);
      return;
    }
    if ((segment.flags & SYN) === 0) return;
    this.learn(segment);
    this.sndUna = segment.ack;
    this.sndWnd = segment.window;
    this.sndWl1 = segment.seq;
    this.sndWl2 = segment.ack;
    this.opened();
    this.sendAck();
    this.output();
  }

  private learn(segment: TcpSegment): void {
    this.irs = segment.seq;
    this.rcvNxt = (segment.seq + 1) >>> 0;
    this.rcvEdge = this.rcvNxt;
    this.mss = Math.max(64, Math.min(this.wireMss, segment.mss ?? DEFAULT_MSS));
    const scaled = segment.windowScale !== undefined;
    this.sndScale = scaled ? segment.windowScale! : 0;
    this.rcvScale = scaled ? RECEIVE_SCALE : 0;
    this.sndWnd = segment.window;
    this.sndWl1 = segment.seq;
  }

  private opened(): void {
    this.state = 'open';
    this.retries = 0;
    this.stopTimer();
  }

  private established(segment: TcpSegment): void {
    const { flags } = segment;
    if (flags & SYN) {
      // Our SYN-ACK was lost, or this is none of ours.
      if (this.state === 'syn-received' && segment.seq === this.irs) this.sendSyn();
      else if ((flags & RST) === 0) this.sendAck();
      return;
    }
    const offset = seqDistance(segment.seq, this.rcvNxt);
    const room = Math.max(0, seqDistance(this.rcvEdge, this.rcvNxt));
    if (flags & RST) {
      if (offset === 0) this.drop();
      else if (offset > 0 && offset < room) this.sendAck();
      return;
    }
    if ((flags & ACK) === 0) return;
    if (this.state === 'syn-received') {
      if (segment.ack !== (this.iss + 1) >>> 0) {
        this.transmit(RST, segment.ack, 0);
        return;
      }
      this.sndUna = segment.ack;
      this.opened();
    }
    const length = segment.payload.length + (flags & FIN ? 1 : 0);
    // Neither a segment of the past nor one of beyond the window says anything but that an ACK was lost.
    if (offset + length < 0 || offset > room) {
      this.sendAck();
      return;
    }
    if (!this.takeAck(segment)) return;
    if (length > 0) {
      this.takePayload(segment, offset, room);
      if (this.isClosed()) return;
    }
    this.output();
  }

  /** False if the segment is to be ignored, or the connection is over. */
  private takeAck(segment: TcpSegment): boolean {
    const { ack, window } = segment;
    if (seqDistance(ack, this.sndMax) > 0) {
      this.sendAck();
      return false;
    }
    const gained = seqDistance(ack, this.sndUna);
    if (gained >= 0) {
      const size = window * 2 ** this.sndScale;
      if (gained === 0 && segment.payload.length === 0 && size === this.sndWnd && this.sndMax !== this.sndUna) {
        this.duplicateAck();
      }
      if (
        seqDistance(segment.seq, this.sndWl1) > 0 ||
        (segment.seq === this.sndWl1 && seqDistance(ack, this.sndWl2) >= 0)
      ) {
        this.retries = 0;
        this.sndWnd = size;
        this.sndWl1 = segment.seq;
        this.sndWl2 = ack;
      }
    }
    if (gained > 0) this.acknowledged(ack, gained);
    if (this.finAcked && this.guestEnded) this.finished();
    return !this.isClosed();
  }

  private acknowledged(ack: number, gained: number): void {
    const { buffer } = this;
    if (gained > buffer.lengthBytes) this.finAcked = this.finQueued;
    buffer.discard(Math.min(gained, buffer.lengthBytes));
    this.sndUna = ack;
    if (seqDistance(this.sndNxt, ack) < 0) this.sndNxt = ack;
    this.retries = 0;
    this.duplicateAcks = 0;
    if (this.timedSeq !== undefined && seqDistance(ack, this.timedSeq) > 0)
      this.measured(this.host.nowNs() - this.timedAtNs);
    this.setRto();
    if (this.recover !== undefined) {
      if (seqDistance(ack, this.recover) >= 0) this.recover = undefined;
      // A partial ACK: the next one was lost too (RFC 6582).
      else this.resendFirst();
    }
    this.stopTimer();
    if (this.paused && buffer.lengthBytes < SEND_BYTES / 2) {
      this.paused = false;
      this.stream?.resume();
    }
  }

  private duplicateAck(): void {
    if (++this.duplicateAcks !== 3 || this.recover !== undefined) return;
    this.recover = this.sndMax;
    this.resendFirst();
  }

  private resendFirst(): void {
    const lenBytes = Math.min(this.buffer.lengthBytes, this.mss);
    this.retransmissions++;
    this.timedSeq = undefined;
    if (lenBytes > 0) this.transmit(ACK, this.sndUna, lenBytes);
    else if (this.finQueued && !this.finAcked) this.transmit(ACK | FIN, this.sndUna, 0);
  }

  private takePayload(segment: TcpSegment, offset: number, room: number): void {
    const { payload } = segment;
    const from = Math.min(payload.length, Math.max(0, -offset));
    const to = Math.min(payload.length, room - offset);
    if (segment.flags & FIN && to === payload.length) this.finSeq = (segment.seq + payload.length) >>> 0;
    if (to > from) {
      if (offset > 0) {
        this.keepEarly({ seq: segment.seq, payload: payload.subarray(from, to) });
        this.sendAck();
        return;
      }
      this.deliver(payload.subarray(from, to));
      this.deliverEarly();
    }
    this.askForAck();
    if (this.finSeq !== undefined && this.finSeq === this.rcvNxt && !this.guestEnded) this.takeFin();
  }

  private keepEarly(segment: EarlySegment): void {
    if (this.early.length >= MAX_EARLY_SEGMENTS) return;
    const place = this.early.findIndex((other) => seqDistance(other.seq, segment.seq) >= 0);
    if (
      place >= 0 &&
      this.early[place].seq === segment.seq &&
      this.early[place].payload.length >= segment.payload.length
    ) {
      return;
    }
    // A copy: a few bytes would keep all of their frame.
    const kept = { seq: segment.seq, payload: segment.payload.slice() };
    this.early.splice(place < 0 ? this.early.length : place, 0, kept);
  }

  private deliverEarly(): void {
    while (this.early.length > 0) {
      const { seq, payload } = this.early[0];
      const offset = seqDistance(seq, this.rcvNxt);
      if (offset > 0) return;
      this.early.shift();
      if (offset + payload.length > 0) this.deliver(payload.subarray(-offset));
    }
  }

  private deliver(payload: Bytes): void {
    this.rcvNxt = (this.rcvNxt + payload.length) >>> 0;
    if (this.guestEnded) return;
    if (this.hostQueued === 0) this.lastProgressNs = this.host.nowNs();
    this.hostQueued += payload.length;
    this.gathered.push(payload);
    this.host.wantFlush(this);
  }

  /** Small pieces go to the host together: each write of a socket costs as much as many kilobytes. */
  private writeGathered(): void {
    const { gathered, stream } = this;
    if (gathered.length === 0) return;
    this.gathered = [];
    const total = gathered.reduce((sum, { length }) => sum + length, 0);
    if (gathered.length === 1 || total >= gathered.length * LARGE_PIECE_BYTES) {
      for (const piece of gathered) stream?.write(piece);
      return;
    }
    const whole = new Uint8Array(total);
    let at = 0;
    for (const piece of gathered) {
      whole.set(piece, at);
      at += piece.length;
    }
    stream?.write(whole);
  }

  private takeFin(): void {
    this.rcvNxt = (this.rcvNxt + 1) >>> 0;
    this.guestEnded = true;
    this.early = [];
    this.lastProgressNs = this.host.nowNs();
    this.writeGathered();
    this.stream?.end();
    this.sendAck();
    if (this.finAcked) this.finished();
  }

  /** Both sides have closed. The guest may still miss our last ACK, and the host may still miss data. */
  private finished(): void {
    if (this.state === 'time-wait') return;
    this.state = 'time-wait';
    this.lastProgressNs = this.host.nowNs();
    this.startTimer(TIME_WAIT_NS);
  }

  // --- to the guest -----------------------------------------------------------------------------------------------

  /** There is room for frames again. */
  wake(): void {
    if (this.state === 'open') this.output();
  }

  /** Hands the host what was gathered for it, and sends the ACK that was put off. */
  flush(): void {
    if (this.state === 'closed') return;
    this.writeGathered();
    if (this.mustAck) this.sendAck();
  }

  private sendSyn(): void {
    const passive = this.state === 'syn-received';
    this.sndNxt = (this.iss + 1) >>> 0;
    this.sndMax = this.sndNxt;
    this.host.transmit(this, {
      seq: this.iss,
      ack: passive ? this.rcvNxt : 0,
      flags: passive ? SYN | ACK : SYN,
      window: Math.min(0xffff, RECEIVE_BYTES),
      payloadBytes: 0,
      fill: undefined,
      windowScale: this.rcvScale > 0 ? this.rcvScale : -1,
    });
    if (passive) this.rcvEdge = (this.rcvNxt + Math.min(0xffff, RECEIVE_BYTES)) >>> 0;
    this.startTimer(this.rtoNs);
  }

  private output(): void {
    if (this.state !== 'open' && this.state !== 'time-wait') return;
    const { host, buffer, mss } = this;
    const largest = host.largestPayload(mss);
    while (host.ready && !this.finAcked) {
      const underway = seqDistance(this.sndNxt, this.sndUna);
      const waiting = buffer.lengthBytes - underway;
      if (waiting < 0) break;
      const open = this.sndWnd - underway;
      const lenBytes = Math.max(0, Math.min(waiting, open, largest));
      const fin = this.finQueued && lenBytes === waiting;
      // A small piece is worth it only as the last one, or when nothing else would move (RFC 9293 3.8.6.2.1).
      if (lenBytes === 0 && !fin) break;
      if (lenBytes < Math.min(mss, waiting) && underway > 0) break;
      const seq = this.sndNxt;
      this.transmit(fin ? ACK | FIN | PSH : lenBytes === waiting ? ACK | PSH : ACK, seq, lenBytes);
      this.sndNxt = (seq + lenBytes + (fin ? 1 : 0)) >>> 0;
      if (seqDistance(this.sndNxt, this.sndMax) > 0) {
        this.sndMax = this.sndNxt;
        if (this.timedSeq === undefined) {
          this.timedSeq = seq;
          this.timedAtNs = host.nowNs();
        }
      }
    }
    this.arm();
  }

  /** Something is under way, or waits for a window: the timer runs. */
  private arm(): void {
    if (this.cancelTimer && !this.lingering) return;
    if (!this.finAcked && (this.sndNxt !== this.sndUna || this.buffer.lengthBytes > 0)) this.startTimer(this.rtoNs);
    else if (this.guestEnded && !this.cancelTimer) this.startTimer(LINGER_NS, true);
  }

  private transmit(flags: number, seq: number, payloadBytes: number): void {
    const { buffer } = this;
    if (flags & ACK) this.mustAck = false;
    const offset = seqDistance(seq, this.sndUna);
    this.host.transmit(this, {
      seq,
      ack: flags & ACK ? this.rcvNxt : 0,
      flags,
      window: flags & ACK ? this.windowField() : 0,
      payloadBytes,
      fill: payloadBytes > 0 ? (target) => buffer.copyTo(offset, target) : undefined,
      windowScale: -1,
    });
  }

  private sendAck(): void {
    this.transmit(ACK, this.state === 'time-wait' ? this.sndMax : this.sndNxt, 0);
  }

  private askForAck(): void {
    if (this.mustAck) return;
    this.mustAck = true;
    this.host.wantFlush(this);
  }

  /** How far the window's edge could go forward. */
  private edgeGain(): number {
    const free = Math.max(0, RECEIVE_BYTES - this.hostQueued);
    return seqDistance((this.rcvNxt + free) >>> 0, this.rcvEdge);
  }

  /** The window to show; moves the edge, never back and not in crumbs (RFC 9293 3.8.6.2.2). */
  private windowField(): number {
    const gain = this.edgeGain();
    const unit = 2 ** this.rcvScale;
    let window = Math.max(0, seqDistance(this.rcvEdge, this.rcvNxt));
    if (gain >= Math.min(2 * this.mss, RECEIVE_BYTES / 4)) window += gain;
    const field = Math.min(0xffff, Math.floor(window / unit));
    const edge = (this.rcvNxt + field * unit) >>> 0;
    if (seqDistance(edge, this.rcvEdge) > 0) this.rcvEdge = edge;
    return field;
  }

  // --- timer ------------------------------------------------------------------------------------------------------

  private startTimer(delayNs: number, lingering = false): void {
    this.stopTimer();
    this.lingering = lingering;
    this.cancelTimer = this.host.at(this.host.nowNs() + delayNs, () => {
      this.cancelTimer = undefined;
      this.expired();
    });
  }

  private stopTimer(): void {
    this.cancelTimer?.();
    this.cancelTimer = undefined;
  }

  private expired(): void {
    const { state } = this;
    if (state === 'closed') return;
    if (state === 'time-wait') {
      this.lingered();
      return;
    }
    if (state === 'open' && !this.host.ready) {
      // The guest has given no buffers: that is no loss.
      this.startTimer(this.rtoNs);
      return;
    }
    const underway = this.sndNxt !== this.sndUna;
    if (state === 'open' && !underway && this.buffer.lengthBytes === 0) {
      if (this.guestEnded) this.lingered();
      return;
    }
    if (++this.retries > MAX_RETRIES) {
      this.abort();
      return;
    }
    this.rtoNs = Math.min(MAX_RTO_NS, this.rtoNs * 2);
    this.timedSeq = undefined;
    if (state === 'syn-sent' || state === 'syn-received') {
      this.retransmissions++;
      this.sendSyn();
      return;
    }
    this.recover = undefined;
    this.duplicateAcks = 0;
    if (this.sndWnd === 0) this.probe();
    else {
      this.retransmissions++;
      this.sndNxt = this.sndUna;
      this.output();
    }
    if (!this.cancelTimer) this.startTimer(this.rtoNs);
  }

  /** The window is shut: one byte, to be told when it opens (RFC 9293 3.8.6.1). A guest that answers is never given up. */
  private probe(): void {
    if (this.buffer.lengthBytes === 0) {
      this.resendFirst();
      return;
    }
    this.transmit(ACK, this.sndUna, 1);
    const end = (this.sndUna + 1) >>> 0;
    if (seqDistance(this.sndNxt, end) < 0) this.sndNxt = end;
    if (seqDistance(this.sndMax, end) < 0) this.sndMax = end;
  }

  private lingered(): void {
    if (this.hostQueued === 0) {
      if (this.state === 'time-wait') this.remove();
      return;
    }
    const left = this.lastProgressNs + LINGER_NS - this.host.nowNs();
    if (left > 0) this.startTimer(left, true);
    else this.abort();
  }

  private measured(rttNs: number): void {
    this.timedSeq = undefined;
    if (this.srttNs < 0) {
      this.srttNs = rttNs;
      this.rttVarNs = rttNs / 2;
      return;
    }
    this.rttVarNs += (Math.abs(this.srttNs - rttNs) - this.rttVarNs) / 4;
    this.srttNs += (rttNs - this.srttNs) / 8;
  }

  private setRto(): void {
    if (this.srttNs < 0) this.rtoNs = INITIAL_RTO_NS;
    else this.rtoNs = Math.min(MAX_RTO_NS, Math.max(MIN_RTO_NS, this.srttNs + 4 * this.rttVarNs));
  }

  // --- ends -------------------------------------------------------------------------------------------------------

  /** Resets both sides. */
  abort(): void {
    if (this.state === 'closed') return;
    if (this.state === 'connecting') this.transmit(RST | ACK, 0, 0);
    else if (this.state !== 'time-wait') this.transmit(RST | ACK, this.sndNxt, 0);
    this.drop();
  }

  /** Lets go of the host's side without a word to the guest. */
  drop(): void {
    if (this.state === 'closed') return;
    this.remove(true);
  }

  private remove(destroy = false): void {
    this.state = 'closed';
    this.stopTimer();
    this.buffer.clear();
    this.early = [];
    this.gathered = [];
    // An orderly end: both directions are through, and the host closes by itself.
    if (destroy) this.stream?.destroy();
    this.stream = undefined;
    this.host.removed(this);
  }

  private isClosed(): boolean {
    return this.state === 'closed';
  }
}
