// The port between a network device and what its wire ends in. Frames are Ethernet frames without preamble and FCS, each in
// a buffer of its own that the giver does not touch again. Nothing here throws for what is in a frame.
//
// A frame may be unfinished, as a driver leaves it for hardware: the checksum still to be computed, or a TCP segment larger
// than the wire carries. FrameHints say so; offload.ts finishes a frame for who cannot take it as it is.

/** What is still to be done with a frame, or need not be done. */
export interface FrameHints {
  /** `partial`: the sum from `checksumStart` on is to be stored at `checksumStart + checksumOffset`. `verified`: not to be checked. */
  readonly checksum: 'complete' | 'partial' | 'verified';
  readonly checksumStart: number;
  readonly checksumOffset: number;
  /** Not 0: an IPv4 TCP segment to be cut into ones of so many payload bytes. Only with a partial checksum. */
  readonly segmentBytes: number;
}

/** A frame as it is on the wire. */
export const COMPLETE: FrameHints = { checksum: 'complete', checksumStart: 0, checksumOffset: 0, segmentBytes: 0 };
/** A complete frame that has not left this machine: its sums are right. */
export const VERIFIED: FrameHints = { checksum: 'verified', checksumStart: 0, checksumOffset: 0, segmentBytes: 0 };

/** What one side can take unfinished. */
export interface Offloads {
  readonly checksum: boolean;
  /** IPv4 TCP segments of up to 64 KiB. */
  readonly tcp4: boolean;
}

export const NO_OFFLOADS: Offloads = { checksum: false, tcp4: false };

/** Largest frame that anybody hands over: a 64 KiB packet with its Ethernet header and a VLAN tag. */
export const MAX_FRAME_BYTES = 65535 + 18;
export const MIN_FRAME_BYTES = 14;

/** The device as its backend sees it. */
export interface NetPort {
  /** What the driver can take unfinished now. */
  readonly offloads: Offloads;
  /** False: a frame given now would be dropped. The backend's `ready` is called when that has changed. */
  readonly ready: boolean;
  /** A frame for the guest. False if it was dropped, for want of room or because the device is not running. */
  receive(frame: Uint8Array<ArrayBuffer>, hints: FrameHints): boolean;
  /** The cable is in or out. */
  setLink(up: boolean): void;
}

export interface NetBackend {
  /** For messages: `user`, `stream`, `hub`. */
  readonly name: string;
  /** What `send` can take unfinished. */
  readonly offloads: Offloads;
  /** Tells whom to give frames to; once, before anything else. */
  connect(port: NetPort): void;
  /** A frame of the guest, MIN_FRAME_BYTES to MAX_FRAME_BYTES long. */
  send(frame: Uint8Array<ArrayBuffer>, hints: FrameHints): void;
  /** The frames that the driver had ready have all been sent: time to answer them together. */
  sent?(): void;
  /** The port has room again. */
  ready?(): void;
  /** The guest has been reset: forget its conversations. */
  reset?(): void;
  /** Lets go of everything on the host. */
  close(): void;
  /** Counters for reports. */
  statistics?(): Readonly<Record<string, number>>;
}
