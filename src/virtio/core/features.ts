// Feature bits that belong to no device type (VIRTIO 1.2 section 6) and what a negotiated set means for the rings.
// Sets are bigints: they are handled when a driver starts, never for each buffer.

export const VIRTIO_F_ANY_LAYOUT = 27;
export const VIRTIO_F_INDIRECT_DESC = 28;
export const VIRTIO_F_EVENT_IDX = 29;
export const VIRTIO_F_VERSION_1 = 32;
export const VIRTIO_F_ACCESS_PLATFORM = 33;
export const VIRTIO_F_RING_PACKED = 34;
export const VIRTIO_F_IN_ORDER = 35;
export const VIRTIO_F_ORDER_PLATFORM = 36;
export const VIRTIO_F_RING_RESET = 40;

/** The set of the given bit numbers. */
export function featureSet(...bits: readonly number[]): bigint {
  return bits.reduce((set, bit) => set | (1n << BigInt(bit)), 0n);
}

export function hasFeature(set: bigint, bit: number): boolean {
  return ((set >> BigInt(bit)) & 1n) !== 0n;
}

/** 32 bits of a set: bits 0 to 31 for word 0, 32 to 63 for word 1, nothing beyond. */
export function featureWord(set: bigint, word: number): number {
  return word > 1 ? 0 : Number((set >> BigInt(32 * word)) & 0xffff_ffffn);
}

/** `set` with 32 of its bits replaced; words beyond 1 do not exist. */
export function withFeatureWord(set: bigint, word: number, value: number): bigint {
  if (word > 1) return set;
  const shift = BigInt(32 * word);
  return (set & ~(0xffff_ffffn << shift)) | (BigInt(value >>> 0) << shift);
}

/** Which of the common features a device offers; what is not given is offered, but for `inOrder` and the platform's two. */
export interface RingOffer {
  readonly indirect?: boolean;
  readonly eventIdx?: boolean;
  readonly packed?: boolean;
  readonly ringReset?: boolean;
  /** Makes the device return buffers in the order it got them, which costs those that finish out of order a wait. */
  readonly inOrder?: boolean;
  /** Real barriers instead of those between processors (VIRTIO 1.2 6.2). */
  readonly orderPlatform?: boolean;
}

/** The bits of an offer; ACCESS_PLATFORM is the device's own to add. */
export function offeredRingFeatures(offer: RingOffer): bigint {
  const bits = [VIRTIO_F_VERSION_1];
  if (offer.indirect ?? true) bits.push(VIRTIO_F_INDIRECT_DESC);
  if (offer.eventIdx ?? true) bits.push(VIRTIO_F_EVENT_IDX);
  if (offer.packed ?? true) bits.push(VIRTIO_F_RING_PACKED);
  if (offer.ringReset ?? true) bits.push(VIRTIO_F_RING_RESET);
  if (offer.inOrder) bits.push(VIRTIO_F_IN_ORDER);
  if (offer.orderPlatform) bits.push(VIRTIO_F_ORDER_PLATFORM);
  return featureSet(...bits);
}

/** What was negotiated about the rings. */
export interface RingFeatures {
  readonly packed: boolean;
  readonly indirect: boolean;
  readonly eventIdx: boolean;
  readonly inOrder: boolean;
}

export function ringFeatures(negotiated: bigint): RingFeatures {
  return {
    packed: hasFeature(negotiated, VIRTIO_F_RING_PACKED),
    indirect: hasFeature(negotiated, VIRTIO_F_INDIRECT_DESC),
    eventIdx: hasFeature(negotiated, VIRTIO_F_EVENT_IDX),
    inOrder: hasFeature(negotiated, VIRTIO_F_IN_ORDER),
  };
}
