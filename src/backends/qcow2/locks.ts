// Two locks for requests under way at the same time: a plain mutex, and a lock on ranges of clusters.

/** Runs one task after the other, in the order of the calls. */
export class Mutex {
  private last: Promise<unknown> = Promise.resolve();

  run<Result>(task: () => Promise<Result>): Promise<Result> {
    const result = this.last.then(task);
    this.last = result.catch(() => {});
    return result;
  }
}

interface Claim {
  readonly first: number;
  readonly last: number;
  readonly exclusive: boolean;
  readonly granted: () => void;
}

function conflict(a: Claim, b: Claim): boolean {
  return (a.exclusive || b.exclusive) && a.first <= b.last && b.first <= a.last;
}

/**
 * Shared and exclusive claims on ranges of numbers. Claims that conflict are granted in the order of their arrival, so
 * that none waits for ever.
 */
export class RangeLock {
  private readonly holders = new Set<Claim>();
  private waiters: Claim[] = [];

  /** Claims `first` to `last` inclusive. Returns what releases it, at once if nothing stands in the way. */
  acquire(first: number, last: number, exclusive: boolean): (() => void) | Promise<() => void> {
    let wake = () => {};
    const claim: Claim = { first, last, exclusive, granted: () => wake() };
    const release = () => this.release(claim);
    if (this.isFree(claim, this.waiters)) {
      this.holders.add(claim);
      return release;
    }
    this.waiters.push(claim);
    return new Promise((resolve) => {
      wake = () => resolve(release);
    });
  }

  private isFree(claim: Claim, ahead: readonly Claim[]): boolean {
    for (const holder of this.holders) if (conflict(holder, claim)) return false;
    return !ahead.some((waiter) => conflict(waiter, claim));
  }

  private release(claim: Claim): void {
    this.holders.delete(claim);
    if (this.waiters.length === 0) return;
    const still: Claim[] = [];
    for (const waiter of this.waiters) {
      if (this.isFree(waiter, still)) {
        this.holders.add(waiter);
        waiter.granted();
      } else {
        still.push(waiter);
      }
    }
    this.waiters = still;
  }
}
