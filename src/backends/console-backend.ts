// What is at the other end of a serial line or console port of the guest.

/** Where typed bytes go; to be called at turn boundaries only. */
export interface ConsoleInput {
  /** Takes what fits and says how many bytes that was. */
  receive(bytes: Uint8Array): number;
}

export interface ConsoleBackend {
  /** What the guest wrote. The bytes are the backend's to keep. */
  write(bytes: Uint8Array): void;
  /** Called once: where to send what is typed. `post` runs an action at the next turn boundary. */
  connect?(input: ConsoleInput, post: (action: () => void) => void): void;
  /** The guest has room again after `receive` took less than all. */
  roomAgain?(): void;
  close?(): void;
}
