// Machine State Register bits and interrupt vectors (ISA 3.0B III 3.2.1, 6.5).

/** MSR bits by name as masks. `S` is the secure-state bit of POWER9 with an ultravisor. */
export const MSR = {
  SF: 1n << 63n,
  HV: 1n << 60n,
  VEC: 1n << 25n,
  VSX: 1n << 23n,
  S: 1n << 22n,
  EE: 1n << 15n,
  PR: 1n << 14n,
  FP: 1n << 13n,
  ME: 1n << 12n,
  FE0: 1n << 11n,
  SE: 1n << 10n,
  BE: 1n << 9n,
  FE1: 1n << 8n,
  IR: 1n << 5n,
  DR: 1n << 4n,
  PMM: 1n << 2n,
  RI: 1n << 1n,
  LE: 1n,
} as const;

/** Bits that this machine keeps: the transactional and hypervisor bits always read as 0. */
export const MSR_IMPLEMENTED =
  MSR.SF |
  MSR.VEC |
  MSR.VSX |
  MSR.S |
  MSR.EE |
  MSR.PR |
  MSR.FP |
  MSR.ME |
  MSR.FE0 |
  MSR.SE |
  MSR.BE |
  MSR.FE1 |
  MSR.IR |
  MSR.DR |
  MSR.PMM |
  MSR.RI |
  MSR.LE;

export const VECTOR = {
  systemReset: 0x100,
  machineCheck: 0x200,
  dataStorage: 0x300,
  dataSegment: 0x380,
  instructionStorage: 0x400,
  instructionSegment: 0x480,
  external: 0x500,
  alignment: 0x600,
  program: 0x700,
  fpUnavailable: 0x800,
  decrementer: 0x900,
  systemCall: 0xc00,
  trace: 0xd00,
  performanceMonitor: 0xf00,
  vecUnavailable: 0xf20,
  vsxUnavailable: 0xf40,
  facilityUnavailable: 0xf60,
} as const;

/** SRR1 cause bits of the program interrupt (ISA 3.0B III 6.5.9). */
export const PROGRAM = { fpEnabled: 0x100000, illegal: 0x80000, privileged: 0x40000, trap: 0x20000 } as const;

/** Facility numbers in FSCR[0:7] (ISA 3.0B III 6.2.11). */
export const FACILITY = { dscr: 2, pmu: 3, bhrb: 4, tm: 5, ebb: 7, tar: 8, msgp: 10, scv: 12 } as const;

/** Why `run` returned. */
export const EXIT = {
  budget: 0,
  hcall: 1,
  ucall: 2,
  mmioRead: 3,
  mmioWrite: 4,
  timer: 5,
  yield: 6,
  checkstop: 7,
  /** `mmioAddress` is in RAM whose contents are elsewhere. */
  absentPage: 8,
} as const;
export type ExitReason = (typeof EXIT)[keyof typeof EXIT];

/** `mmioState`: no access under way; the host has answered the one in the `mmio` fields. */
export const MMIO = { idle: 0, answered: 1 } as const;
