// Progress of downloads and builds on standard error: a bar on a terminal, one line for each step elsewhere.

import cliProgress from 'cli-progress';
import type { Progress } from '../backends/node/progress.ts';
import type { CliHost } from './host.ts';
import { say } from './host.ts';
import { mebibyte } from './limits.ts';

export function cliProgressFor(host: CliHost): Progress {
  return host.stderr.isTTY === true ? new BarProgress(host) : new LineProgress(host);
}

class LineProgress implements Progress {
  protected readonly host: CliHost;

  constructor(host: CliHost) {
    this.host = host;
  }

  note(message: string): void {
    say(this.host, message);
  }

  begin(label: string, total: number, unit: 'bytes' | 'steps'): void {
    if (unit === 'bytes') say(this.host, `fetching ${label}${total > 0 ? ` (${megabytes(total)} MB)` : ''}`);
  }

  advance(_done: number): void {}

  end(): void {}
}

class BarProgress extends LineProgress {
  private bar: cliProgress.SingleBar | undefined;
  private unit: 'bytes' | 'steps' = 'bytes';

  override begin(label: string, total: number, unit: 'bytes' | 'steps'): void {
    this.unit = unit;
    const amount = unit === 'bytes' ? '{done} of {size} MB' : '{done} steps';
    const shape = total > 0 ? `${label} {bar} {percentage}% | ${amount}` : `${label} | {done}`;
    this.bar = new cliProgress.SingleBar(
      {
        format: shape,
        barsize: 30,
        hideCursor: true,
        clearOnComplete: true,
        stream: this.host.stderr,
        linewrap: false,
      },
      cliProgress.Presets.shades_classic,
    );
    this.bar.start(Math.max(total, 1), 0, { done: 0, size: megabytes(total) });
  }

  override advance(done: number): void {
    this.bar?.update(done, { done: this.unit === 'bytes' ? megabytes(done) : done });
  }

  override end(): void {
    this.bar?.stop();
    this.bar = undefined;
  }
}

function megabytes(bytes: number): string {
  return (bytes / mebibyte).toFixed(1);
}
