// Where the bytes of a disk are: what a block device asks of the host.

/** Why a request failed. Failures are values: the guest is told, and the machine goes on. */
export interface BlockFailure {
  readonly kind: 'io-error' | 'no-space' | 'read-only';
  /** For logs: what the host said. */
  readonly message: string;
}

/** undefined: it went well. */
export type BlockOutcome = BlockFailure | undefined;

/**
 * Offsets and lengths are in bytes, multiples of 512, and lie in the disk; the device has seen to that. Requests may
 * overlap in time. No promise ever rejects.
 */
export interface BlockBackend {
  /** For messages. */
  readonly name: string;
  readonly sizeBytes: number;
  readonly readOnly: boolean;
  /** Fills `target`. */
  read(offset: number, target: Uint8Array): Promise<BlockOutcome>;
  /** The source belongs to the backend until the promise resolves. */
  write(offset: number, source: Uint8Array): Promise<BlockOutcome>;
  /**
   * As `read` and `write`, and over on return: for what takes the host hardly longer than a copy of the bytes. `later`:
   * nothing has happened, ask for a promise. A backend may say that as it likes, or be without these.
   */
  readNow?(offset: number, target: Uint8Array): BlockOutcome | 'later';
  writeNow?(offset: number, source: Uint8Array): BlockOutcome | 'later';
  /** Resolves once everything whose `write` has resolved before survives a crash of this machine. */
  flush(): Promise<BlockOutcome>;
  /** The bytes are no longer wanted; what they read as is up to the backend. */
  discard(offset: number, lenBytes: number): Promise<BlockOutcome>;
  writeZeroes(offset: number, lenBytes: number, mayUnmap: boolean): Promise<BlockOutcome>;
  /** Flushes and lets go of the host. */
  close(): Promise<void>;
}
