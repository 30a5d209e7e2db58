// Numbers and return codes of the interface between guest, ultravisor and hypervisor (UV-API; the codes are those of
// hypercalls).

export const UV = {
  WRITE_PATE: 0xf104,
  ESM: 0xf110,
  RETURN: 0xf11c,
  REGISTER_MEM_SLOT: 0xf120,
  UNREGISTER_MEM_SLOT: 0xf124,
  PAGE_IN: 0xf128,
  PAGE_OUT: 0xf12c,
  SHARE_PAGE: 0xf130,
  UNSHARE_PAGE: 0xf134,
  PAGE_INVAL: 0xf138,
  SVM_TERMINATE: 0xf13c,
  UNSHARE_ALL_PAGES: 0xf140,
  ESMB_GET_FILE: 0xf14c,
} as const;

/** Hypercalls of the ultravisor to the hypervisor. */
export const H_SVM = {
  PAGE_IN: 0xef00,
  PAGE_OUT: 0xef04,
  INIT_START: 0xef08,
  INIT_DONE: 0xef0c,
  INIT_ABORT: 0xef14,
} as const;

/** Flag of H_SVM_PAGE_IN: the page is to be shared. */
export const H_PAGE_IN_SHARED = 1;

export const U_SUCCESS = 0;
export const U_FUNCTION = -2;
export const U_PARAMETER = -4;
export const U_RETRY = -5;
export const U_PERMISSION = -11;
export const U_P2 = -55;
export const U_P3 = -56;
export const U_P4 = -57;
export const U_P5 = -58;
export const U_STATE = -75;

/** The partition, in calls that name one. There is one in a machine. */
export const LPID = 1;
