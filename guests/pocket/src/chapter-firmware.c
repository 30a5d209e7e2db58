/*
 * Chapter 1, firmware: a client of Open Firmware (IEEE 1275 and its PowerPC and CHRP bindings, LoPAR for client-architecture-support and
 * instantiate-rtas). Runs before the image has moved to its link address: no initialised pointers in data, real mode, below 4 GiB.
 */
#include "runtime.h"

#define NOTHING 0xffffffffu
#define HEAP_BYTES U64(0x1000000)
#define MEBIBYTE U64(0x100000)
#define RTAS_LIMIT (768 * MEBIBYTE)
#define STEPS_MAX 1024

static u64 entry;
static u32 block[16];
static u32 nodes, properties, calls;
static u8 buffer[4096];
static char name_buffer[64], previous_name[64];

#define ADDRESS(p) ((u32)(u64)(p))

/* Calls a service; the first result, or -1 if firmware does not know it. */
static u32 of(const char *service, u32 inputs, u32 outputs, u32 a, u32 b, u32 c, u32 d)
{
  block[0] = be32(ADDRESS(service));
  block[1] = be32(inputs);
  block[2] = be32(outputs);
  u32 in[4] = {a, b, c, d};
  for (u32 i = 0; i < inputs; i++) block[3 + i] = be32(in[i]);
  for (u32 i = 0; i < outputs; i++) block[3 + inputs + i] = be32(NOTHING);
  calls++;
  if (firmware_call(entry, (u64)block, 0)) return NOTHING;
  return outputs ? be32(block[3 + inputs]) : 0;
}

static u32 of_output(u32 index) { return be32(block[3 + be32(block[1]) + index]); }
static u32 finddevice(const char *path) { return of("finddevice", 1, 1, ADDRESS(path), 0, 0, 0); }
static u32 getprop(u32 node, const char *name, void *to, u32 size) { return of("getprop", 4, 1, node, ADDRESS(name), ADDRESS(to), size); }

static u32 getcell(u32 node, const char *name, u32 if_absent)
{
  u32 value;
  return getprop(node, name, &value, 4) == 4 ? be32(value) : if_absent;
}

static bool getprop_is(u32 node, const char *name, const char *text)
{
  u32 length = getprop(node, name, buffer, sizeof buffer - 1);
  return length == strlen(text) + 1 && !memcmp(buffer, text, length);
}

static u64 cells(const u8 *p, u32 count)
{
  u64 value = 0;
  for (u32 i = 0; i < 4 * count; i++) value = value << 8 | p[i];
  return value;
}

static void describe_processor(u32 node)
{
  u32 length = getprop(node, "ibm,ppc-interrupt-server#s", buffer, sizeof buffer);
  if (length == NOTHING || length < 4) length = getprop(node, "reg", buffer, 4);
  for (u32 i = 0; i + 4 <= length && machine.cpu_count < MAX_CPUS; i += 4) machine.cpus[machine.cpu_count++] = (u32)cells(buffer + i, 1);
  machine.timebase_hz = getcell(node, "timebase-frequency", 0);
  machine.dec_bits = getcell(node, "ibm,dec-bits", 32);
  machine.cpu_version = getcell(node, "cpu-version", 0);
}

static void describe_memory(u32 node, u32 address_cells, u32 size_cells)
{
  u32 length = getprop(node, "reg", buffer, sizeof buffer), step = 4 * (address_cells + size_cells);
  if (length == NOTHING) return;
  for (u32 i = 0; i + step <= length; i += step) {
    u64 base = cells(buffer + i, address_cells), size = cells(buffer + i + 4 * address_cells, size_cells);
    if (!base) machine.real_mode_bytes = size;
    machine.memory_bytes += size;
  }
}

#define VIRTIO_VENDOR 0x1af4
#define SPACE_CODE 0x03000000u
#define SPACE_MEMORY_64 0x03000000u

/* PCI Bus Binding: unit, windows (child: 3 cells, parent: 2, size: 2), and the default DMA window (LIOBN, base, size). */
static void describe_bridge(u32 node)
{
  if (machine.bridge.window || getprop(node, "ibm,dma-window", buffer, 20) != 20) return;
  machine.bridge.window = (u32)cells(buffer, 1);
  machine.bridge.dma_base = cells(buffer + 4, 2);
  machine.bridge.dma_bytes = cells(buffer + 12, 2);
  machine.bridge.fixed_window = getprop(node, "dma-ranges", buffer, sizeof buffer) != NOTHING;
  if (getprop(node, "reg", buffer, 8) != NOTHING) {
    machine.bridge.buid_high = (u32)cells(buffer, 1);
    machine.bridge.buid_low = (u32)cells(buffer + 4, 1);
  }
  u32 length = getprop(node, "ranges", buffer, sizeof buffer);
  for (u32 i = 0; length != NOTHING && i + 28 <= length; i += 28) {
    if (((u32)cells(buffer + i, 1) & SPACE_CODE) != SPACE_MEMORY_64) continue;
    machine.bridge.memory64 = cells(buffer + i + 4, 2);
    machine.bridge.memory64_bytes = cells(buffer + i + 20, 2);
    expect(cells(buffer + i + 12, 2) == machine.bridge.memory64, "the 64-bit window of the bridge is not at its own address");
  }
}

static void describe_function(u32 node)
{
  u32 parent = of("parent", 1, 1, node, 0, 0, 0);
  if (getcell(node, "vendor-id", 0) != VIRTIO_VENDOR || machine.bridge.function_count == 8) return;
  if (getprop(parent, "reg", buffer, 8) == NOTHING) return;
  if ((u32)cells(buffer, 1) != machine.bridge.buid_high || (u32)cells(buffer + 4, 1) != machine.bridge.buid_low) return;
  if (getprop(node, "reg", buffer, 4) == NOTHING) return;
  machine.bridge.functions[machine.bridge.function_count++] = (u32)cells(buffer, 1);
}

/* Every property is named, measured and read once; its length must be told the same way by both services. */
static void read_properties(u32 node)
{
  previous_name[0] = 0;
  for (u32 steps = 0; steps < STEPS_MAX; steps++) {
    u32 more = of("nextprop", 3, 1, node, ADDRESS(previous_name), ADDRESS(name_buffer), 0);
    if (more != 1) {
      expect(more == 0, "nextprop after %s returned %d", previous_name, (i32)more);
      return;
    }
    properties++;
    u32 length = of("getproplen", 2, 1, node, ADDRESS(name_buffer), 0, 0);
    u32 read = getprop(node, name_buffer, buffer, sizeof buffer);
    expect(length == read && length != NOTHING, "length of %s is %d by getproplen, %d by getprop", name_buffer, (i32)length, (i32)read);
    memcpy(previous_name, name_buffer, sizeof previous_name);
  }
}

static void walk(void)
{
  u32 root = of("peer", 1, 1, 0, 0, 0, 0), node = root;
  u32 address_cells = getcell(root, "#address-cells", 2), size_cells = getcell(root, "#size-cells", 1);
  while (node && node != NOTHING && nodes < STEPS_MAX) {
    nodes++;
    read_properties(node);
    if (getprop_is(node, "device_type", "cpu")) describe_processor(node);
    if (getprop_is(node, "device_type", "pci")) describe_bridge(node);
    describe_function(node);
    if (getprop_is(node, "device_type", "memory")) describe_memory(node, address_cells, size_cells);
    memset(buffer, 0, 256);
    of("package-to-path", 3, 1, node, ADDRESS(buffer), 255, 0);
    expect(finddevice((char *)buffer) == node, "finddevice(%s) is not where package-to-path came from", (char *)buffer);
    u32 next = of("child", 1, 1, node, 0, 0, 0);
    while (!next && node != root) {
      next = of("peer", 1, 1, node, 0, 0, 0);
      if (!next) node = of("parent", 1, 1, node, 0, 0, 0);
    }
    if (!next) return;
    u32 parent = of("parent", 1, 1, next, 0, 0, 0);
    expect(parent != NOTHING && parent != 0, "a node without a parent");
    node = next;
  }
}

static void device_tree(void)
{
  line("device tree");
  walk();
  u32 root = finddevice("/");
  u32 length = getprop(root, "model", machine.model, sizeof machine.model - 1);
  expect(length != NOTHING && length, "no model in /");
  expect(getprop_is(root, "device_type", "chrp"), "device_type of / is not chrp");
  expect(finddevice("/nowhere/at/all") == NOTHING, "finddevice found /nowhere/at/all");
  expect(getprop(root, "no-such-property", buffer, 4) == NOTHING, "getprop found no-such-property");
  expect(of("no-such-service", 0, 1, 0, 0, 0, 0) == NOTHING, "no-such-service succeeded");
  expect(finddevice("/memory") != NOTHING, "/memory is not found without its unit address");
  machine.nodes = nodes;
  machine.properties = properties;
  result("%s: %u nodes, %u properties", machine.model, nodes, properties);
}

static void console(u32 chosen)
{
  line("console");
  u32 written = 0;
  u32 instance = getcell(chosen, "stdout", 0), node = of("instance-to-package", 1, 1, instance, 0, 0, 0);
  if (expect(instance && node != NOTHING, "/chosen has no stdout")) {
    machine.terminal = getcell(node, "reg", 0);
    machine.terminal_irq = getprop(node, "interrupts", buffer, 8) == 8 ? (u32)cells(buffer, 1) : 0;
    static const char text[] = "  (these words went through Open Firmware's write)\r\n";
    written = of("write", 3, 1, instance, ADDRESS(text), sizeof text - 1, 0);
    expect(!written || written == sizeof text - 1, "write returned %d", (i32)written); /* QEMU's VOF has no backend and returns 0 */
  }
  result("terminal 0x%x, irq 0x%x%s", machine.terminal, machine.terminal_irq, written ? "" : ", firmware's write is mute");
}

/* LoPAR option vectors: each is a count byte (bytes minus one) and the bytes. POWER9 and ISA 3.0 only, radix with guest tlbie, XICS. */
static const u8 architecture[] = {
    0xff, 0xff, 0, 0, 0, 0x4e, 0, 0,                                   /* processor version: POWER9 */
    0xff, 0xff, 0xff, 0xff, 0x0f, 0, 0, 5,                             /* logical: ISA 3.0 */
    0xff, 0xff, 0xff, 0xfe, 0x0f, 0, 0, 1,                             /* the value goes beyond its mask: the list's end */
    6 - 1,                                                             /* vectors */
    3 - 1, 0, 0xff, 0x80,                                              /* 1: ISA 2.00 to 2.07, 3.0 */
    34 - 1, 0x20, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, /* 2: real-mode Open Firmware, no wishes */
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0, 0, 1, 0, 0xff, 0xff, 0xff, 0xff, 0, 48,
    2 - 1, 0, 0xe0,                                                    /* 3: FP, VMX, DFP */
    2 - 1, 0, 1,                                                       /* 4 */
    26 - 1, 0, 0xf1, 0, 0, 0xe0, 0, 0, 0, 0, 0, 0, 0, MAX_CPUS, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x00, 0x40, 0, 0x40, /* 5: byte 23 XICS, 24 radix, 26 tlbie */
    3 - 1, 0, 0, 2,                                                    /* 6 */
};

static void negotiate(u32 chosen)
{
  line("negotiation");
  u32 root = of("open", 1, 1, ADDRESS("/"), 0, 0, 0);
  expect(root != NOTHING && root, "open(/) failed");
  u32 caught = of("call-method", 3, 2, ADDRESS("ibm,client-architecture-support"), root, ADDRESS(architecture), 0);
  expect_eq("client-architecture-support: catch result", caught, 0);
  expect_eq("client-architecture-support: status", of_output(1), 0);
  of("close", 1, 0, root, 0, 0, 0);
  memset(buffer, 0, 64);
  u32 length = getprop(chosen, "ibm,architecture-vec-5", buffer, 64);
  if (expect(length != NOTHING && length >= 27, "ibm,architecture-vec-5 is missing or short")) {
    expect((buffer[24] & 0xc0) == 0x40, "byte 24 of the answer is 0x%x: not radix", buffer[24]);
    expect((buffer[23] & 0xc0) == 0, "byte 23 of the answer is 0x%x: not XICS", buffer[23]);
    expect(buffer[26] & 0x40, "byte 26 of the answer is 0x%x: no tlbie for the guest", buffer[26]);
  }
  result("radix translation, XICS, tlbie by the guest");
}

static void memory_and_processors(u32 chosen)
{
  line("memory");
  expect(machine.memory_bytes && machine.real_mode_bytes, "no memory at address 0");
  result("%lu MiB", machine.memory_bytes / MEBIBYTE);
  line("processors");
  expect(machine.cpu_count, "no processor in the tree");
  expect(machine.timebase_hz >= 1000000, "timebase-frequency %u", machine.timebase_hz);
  machine.boot_server = machine.cpus[0];
  u32 instance = getcell(chosen, "cpu", 0);
  if (instance) {
    u32 node = of("instance-to-package", 1, 1, instance, 0, 0, 0);
    if (node != NOTHING) machine.boot_server = getcell(node, "reg", machine.boot_server);
  }
  u64 version = mfspr(SPR_PVR);
  expect((version >> 16) == 0x4e, "the processor version register says 0x%lx, not POWER9", version);
  result("%u, PVR 0x%lx, timebase %u MHz, %u-bit decrementer", machine.cpu_count, version, machine.timebase_hz / 1000000, machine.dec_bits);
}

/* Takes `bytes` at or above `from`, a MiB further each time it is refused. */
static u64 claim(u64 from, u64 bytes, u64 limit, i64 step)
{
  for (u64 at = from; at + bytes <= limit && at >= MEBIBYTE; at += (u64)step)
    if (of("claim", 3, 1, (u32)at, (u32)bytes, 0, 0) == (u32)at) return at;
  return 0;
}

static u32 token(u32 node, const char *name)
{
  u32 value = getcell(node, name, 0);
  return value;
}

static void instantiate_rtas(void)
{
  line("rtas");
  u32 node = finddevice("/rtas");
  expect(node != NOTHING, "no /rtas");
  expect(of("getproplen", 2, 1, node, ADDRESS("ibm,hypertas-functions"), 0, 0) + 1 > 1, "no ibm,hypertas-functions: not a partition");
  machine.rtas_size = getcell(node, "rtas-size", 0);
  u64 limit = machine.real_mode_bytes < RTAS_LIMIT ? machine.real_mode_bytes : RTAS_LIMIT;
  u64 bytes = (machine.rtas_size + 0xffff) & ~U64(0xffff);
  machine.rtas_base = claim((limit - bytes) & ~U64(0xffff), bytes, limit, -(i64)MEBIBYTE);
  expect(machine.rtas_size && machine.rtas_base, "no place for %u bytes of RTAS", machine.rtas_size);
  u32 instance = of("open", 1, 1, ADDRESS("/rtas"), 0, 0, 0);
  expect_eq("instantiate-rtas", of("call-method", 3, 2, ADDRESS("instantiate-rtas"), instance, (u32)machine.rtas_base, 0), 0);
  machine.rtas_entry = of_output(1);
  expect(machine.rtas_entry && machine.rtas_entry != NOTHING, "instantiate-rtas gave no entry");
  machine.token.read_config = token(node, "ibm,read-pci-config");
  machine.token.write_config = token(node, "ibm,write-pci-config");
  machine.token.power_off = token(node, "power-off");
  machine.token.system_reboot = token(node, "system-reboot");
  machine.token.os_term = token(node, "ibm,os-term");
  machine.token.start_cpu = token(node, "start-cpu");
  machine.token.query_cpu = token(node, "query-cpu-stopped-state");
  machine.token.stop_self = token(node, "stop-self");
  machine.token.set_xive = token(node, "ibm,set-xive");
  machine.token.get_xive = token(node, "ibm,get-xive");
  machine.token.int_on = token(node, "ibm,int-on");
  machine.token.int_off = token(node, "ibm,int-off");
  machine.token.time_of_day = token(node, "get-time-of-day");
  machine.token.nvram_fetch = token(node, "nvram-fetch");
  machine.token.nvram_store = token(node, "nvram-store");
  expect(machine.token.power_off, "no power-off");
  expect(machine.token.start_cpu && machine.token.query_cpu && machine.token.stop_self, "no start-cpu, query-cpu-stopped-state or stop-self");
  result("at 0x%lx, entry 0x%lx", machine.rtas_base, machine.rtas_entry);
}

static void take_memory(void)
{
  extern char image_end[];
  line("claim");
  u64 start = (u64)image_end > machine.initrd + machine.initrd_size ? (u64)image_end : machine.initrd + machine.initrd_size;
  u64 limit = machine.real_mode_bytes < RTAS_LIMIT ? machine.real_mode_bytes : RTAS_LIMIT;
  start = (start + MEBIBYTE - 1) & -MEBIBYTE;
  if (start < 8 * MEBIBYTE) start = 8 * MEBIBYTE; /* clear of the first 2 MiB, which are mapped in small pages, and of the loaded image */
  machine.heap = claim(start, HEAP_BYTES, limit, MEBIBYTE);
  machine.heap_end = machine.heap + HEAP_BYTES;
  if (expect(machine.heap, "no %lu MiB above 0x%lx", HEAP_BYTES / MEBIBYTE, start))
    expect(of("claim", 3, 1, (u32)machine.heap, 0x10000, 0, 0) == NOTHING, "claimed memory could be claimed again");
  result("%lu MiB of heap at 0x%lx; a second claim is refused", HEAP_BYTES / MEBIBYTE, machine.heap);
}

static void banner(void)
{
  static const char text[] = "Powervisor pocket guest: one program meets each party of a pseries machine";
  print(colour ? "\n\033[1;36m%s\033[0m\n" : "\n%s\n", text);
}

void chapter_firmware_early(u64 initrd, u64 initrd_size, u64 client_entry, u64 base)
{
  extern char pocket_start[], image_end[];
  machine.initrd = initrd;
  machine.initrd_size = initrd_size;
  machine.load_base = base;
  entry = client_entry;
  if (!entry) {
    print("pocket guest: entered without Open Firmware (r5 = 0), which it needs\n");
    for (;;) relax();
  }
  u32 chosen = finddevice("/chosen");
  u32 length = getprop(chosen, "bootargs", machine.bootargs, sizeof machine.bootargs - 1);
  if (length == NOTHING) machine.bootargs[0] = 0;
  colour = !bootarg("plain");
  banner();
  chapter("firmware", "Open Firmware client calls at the place where the loader left us");
  device_tree();
  console(chosen);
  if (machine.bootargs[0]) print("  boot arguments  \"%s\"\n", machine.bootargs);
  memory_and_processors(chosen);
  negotiate(chosen);
  instantiate_rtas();
  take_memory();
  line("quiesce");
  of("quiesce", 0, 0, 0, 0, 0, 0);
  expect(!base || base >= (u64)(image_end - pocket_start), "loaded at 0x%lx, %lu bytes long: the copy to 0 would overlap", base, (u64)(image_end - pocket_start));
  machine.firmware_calls = calls;
  result("after %u calls; %lu KiB move from 0x%lx to 0", calls, (u64)(image_end - pocket_start) / 1024, base);
}
