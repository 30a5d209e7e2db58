// PCI identities of virtio devices (VIRTIO 1.2 4.1.2).

export const VIRTIO_VENDOR = 0x1af4;
/** Modern device ID: this plus the device type. */
const MODERN_BASE = 0x1040;

/** By device type: transitional PCI device ID, if it has one, and class code. */
const TYPES: ReadonlyMap<number, { readonly transitional?: number; readonly classCode: number }> = new Map([
  [1, { transitional: 0x1000, classCode: 0x02_0000 }],
  [2, { transitional: 0x1001, classCode: 0x01_0000 }],
  [3, { transitional: 0x1003, classCode: 0x07_8000 }],
  [4, { transitional: 0x1005, classCode: 0x00_ff00 }],
  [5, { transitional: 0x1002, classCode: 0x00_ff00 }],
  [8, { transitional: 0x1004, classCode: 0x01_0000 }],
  [9, { transitional: 0x1009, classCode: 0x00_0200 }],
  [19, { classCode: 0x02_8000 }],
]);

const OTHER_CLASS = 0x00_ff00;

export function modernId(deviceType: number): number {
  return MODERN_BASE + deviceType;
}

/** Undefined for types that never had a legacy interface. */
export function transitionalId(deviceType: number): number | undefined {
  return TYPES.get(deviceType)?.transitional;
}

export function classCode(deviceType: number): number {
  return TYPES.get(deviceType)?.classCode ?? OTHER_CLASS;
}
