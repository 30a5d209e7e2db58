// virtio-rng has no configuration and no features of its own (VIRTIO 1.2 5.4.3, 5.4.4).

export const VIRTIO_ID_RNG = 4;
export const RNG_QUEUE_SIZE = 64;
