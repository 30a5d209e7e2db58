// Addresses as devices use them on their bus: 64 bits wide, of which two stretches have anything behind them. They are
// kept in one JavaScript number, so that no path that moves data handles a BigInt:
//   0 to 2^52 - 1                            itself
//   2^59 to 2^59 + 2^51 - 1                  folded to -2^52 and up (dynamic DMA windows start at 2^59)
//   all else                                 NaN: an address that translates to nothing
// Within a stretch, adding an offset below 2^51 gives the address that many bytes on, so drivers' addresses can be
// summed with plain additions; leaving a stretch never enters the other one.

/** See the head of this file. Compare with `>=` and `<`: NaN then fails every test. */
export type BusAddress = number;

export const NO_BUS_ADDRESS: BusAddress = Number.NaN;

/** High word of the start of dynamic windows. */
const HIGH_STRETCH = 0x0800_0000;
const HIGH_STRETCH_WORDS = 2 ** 19;
const LOW_STRETCH_WORDS = 2 ** 20;
const FOLD = -(2 ** 52);
const WORD = 2 ** 32;

/** First bus address of dynamic windows, 2^59. */
export const DYNAMIC_WINDOW_BASE: BusAddress = FOLD;
/** One past the last address of that stretch. */
export const DYNAMIC_WINDOW_END: BusAddress = FOLD + 2 ** 51;

/** From two 32-bit words, each taken modulo 2^32. */
export function busAddress(high: number, low: number): BusAddress {
  const top = high >>> 0;
  if (top < LOW_STRETCH_WORDS) return top * WORD + (low >>> 0);
  if (top >= HIGH_STRETCH && top - HIGH_STRETCH < HIGH_STRETCH_WORDS) {
    return FOLD + (top - HIGH_STRETCH) * WORD + (low >>> 0);
  }
  return NO_BUS_ADDRESS;
}

/** From a 64-bit value, taken modulo 2^64. */
export function busAddressOf(value: bigint): BusAddress {
  return busAddress(Number((value >> 32n) & 0xffff_ffffn), Number(value & 0xffff_ffffn));
}

/** The little-endian 64-bit bus address at byte `offset` of `view`: how devices find them in memory. */
export function busAddressAt(view: DataView, offset: number): BusAddress {
  return busAddress(view.getUint32(offset + 4, true), view.getUint32(offset, true));
}

/** High and low 32-bit word; (0xffffffff, 0xffffffff) for no address. */
export function busAddressWords(address: BusAddress): { high: number; low: number } {
  if (Number.isNaN(address)) return { high: 0xffff_ffff, low: 0xffff_ffff };
  const folded = address < 0;
  const value = folded ? address - FOLD : address;
  return { high: Math.floor(value / WORD) + (folded ? HIGH_STRETCH : 0), low: value % WORD };
}

/** In hexadecimal, for messages. */
export function busAddressText(address: BusAddress): string {
  if (Number.isNaN(address)) return 'an address beyond all windows';
  const { high, low } = busAddressWords(address);
  return `0x${((BigInt(high) << 32n) | BigInt(low)).toString(16)}`;
}
