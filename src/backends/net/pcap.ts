// Packet capture in the classic pcap format (libpcap's savefile, version 2.4, link type Ethernet): a backend that writes
// down what passes through it. Frames are recorded as they pass, so those of a driver that leaves work to the device show
// unfinished checksums and large segments.

import type { FrameHints, NetBackend, NetPort } from './net-backend.ts';
import type { Bytes } from './packet.ts';

const MAGIC_MICROSECONDS = 0xa1b2c3d4;
const LINKTYPE_ETHERNET = 1;
const SNAPSHOT_BYTES = 262144;

export function pcapHeader(): Bytes {
  const header = new Uint8Array(24);
  const view = new DataView(header.buffer);
  view.setUint32(0, MAGIC_MICROSECONDS, true);
  view.setUint16(4, 2, true);
  view.setUint16(6, 4, true);
  view.setUint32(16, SNAPSHOT_BYTES, true);
  view.setUint32(20, LINKTYPE_ETHERNET, true);
  return header;
}

/** One packet. `timeUs` counts microseconds since 1970, or since whatever the file's reader is told. */
export function pcapRecord(frame: Uint8Array, timeUs: number): Bytes {
  const record = new Uint8Array(16 + frame.length);
  const view = new DataView(record.buffer);
  view.setUint32(0, Math.floor(timeUs / 1e6), true);
  view.setUint32(4, Math.floor(timeUs % 1e6), true);
  view.setUint32(8, frame.length, true);
  view.setUint32(12, frame.length, true);
  record.set(frame, 16);
  return record;
}

/** Wraps `backend` so that `write` gets a capture of all frames in both directions, its header first. */
export function capture(backend: NetBackend, write: (bytes: Bytes) => void, timeUs: () => number): NetBackend {
  write(pcapHeader());
  const record = (frame: Bytes) => write(pcapRecord(frame, timeUs()));
  return {
    name: backend.name,
    offloads: backend.offloads,
    connect(port: NetPort) {
      backend.connect({
        get offloads() {
          return port.offloads;
        },
        get ready() {
          return port.ready;
        },
        receive(frame, hints) {
          record(frame);
          return port.receive(frame, hints);
        },
        setLink: (up) => port.setLink(up),
      });
    },
    send(frame: Bytes, hints: FrameHints) {
      record(frame);
      backend.send(frame, hints);
    },
    sent: () => backend.sent?.(),
    ready: () => backend.ready?.(),
    reset: () => backend.reset?.(),
    close: () => backend.close(),
    statistics: () => backend.statistics?.() ?? {},
  };
}
