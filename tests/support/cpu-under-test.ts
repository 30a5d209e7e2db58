// What the conformance suites ask of an engine: load a full register state, execute, store the state. An engine is
// registered in engines.ts; everything in tests/conformance runs on each registered one.

/** Guest effective addresses that tests and the QEMU harness (tests/conformance/oracle/harness.c) agree on. */
export const windowEa = 0x0200_ff00;
export const windowBytes = 512;
export const codeEa = 0x0210_0000;
/** A program of `run` ends here or, where it is longer, at its last word: a `trap` put behind it. */
export const maxProgramWords = 1024;
/** `tw 31,0,0`: the trap that ends a program of `run`. */
export const trapWord = 0x7fe0_0008;

/** All user-visible registers. Bit numbering and reserved bits as in the Power ISA 3.0B Book I. */
export interface CpuState {
  /** GPR 0..31. */
  readonly gpr: BigUint64Array;
  /** VSR n: [2n] doubleword 0 (the FPR for n < 32), [2n+1] doubleword 1. VR n is VSR 32+n. 128 elements. */
  readonly vsr: BigUint64Array;
  /** 32 bits, unsigned, CR field 0 most significant. */
  cr: number;
  xer: bigint;
  lr: bigint;
  ctr: bigint;
  fpscr: bigint;
  /** NJ 0x10000, SAT 1. */
  vscr: number;
  tar: bigint;
  /** After execution: address of the next instruction; after an interrupt what SRR0 holds. Ignored by `load`. */
  nia: bigint;
}

/** `srr1` carries at least the cause bits of the interrupt (ISA 3.0B III 6.5): of a program interrupt bits 43-46. */
export type CpuOutcome = 'ok' | { readonly interrupt: number; readonly srr1: bigint };

/**
 * One engine in 64-bit little-endian mode, problem state, with FP, VEC, VSX, FE0 and FE1 set in the MSR, TAR enabled in
 * the FSCR and no reservation held after `load`. An interrupt is not delivered into the guest: it is returned.
 */
export interface CpuUnderTest {
  readonly name: string;
  /** The `windowBytes` bytes of guest memory at `windowEa`; asked for anew before each use. The bytes around are RAM too. */
  readonly memory: Uint8Array;
  load(state: CpuState): void;
  store(into: CpuState): void;
  /** Executes exactly one instruction, `word`, standing at `codeEa`. */
  step(word: number): CpuOutcome;
  /**
   * Places `words` at `codeEa` and executes from there until nothing is left to do: behind the last word (a trap is put
   * there; reaching it is 'ok'), at an interrupt, or after `maxInstructions` (interrupt 0: the program did not end).
   */
  run(words: Uint32Array, maxInstructions: number): CpuOutcome;
}

/** What a user-mode program needs of an engine (user-mode.ts); the same problem-state mode as above. */
export interface UserModeCpu {
  readonly name: string;
  readonly gpr: BigUint64Array;
  /** CR as 32 bits. */
  cr: number;
  nia: bigint;
  /**
   * Guest memory, `memoryBytes` long, effective address 0 at offset 0; asked for anew before each use. Stores made
   * through it to pages the program executes later need no announcement.
   */
  readonly memory: Uint8Array;
  /** Runs until `sc`, `scv` or an interrupt. `nia` is then the address behind the `sc`, or of the instruction that failed. */
  run(): 'sc' | 'scv' | { readonly interrupt: number; readonly srr1: bigint };
}

export interface EngineUnderTest {
  readonly name: string;
  /** Of the blocks of operand sets of an instruction, every how manieth is tried; for engines that are slow to start. */
  readonly blockStep?: number;
  /** Mnemonics of the instruction table the engine executes. */
  implementedOps(): ReadonlySet<string>;
  createCpu(): Promise<CpuUnderTest>;
  /** A fresh CPU and `memoryBytes` of zeroed memory (a multiple of 64 KiB, below 4 GiB). */
  createUserMode(memoryBytes: number): Promise<UserModeCpu>;
}
