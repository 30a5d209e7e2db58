// What is at the other end of a serial line or console port of the guest.

/** The guest's side, for the backend to call at turn boundaries. */
export interface ConsoleInput {
  /** Takes what fits of what is typed and says how many bytes that was; `roomAgain` tells when the rest is worth a try. */
  receive(bytes: Uint8Array): number;
  /** Somebody is at the other end now, or nobody is. */
  setConnected(connected: boolean): void;
}

/** Runs an action at the next turn boundary. */
export type PostAction = (action: () => void) => void;

export interface ConsoleBackend {
  /** Whether somebody is at the other end from the start. */
  readonly connected: boolean;
  /** What the guest wrote. The bytes are the backend's to keep. */
  write(bytes: Uint8Array): void;
  /** Called once, before anything else. */
  connect?(input: ConsoleInput, post: PostAction): void;
  roomAgain?(): void;
  close?(): void;
}
