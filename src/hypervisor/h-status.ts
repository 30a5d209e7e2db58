// Return codes of hypercalls (LoPAR, Hypervisor Call Return Code Table): signed 64-bit values delivered in r3.

export const H_SUCCESS = 0;
export const H_BUSY = 1;
export const H_CLOSED = 2;
export const H_NOT_AVAILABLE = 3;
export const H_CONTINUE = 18;
export const H_HARDWARE = -1;
export const H_FUNCTION = -2;
export const H_PRIVILEGE = -3;
export const H_PARAMETER = -4;
export const H_BAD_MODE = -5;
export const H_NO_MEM = -9;
export const H_AUTHORITY = -10;
export const H_RESOURCE = -16;
export const H_P2 = -55;
export const H_P3 = -56;
export const H_P4 = -57;
export const H_P5 = -58;
export const H_NOOP = -63;
export const H_UNSUPPORTED = -67;
export const H_STATE = -75;
export const H_UNSUPPORTED_FLAG = -256;

/** The return code that says which flag bit (IBM numbering, 0 to 63) is not supported. */
export function unsupportedFlag(bit: number): number {
  return H_UNSUPPORTED_FLAG - bit;
}
