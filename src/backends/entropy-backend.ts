// Where random bytes for guests come from.

export interface EntropyBackend {
  /** Fills all of `target`. */
  fill(target: Uint8Array): void;
}
