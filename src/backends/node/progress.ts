// What a long host-side job tells the person who waits for it. The command line draws it; the default is silence.

export interface Progress {
  /** A sentence about what happens now. */
  note(message: string): void;
  /** A step whose length is known (`total` > 0) or not (0). `unit` names what is counted. One step at a time. */
  begin(label: string, total: number, unit: 'bytes' | 'steps'): void;
  advance(done: number): void;
  end(): void;
}

export const silentProgress: Progress = {
  note() {},
  begin() {},
  advance() {},
  end() {},
};
