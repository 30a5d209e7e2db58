// A console whose other end is the program itself: keeps what the guest wrote and types what it is told.

import type { ConsoleBackend, ConsoleInput, PostAction } from '../console-backend.ts';

export class MemoryConsole implements ConsoleBackend {
  readonly connected = true;
  private readonly chunks: Uint8Array[] = [];
  private readonly waiting: Uint8Array[] = [];
  private input: ConsoleInput | undefined;
  private post: PostAction | undefined;

  write(bytes: Uint8Array): void {
    this.chunks.push(bytes);
  }

  connect(input: ConsoleInput, post: PostAction): void {
    this.input = input;
    this.post = post;
    this.roomAgain();
  }

  /** Sends bytes to the guest, now or when there is room. */
  type(bytes: Uint8Array): void {
    this.waiting.push(bytes);
    this.roomAgain();
  }

  roomAgain(): void {
    if (this.waiting.length > 0) this.post?.(() => this.send());
  }

  /** What the guest wrote so far, as text. */
  text(): string {
    const decoder = new TextDecoder();
    return this.chunks.map((chunk) => decoder.decode(chunk)).join('');
  }

  private send(): void {
    while (this.waiting.length > 0) {
      const [first] = this.waiting;
      const taken = this.input!.receive(first);
      if (taken < first.length) {
        this.waiting[0] = first.subarray(taken);
        return;
      }
      this.waiting.shift();
    }
  }
}
