// Errors meant for the person or program that drives the machine. Architected outcomes are values, never thrown;
// broken assumptions of our own are assertions.

/** What went wrong on the host side: bad input, a missing file, a limit. `code` is stable and greppable. */
export class PowervisorError extends Error {
  override readonly name: string = 'PowervisorError';
  readonly code: string;
  constructor(code: string, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.code = code;
  }
}

/** An option or argument that cannot be used as given (exit status 2 of the command line). */
export class UsageError extends PowervisorError {
  override readonly name = 'UsageError';
}

/** A broken invariant of Powervisor itself. */
export class AssertionFailure extends Error {
  override readonly name = 'AssertionFailure';
}

export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new AssertionFailure(message);
}
