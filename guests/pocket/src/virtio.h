/* A driver of virtio devices on PCI, as small as one can be: split rings of eight entries, one request at a time, no interrupts (VIRTIO 1.2). */
#ifndef POCKET_VIRTIO_H
#define POCKET_VIRTIO_H
#include "runtime.h"

enum { VIRTIO_NET = 1, VIRTIO_BLK = 2, VIRTIO_CONSOLE = 3, VIRTIO_RNG = 4, VIRTIO_BALLOON = 5, VIRTIO_SCSI = 8, VIRTIO_9P = 9, VIRTIO_VSOCK = 19 };

#define STATUS_ACKNOWLEDGE 1
#define STATUS_DRIVER 2
#define STATUS_DRIVER_OK 4
#define STATUS_FEATURES_OK 8
#define STATUS_NEEDS_RESET 64

#define VIRTIO_F_VERSION_1 (U64(1) << 32)
#define VIRTIO_F_ACCESS_PLATFORM (U64(1) << 33)

#define DEVICE_BYTES U64(0x10000) /* memory of a device: rings, then data */
#define DATA_OFFSET U64(0x4000)
#define QUEUES 2

struct virtio {
  u32 address, type;             /* configuration address; device type */
  u32 bus_slot;                  /* which 64 KiB of the DMA window are its own */
  u64 bar, common, notify, settings; /* guest real addresses */
  u32 notify_multiplier, poke;   /* poke: offset of the register that switches its DMA, 0 = there is none */
  u64 offered;
  bool platform;                 /* ACCESS_PLATFORM was accepted */
  u8 *memory;                    /* DEVICE_BYTES */
  u64 queue_notify[QUEUES];
  u16 available[QUEUES];
};

struct piece {
  u64 bus;
  u32 bytes;
  bool write; /* by the device */
};

const char *virtio_name(const struct virtio *);
bool virtio_find(struct virtio *, u32 address, u32 index); /* places BAR 4, reads the capabilities */
u64 virtio_offered(struct virtio *);
u32 virtio_status(struct virtio *);
bool virtio_negotiate(struct virtio *, bool accept_platform); /* from reset; false = the device refuses */
bool virtio_start(struct virtio *);                           /* features, rings in `memory`, DRIVER_OK */
u64 virtio_bus(const struct virtio *, u64 offset);            /* of a byte of `memory` */
void virtio_post(struct virtio *, u32 queue, const struct piece *, u32 count);
bool virtio_done(struct virtio *, u32 queue, u64 microseconds); /* the device has returned what was posted */
bool virtio_exchange(struct virtio *, u32 queue, const struct piece *, u32 count);
void virtio_poke(struct virtio *, u32 value);

#endif
