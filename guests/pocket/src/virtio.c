/* See virtio.h. Registers: VIRTIO 1.2 4.1.4.3; rings: 2.7. The structures of a queue are a page apart, and lie in memory as the device reads them. */
#include "virtio.h"

#define CONFIG_COMMAND 4
#define CONFIG_SUBSYSTEM 0x2e
#define CONFIG_BAR4 0x20
#define CONFIG_CAPABILITIES 0x34
#define COMMAND_MEMORY_AND_MASTER 6
#define BAR_SPACING U64(0x10000)

enum { CAP_VENDOR = 9, CFG_COMMON = 1, CFG_NOTIFY = 2, CFG_DEVICE = 4, CFG_VENDOR = 9 };
enum { FEATURE_SELECT = 0, FEATURE = 4, DRIVER_SELECT = 8, DRIVER_FEATURE = 12, NUM_QUEUES = 18, STATUS = 20, QUEUE_SELECT = 22, QUEUE_SIZE = 24,
       QUEUE_ENABLE = 28, QUEUE_NOTIFY_OFF = 30, QUEUE_DESC = 32, QUEUE_DRIVER = 40, QUEUE_DEVICE = 48 };

#define RING_ENTRIES 8
#define QUEUE_SPACING 0x1000
#define AVAILABLE_OFFSET 0x400
#define USED_OFFSET 0x800
#define DESC_NEXT 1
#define DESC_WRITE 2
#define PATIENCE_US 200000

struct descriptor {
  u64 address;
  u32 length;
  u16 flags, next;
};
struct available {
  u16 flags, index, ring[RING_ENTRIES];
};
struct used {
  u16 flags, index;
  struct {
    u32 id, length;
  } ring[RING_ENTRIES];
};

const char *virtio_name(const struct virtio *device)
{
  switch (device->type) {
  case VIRTIO_NET: return "virtio-net";
  case VIRTIO_BLK: return "virtio-blk";
  case VIRTIO_CONSOLE: return "virtio-console";
  case VIRTIO_RNG: return "virtio-rng";
  case VIRTIO_BALLOON: return "virtio-balloon";
  case VIRTIO_SCSI: return "virtio-scsi";
  case VIRTIO_9P: return "virtio-9p";
  case VIRTIO_VSOCK: return "virtio-vsock";
  }
  return "virtio-?";
}

bool virtio_find(struct virtio *device, u32 address, u32 index)
{
  u32 id = config_read(address, 2, 2);
  device->address = address;
  device->bus_slot = index;
  device->type = id >= 0x1040 ? id - 0x1040 : config_read(address, CONFIG_SUBSYSTEM, 2);
  device->bar = machine.bridge.memory64 + index * BAR_SPACING;
  config_write(address, CONFIG_BAR4, 4, (u32)device->bar);
  config_write(address, CONFIG_BAR4 + 4, 4, (u32)(device->bar >> 32));
  config_write(address, CONFIG_COMMAND, 2, COMMAND_MEMORY_AND_MASTER);
  for (u32 at = config_read(address, CONFIG_CAPABILITIES, 1), seen = 0; at && seen < 48; at = config_read(address, at + 1, 1), seen++) {
    if (config_read(address, at, 1) != CAP_VENDOR) continue;
    u32 kind = config_read(address, at + 3, 1);
    if (kind == CFG_VENDOR) {
      device->poke = at + 8;
      continue;
    }
    if (config_read(address, at + 4, 1) != 4) continue;
    u64 place = device->bar + config_read(address, at + 8, 4);
    if (kind == CFG_COMMON) device->common = place;
    if (kind == CFG_DEVICE) device->settings = place;
    if (kind == CFG_NOTIFY) {
      device->notify = place;
      device->notify_multiplier = config_read(address, at + 16, 4);
    }
  }
  return device->common && device->notify;
}

u32 virtio_status(struct virtio *device) { return register_read(device->common + STATUS, 1); }

u64 virtio_offered(struct virtio *device)
{
  u64 offered = 0;
  for (u32 word = 0; word < 2; word++) {
    register_write(device->common + FEATURE_SELECT, 4, word);
    offered |= (u64)register_read(device->common + FEATURE, 4) << (32 * word);
  }
  return device->offered = offered;
}

bool virtio_negotiate(struct virtio *device, bool accept_platform)
{
  u64 wanted = VIRTIO_F_VERSION_1;
  register_write(device->common + STATUS, 1, 0);
  register_write(device->common + STATUS, 1, STATUS_ACKNOWLEDGE);
  register_write(device->common + STATUS, 1, STATUS_ACKNOWLEDGE | STATUS_DRIVER);
  if (accept_platform) wanted |= virtio_offered(device) & VIRTIO_F_ACCESS_PLATFORM;
  device->platform = (wanted & VIRTIO_F_ACCESS_PLATFORM) != 0;
  for (u32 word = 0; word < 2; word++) {
    register_write(device->common + DRIVER_SELECT, 4, word);
    register_write(device->common + DRIVER_FEATURE, 4, (u32)(wanted >> (32 * word)));
  }
  register_write(device->common + STATUS, 1, STATUS_ACKNOWLEDGE | STATUS_DRIVER | STATUS_FEATURES_OK);
  return (virtio_status(device) & STATUS_FEATURES_OK) != 0;
}

u64 virtio_bus(const struct virtio *device, u64 offset)
{
  u64 ra = real_address(device->memory);
  if (!device->platform || machine.bridge.fixed_window) return ra + offset;
  return machine.bridge.dma_base + device->bus_slot * DEVICE_BYTES + offset;
}

static void write64(u64 ra, u64 value)
{
  register_write(ra, 4, (u32)value);
  register_write(ra + 4, 4, (u32)(value >> 32));
}

bool virtio_start(struct virtio *device)
{
  if (!expect(virtio_negotiate(device, true), "%s refuses the features", virtio_name(device))) return false;
  if (device->platform && !machine.bridge.fixed_window) dma_map(virtio_bus(device, 0), real_address(device->memory), DEVICE_BYTES);
  u32 queues = register_read(device->common + NUM_QUEUES, 2);
  memset(device->memory, 0, QUEUES * QUEUE_SPACING);
  for (u32 queue = 0; queue < QUEUES && queue < queues; queue++) {
    u64 base = queue * QUEUE_SPACING;
    register_write(device->common + QUEUE_SELECT, 2, queue);
    register_write(device->common + QUEUE_SIZE, 2, RING_ENTRIES);
    write64(device->common + QUEUE_DESC, virtio_bus(device, base));
    write64(device->common + QUEUE_DRIVER, virtio_bus(device, base + AVAILABLE_OFFSET));
    write64(device->common + QUEUE_DEVICE, virtio_bus(device, base + USED_OFFSET));
    register_write(device->common + QUEUE_ENABLE, 2, 1);
    device->queue_notify[queue] = device->notify + register_read(device->common + QUEUE_NOTIFY_OFF, 2) * device->notify_multiplier;
    device->available[queue] = 0;
  }
  register_write(device->common + STATUS, 1, STATUS_ACKNOWLEDGE | STATUS_DRIVER | STATUS_FEATURES_OK | STATUS_DRIVER_OK);
  return expect(virtio_status(device) & STATUS_DRIVER_OK, "%s does not start: status 0x%x", virtio_name(device), virtio_status(device));
}

void virtio_post(struct virtio *device, u32 queue, const struct piece *pieces, u32 count)
{
  struct descriptor *table = (struct descriptor *)(device->memory + queue * QUEUE_SPACING);
  struct available *available = (struct available *)((u8 *)table + AVAILABLE_OFFSET);
  for (u32 i = 0; i < count; i++) {
    table[i].address = pieces[i].bus;
    table[i].length = pieces[i].bytes;
    table[i].flags = (pieces[i].write ? DESC_WRITE : 0) | (i + 1 < count ? DESC_NEXT : 0);
    table[i].next = i + 1;
  }
  available->ring[device->available[queue] % RING_ENTRIES] = 0;
  sync();
  *(volatile u16 *)&available->index = ++device->available[queue];
  sync();
  register_write(device->queue_notify[queue], 2, queue);
}

bool virtio_done(struct virtio *device, u32 queue, u64 microseconds)
{
  volatile struct used *used = (volatile struct used *)(device->memory + queue * QUEUE_SPACING + USED_OFFSET);
  u64 end = timebase() + ticks_of_us(microseconds);
  while (used->index != device->available[queue])
    if (timebase() > end) return false;
  sync();
  return true;
}

bool virtio_exchange(struct virtio *device, u32 queue, const struct piece *pieces, u32 count)
{
  virtio_post(device, queue, pieces, count);
  return expect(virtio_done(device, queue, PATIENCE_US), "%s does not answer: status 0x%x", virtio_name(device), virtio_status(device));
}

void virtio_poke(struct virtio *device, u32 value) { config_write(device->address, device->poke, 4, value); }
