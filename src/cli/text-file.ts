// A file that is written while the machine runs, a text at a time.

import { closeSync, openSync, writeSync } from 'node:fs';
import { PowervisorError } from '../util/errors.ts';
import { fileProblem } from './guest-file.ts';

export class TextFile {
  private readonly path: string;
  private readonly descriptor: number;

  /** Creates or empties the file. Throws a PowervisorError `OUTPUT` if that is not possible. */
  constructor(path: string) {
    this.path = path;
    this.descriptor = this.attempt(() => openSync(path, 'w'));
  }
  write(text: string): void {
    this.attempt(() => writeSync(this.descriptor, text));
  }
  close(): void {
    closeSync(this.descriptor);
  }

  private attempt<T>(action: () => T): T {
    try {
      return action();
    } catch (cause) {
      throw new PowervisorError('OUTPUT', `Cannot write ${this.path}: ${fileProblem(cause)}.`, { cause });
    }
  }
}
