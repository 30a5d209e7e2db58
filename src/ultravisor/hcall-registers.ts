// How many registers of a secure guest each hypercall may read and write: the ultravisor's own knowledge, so that a
// hypervisor cannot ask for more. A call that is not listed is not reflected. LoPAR; UV-API, reflected hypercalls.

export interface HcallRegisters {
  readonly name: string;
  /** Argument registers from r4 up. */
  readonly inputs: number;
  /** Result registers from r4 up; r3 always comes back. */
  readonly outputs: number;
}

export const H_RANDOM = 0x300;
export const H_CEDE = 0xe0;
export const H_REGISTER_PROC_TBL = 0x37c;
export const H_RTAS = 0xf000;

export const hcallRegisters: ReadonlyMap<number, HcallRegisters> = new Map(
  (
    [
      [0x1c, 'H_GET_TCE', 2, 1],
      [0x20, 'H_PUT_TCE', 3, 0],
      [0x24, 'H_SET_SPRG0', 1, 0],
      [0x28, 'H_SET_DABR', 1, 0],
      [0x2c, 'H_PAGE_INIT', 3, 0],
      [0x3c, 'H_LOGICAL_CI_LOAD', 2, 1],
      [0x40, 'H_LOGICAL_CI_STORE', 3, 0],
      [0x44, 'H_LOGICAL_CACHE_LOAD', 2, 1],
      [0x48, 'H_LOGICAL_CACHE_STORE', 3, 0],
      [0x4c, 'H_LOGICAL_ICBI', 1, 0],
      [0x50, 'H_LOGICAL_DCBF', 1, 0],
      [0x54, 'H_GET_TERM_CHAR', 1, 3],
      [0x58, 'H_PUT_TERM_CHAR', 4, 0],
      [0x64, 'H_EOI', 1, 0],
      [0x68, 'H_CPPR', 1, 0],
      [0x6c, 'H_IPI', 2, 0],
      [0x70, 'H_IPOLL', 1, 2],
      [0x74, 'H_XIRR', 0, 1],
      [0xdc, 'H_REGISTER_VPA', 3, 0],
      [H_CEDE, 'H_CEDE', 0, 0],
      [0xe4, 'H_CONFER', 2, 0],
      [0xe8, 'H_PROD', 1, 0],
      [0x134, 'H_SET_XDABR', 2, 0],
      [0x138, 'H_STUFF_TCE', 4, 0],
      [0x13c, 'H_PUT_TCE_INDIRECT', 4, 0],
      [0x1c8, 'H_GET_CPU_CHARACTERISTICS', 0, 2],
      [0x298, 'H_JOIN', 0, 0],
      [0x2ec, 'H_HOME_NODE_ASSOCIATIVITY', 2, 6],
      [0x2fc, 'H_XIRR_X', 1, 2],
      [H_RANDOM, 'H_RANDOM', 0, 1],
      [0x31c, 'H_SET_MODE', 4, 0],
      [H_REGISTER_PROC_TBL, 'H_REGISTER_PROC_TBL', 4, 0],
      [0x380, 'H_SIGNAL_SYS_RESET', 1, 0],
      [0x45c, 'H_WATCHDOG', 3, 1],
      [H_RTAS, 'H_RTAS', 1, 0],
    ] as const
  ).map(([token, name, inputs, outputs]) => [token, { name, inputs, outputs }]),
);
