// A small reproducible generator for tests, so that a failure can be repeated from its seed.

/** Endless 32-bit unsigned words (Marsaglia's xorshift32); the same seed gives the same words. */
export function randomWords(seed: number): () => number {
  let state = seed >>> 0 || 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state >>> 0;
  };
}
