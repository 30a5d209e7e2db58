/*
 * Chapter 8, secure: the guest uses its virtio devices as any guest does, then turns itself into a secure VM (UV_ESM of the Protected Execution Facility) and
 * has to find its devices changed. It asks them for memory that is secret, which must not work, and goes on through pages that it shares.
 *
 * Works under each DMA policy of the machine by looking at what the devices offer: ACCESS_PLATFORM or not, and a register to ask for it. `dma=NAME` says which
 * policy is expected; `order=wrong` also makes the mistakes that a guest can make.
 */
#include "virtio.h"

#define MSR_S U64(0x400000)
#define UV_SHARE_PAGE 0xf130
#define PAGE_SHIFT_UV 16
#define SECTOR 512
#define REQUEST (DATA_OFFSET)         /* header of a disk's request */
#define RESULT (DATA_OFFSET + 0x100)  /* and its status byte */
#define BUFFER (DATA_OFFSET + 0x1000)
#define SECOND (DATA_OFFSET + 0x3000)
#define SECRET_SLOT 15                /* of the DMA window: where the secret page is mapped */
#define BREACH_US 2000
#define STALE_US 2000
#define ANSWER_US 20000
#define MAX_DEVICES 8
#define ARP_BYTES 60
#define NET_HEADER 12

enum { BLK_IN = 0, BLK_OUT = 1, BLK_F_RO = 5 };

static struct virtio devices[MAX_DEVICES];
static u32 count;
static u8 *secret;

/* ---- what each kind of device does to prove itself; `what` is for the line ---- */

/* Not static: its name appears in reports of what it asks for. */
__attribute__((noinline)) void disk_request(struct virtio *disk, u32 type, u64 sector, u64 bus, u32 bytes)
{
  u64 *header = (u64 *)(disk->memory + REQUEST);
  header[0] = type;
  header[1] = sector;
  disk->memory[RESULT] = 0xff;
  struct piece pieces[3] = {{virtio_bus(disk, REQUEST), 16, false}, {bus, bytes, type == BLK_IN}, {virtio_bus(disk, RESULT), 1, true}};
  if (virtio_exchange(disk, 0, pieces, 3)) expect(disk->memory[RESULT] == 0, "the disk answers %u", disk->memory[RESULT]);
}

static u64 disk_sectors(struct virtio *disk) { return register_read(disk->settings, 4) | (u64)register_read(disk->settings + 4, 4) << 32; }

static void try_disk(struct virtio *disk, char *what, u32 size)
{
  u64 last = disk_sectors(disk) - 1;
  u8 *buffer = disk->memory + BUFFER, *second = disk->memory + SECOND;
  disk_request(disk, BLK_IN, 0, virtio_bus(disk, BUFFER), SECTOR);
  if (disk->offered >> BLK_F_RO & 1) {
    format_text(what, size, "read a sector of %lu, read-only", last + 1);
    return;
  }
  for (u32 i = 0; i < SECTOR; i++) buffer[i] = (u8)(i * 7 + timebase());
  memset(second, 0, SECTOR);
  disk_request(disk, BLK_OUT, last, virtio_bus(disk, BUFFER), SECTOR);
  disk_request(disk, BLK_IN, last, virtio_bus(disk, SECOND), SECTOR);
  expect(!memcmp(buffer, second, SECTOR), "what comes back from the disk is not what was written");
  format_text(what, size, "wrote sector %lu and read it back", last);
}

static void try_rng(struct virtio *rng, char *what, u32 size)
{
  struct piece piece = {virtio_bus(rng, BUFFER), 64, true};
  u8 *bytes = rng->memory + BUFFER;
  u32 set = 0;
  memset(bytes, 0, 64);
  virtio_exchange(rng, 0, &piece, 1);
  for (u32 i = 0; i < 64; i++) set += bytes[i] != 0;
  expect(set > 32, "%u of 64 random bytes are not 0", set);
  format_text(what, size, "random bytes %02x %02x %02x %02x ...", bytes[0], bytes[1], bytes[2], bytes[3]);
}

static void try_console(struct virtio *console, char *what, u32 size)
{
  static const char text[] = "the pocket guest was here\n";
  struct piece piece = {virtio_bus(console, BUFFER), sizeof text - 1, false};
  memcpy(console->memory + BUFFER, text, sizeof text - 1);
  virtio_exchange(console, 1, &piece, 1);
  format_text(what, size, "wrote a line of %u bytes", (u32)sizeof text - 1);
}

/* Asks for the hardware address of 10.0.2.2, the gateway of the built-in network. Nobody has to be there. */
static void try_net(struct virtio *net, char *what, u32 size)
{
  static const u8 question[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 8, 6, 0, 1, 8, 0, 6, 4, 0, 1, 0, 0, 0, 0, 0, 0, 10, 0, 2, 15, 0, 0, 0, 0, 0, 0, 10, 0, 2, 2};
  u8 *frame = net->memory + BUFFER + NET_HEADER, *answer = net->memory + SECOND + NET_HEADER;
  struct piece receive = {virtio_bus(net, SECOND), 1536 + NET_HEADER, true}, send = {virtio_bus(net, BUFFER), NET_HEADER + ARP_BYTES, false};
  virtio_post(net, 0, &receive, 1);
  memset(net->memory + BUFFER, 0, NET_HEADER + ARP_BYTES);
  memcpy(frame, question, sizeof question);
  for (u32 i = 0; i < 6; i++) frame[6 + i] = frame[22 + i] = (u8)register_read(net->settings + i, 1);
  virtio_exchange(net, 1, &send, 1);
  if (virtio_done(net, 0, ANSWER_US) && answer[12] == 8 && answer[13] == 6 && answer[21] == 2)
    format_text(what, size, "10.0.2.2 is at %02x:%02x:%02x:%02x:%02x:%02x", answer[22], answer[23], answer[24], answer[25], answer[26], answer[27]);
  else format_text(what, size, "sent a frame, nobody answered");
}

static bool can_try(const struct virtio *device)
{
  return device->type == VIRTIO_BLK || device->type == VIRTIO_RNG || device->type == VIRTIO_CONSOLE || device->type == VIRTIO_NET;
}

static void try_device(struct virtio *device, char *what, u32 size)
{
  switch (device->type) {
  case VIRTIO_BLK: try_disk(device, what, size); break;
  case VIRTIO_RNG: try_rng(device, what, size); break;
  case VIRTIO_CONSOLE: try_console(device, what, size); break;
  case VIRTIO_NET: try_net(device, what, size); break;
  default: format_text(what, size, "no request is made of it"); break;
  }
}

/* ---- before ---- */

static const char *policy(void)
{
  static char name[16];
  const char *given = bootarg("dma");
  if (!given) return "transition";
  u32 i = 0;
  for (; given[i] && given[i] != ' ' && i + 1 < sizeof name; i++) name[i] = given[i];
  name[i] = 0;
  return name;
}

static bool policy_is(const char *name) { return !strcmp(policy(), name); }

static bool from_the_start(void) { return policy_is("creation") || policy_is("window"); }

static void find_devices(void)
{
  for (u32 i = 0; i < machine.bridge.function_count; i++) {
    struct virtio *device = &devices[count];
    if (!virtio_find(device, machine.bridge.functions[i], count)) continue;
    if (machine.bridge.fixed_window) {
      /* The guest's part of the bargain: devices reach what the device tree has set aside. */
      device->memory = (u8 *)(LINK_BASE | (machine.bridge.dma_base + count * DEVICE_BYTES));
      memset(device->memory, 0, DEVICE_BYTES);
    } else device->memory = allocate(DEVICE_BYTES, DEVICE_BYTES);
    count++;
  }
}

static void plain_devices(void)
{
  for (u32 i = 0; i < count; i++) {
    struct virtio *device = &devices[i];
    char what[64];
    line(virtio_name(device));
    bool offered = virtio_offered(device) & VIRTIO_F_ACCESS_PLATFORM;
    expect(offered == (from_the_start() && device->type != VIRTIO_BALLOON), "ACCESS_PLATFORM is%s offered before the transition", offered ? "" : " not");
    expect(!device->poke == !policy_is("quirk"), "there is %s register to ask for ACCESS_PLATFORM", device->poke ? "a" : "no");
    if (virtio_start(device)) try_device(device, what, sizeof what);
    result("%s: %s", device->platform ? "through the DMA window" : "plain", what);
  }
}

/* ---- the transition ---- */

/* A device tree with what the ultravisor wants to know: the boot processor, and the RTAS services it has to stand between. */
static u64 build_tree(void)
{
  static const struct {
    const char *name;
    u32 *value;
  } services[] = {
      {"power-off", &machine.token.power_off},       {"system-reboot", &machine.token.system_reboot}, {"ibm,os-term", &machine.token.os_term},
      {"start-cpu", &machine.token.start_cpu},       {"stop-self", &machine.token.stop_self},         {"query-cpu-stopped-state", &machine.token.query_cpu},
      {"nvram-fetch", &machine.token.nvram_fetch},   {"nvram-store", &machine.token.nvram_store},     {"get-time-of-day", &machine.token.time_of_day},
      {"ibm,read-pci-config", &machine.token.read_config}, {"ibm,write-pci-config", &machine.token.write_config},
  };
  enum { HEADER = 40, RESERVE = 16, BEGIN = 1, END_NODE = 2, PROPERTY = 3, END = 9 };
  u32 *tree = allocate(4096, 4096), *at = tree + (HEADER + RESERVE) / 4;
  char *strings = (char *)tree + 2048, *string = strings;
  const u32 words_of_rtas = 0x72746173;
  *at++ = be32(BEGIN);
  *at++ = 0;
  *at++ = be32(BEGIN);
  *at++ = be32(words_of_rtas);
  *at++ = 0;
  for (u32 i = 0; i < sizeof services / sizeof services[0]; i++) {
    if (!*services[i].value) continue;
    *at++ = be32(PROPERTY);
    *at++ = be32(4);
    *at++ = be32((u32)(string - strings));
    *at++ = be32(*services[i].value);
    memcpy(string, services[i].name, strlen(services[i].name) + 1);
    string += strlen(services[i].name) + 1;
  }
  *at++ = be32(END_NODE);
  *at++ = be32(END_NODE);
  *at++ = be32(END);
  u32 structure = HEADER + RESERVE, structure_bytes = (u32)((u8 *)at - (u8 *)tree) - structure;
  const u32 header[] = {0xd00dfeed, 4096, structure, 2048, HEADER, 17, 16, machine.boot_server, (u32)(string - strings), structure_bytes};
  for (u32 i = 0; i < sizeof header / sizeof header[0]; i++) tree[i] = be32(header[i]);
  return real_address(tree);
}

static void enter(void) { this_cpu->trap_value = (u64)enter_secure_mode(build_tree()); }

static u64 enter_in_trap(void)
{
  enter();
  return this_cpu->trap_value;
}

/* False: there is no ultravisor. */
static bool turn_secure(void)
{
  line("UV_ESM");
  set_msr(mfmsr() & ~(MSR_IR | MSR_DR));
  u64 vector = trap_call((void (*)(void))enter_in_trap, 0);
  if (vector) {
    skip("UV_ESM", "sc 2 is a plain system call here: there is no ultravisor");
    return false;
  }
  i64 answer = (i64)this_cpu->trap_value;
  if (answer == H_FUNCTION) {
    skip("UV_ESM", "H_FUNCTION: there is no ultravisor");
    return false;
  }
  expect_eq("what UV_ESM answered", (u64)answer, 0);
  expect(mfmsr() & MSR_S, "MSR is 0x%lx: S is not set", mfmsr());
  result("started anew with MSR[S] set: all memory is secret");
  return mfmsr() & MSR_S;
}

/* ---- mistakes, each for every device ---- */

/* A driver that does not know what has happened rings its device's bell. */
static void stale_drivers(void)
{
  for (u32 i = 0; i < count; i++) {
    struct virtio *device = &devices[i];
    line("stale driver");
    struct piece piece = {virtio_bus(device, BUFFER), 64, device->type != VIRTIO_CONSOLE};
    u32 queue = device->type == VIRTIO_CONSOLE || device->type == VIRTIO_NET;
    u32 before = virtio_status(device);
    expect(!before == policy_is("transition"), "status of %s is 0x%x", virtio_name(device), before);
    virtio_post(device, queue, &piece, 1);
    expect(!virtio_done(device, queue, STALE_US), "%s goes on in secret memory", virtio_name(device));
    u32 status = virtio_status(device);
    result("%s: %s", virtio_name(device), !before ? "was reset, hears nothing" : status & STATUS_NEEDS_RESET ? "its rings are secret: it stopped" : "its rings are secret: it does nothing");
  }
}

/* Under policy quirk a device that nobody asks stays plain. */
static void secret_rings(void)
{
  for (u32 i = 0; i < count; i++) {
    struct virtio *device = &devices[i];
    line("unshared rings");
    if (!virtio_start(device)) {
      result("-");
      continue;
    }
    struct piece piece = {virtio_bus(device, BUFFER), 64, device->type != VIRTIO_CONSOLE};
    u32 queue = device->type == VIRTIO_CONSOLE || device->type == VIRTIO_NET;
    virtio_post(device, queue, &piece, 1);
    expect(!virtio_done(device, queue, STALE_US), "%s reads rings in secret memory", virtio_name(device));
    result("%s, %s: %s", virtio_name(device), device->platform ? "through the window" : "plain",
           virtio_status(device) & STATUS_NEEDS_RESET ? "it stopped" : "it does nothing");
  }
}

/* ---- after ---- */

static void find_switched(void)
{
  for (u32 i = 0; i < count; i++) {
    struct virtio *device = &devices[i];
    const char *how = "never offers ACCESS_PLATFORM: plain, through shared pages";
    line("the switch");
    if (device->poke) {
      expect(!(virtio_offered(device) & VIRTIO_F_ACCESS_PLATFORM), "ACCESS_PLATFORM is offered before it was asked for");
      virtio_poke(device, 1);
      expect(virtio_status(device) == 0, "status 0x%x after the poke", virtio_status(device));
    }
    bool offered = virtio_offered(device) & VIRTIO_F_ACCESS_PLATFORM;
    if (device->type != VIRTIO_BALLOON) expect(offered == !policy_is("legacy"), "ACCESS_PLATFORM is%s offered", offered ? "" : " not");
    if (offered) {
      expect(!virtio_negotiate(device, false), "a driver without ACCESS_PLATFORM is accepted");
      how = device->poke ? "asked for ACCESS_PLATFORM, and has it" : from_the_start() ? "has ACCESS_PLATFORM as before" : "was reset; now ACCESS_PLATFORM is a must";
      u32 bar0 = config_read(device->address, 0x10, 4);
      expect(bar0 == 0, "BAR 0 is 0x%x: there is a legacy interface", bar0);
    }
    result("%s %s", virtio_name(device), how);
  }
}

static void share(void)
{
  line("shared pages");
  for (u32 i = 0; i < count; i++) {
    i64 status = ultracall(UV_SHARE_PAGE, real_address(devices[i].memory) >> PAGE_SHIFT_UV, 1);
    expect_eq("UV_SHARE_PAGE", (u64)status, 0);
    for (u32 at = 0; at < DEVICE_BYTES; at++)
      if (!expect(!devices[i].memory[at], "a page is shared with what was in it")) break;
  }
  result("64 KiB for each device, empty; all else stays secret");
}

static struct virtio *device_of(u32 type)
{
  for (u32 i = 0; i < count; i++)
    if (devices[i].type == type) return &devices[i];
  return NULL;
}

/* A bus address of the secret, for a device as it is. */
static u64 expose_secret(struct virtio *device)
{
  if (!device->platform) return real_address(secret);
  u64 bus = machine.bridge.dma_base + SECRET_SLOT * DEVICE_BYTES;
  dma_map(bus, real_address(secret), DEVICE_BYTES);
  return bus;
}

static bool untouched(void)
{
  for (u32 i = 0; i < DEVICE_BYTES; i++)
    if (secret[i] != 0x5a) return false;
  return true;
}

/* A device is asked to write to memory that is secret, and to read it. */
__attribute__((noinline)) void breaches(void)
{
  struct virtio *disk = device_of(VIRTIO_BLK), *rng = device_of(VIRTIO_RNG);
  memset(secret, 0x5a, DEVICE_BYTES);
  if (rng && virtio_start(rng)) {
    line("blocked write");
    struct piece piece = {expose_secret(rng), 64, true};
    virtio_post(rng, 0, &piece, 1);
    virtio_done(rng, 0, BREACH_US);
    expect(untouched(), "virtio-rng has changed a secret");
    result("virtio-rng filled a secret page: the page is as it was");
  }
  if (disk && virtio_start(disk)) {
    line("blocked write");
    disk_request(disk, BLK_IN, 0, expose_secret(disk), SECTOR);
    expect(untouched(), "virtio-blk has changed a secret");
    result("virtio-blk filled a secret page: the page is as it was");
    if (disk->offered >> BLK_F_RO & 1) return;
    line("blocked read");
    u64 last = disk_sectors(disk) - 1;
    u32 same = 0;
    disk_request(disk, BLK_OUT, last, expose_secret(disk), SECTOR);
    disk_request(disk, BLK_IN, last, virtio_bus(disk, BUFFER), SECTOR);
    for (u32 i = 0; i < SECTOR; i++) same += disk->memory[BUFFER + i] == 0x5a;
    expect(same < SECTOR / 8, "%u of %u bytes of a secret are on the disk", same, SECTOR);
    result("virtio-blk wrote a secret page: the disk has noise");
  }
}

static void bounced_devices(void)
{
  for (u32 i = 0; i < count; i++) {
    struct virtio *device = &devices[i];
    char what[64];
    line(virtio_name(device));
    if (!can_try(device)) {
      skip(virtio_name(device), "no request is made of it");
      continue;
    }
    if (virtio_start(device)) try_device(device, what, sizeof what);
    result("%s: %s", device->platform ? "bounced" : "bounced by the guest itself", what);
  }
}

void chapter_secure(void)
{
  const char *order = bootarg("order");
  bool wrong = order && !strncmp(order, "wrong", 5);
  chapter("secure", "the guest turns itself into a secure VM, and its devices follow");
  if (!machine.bridge.window || !machine.token.read_config) {
    skip("PCI", "there is no host bridge");
    return;
  }
  find_devices();
  if (!count) skip("virtio", "there are no devices");
  plain_devices();
  secret = allocate(DEVICE_BYTES, DEVICE_BYTES);
  if (!turn_secure()) return;
  if (!count) return;
  if (wrong) {
    stale_drivers();
    secret_rings();
  }
  find_switched();
  share();
  breaches();
  bounced_devices();
}
