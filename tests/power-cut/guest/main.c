/*
 * A guest that does nothing but write to a virtio-blk disk and say what it has flushed. Big-endian, real mode, no interrupts;
 * registers through hypercalls, configuration space through RTAS (READ_CONFIG and WRITE_CONFIG are tokens, BUID_HIGH and BUID_LOW
 * name the bridge). Sector 0 of the disk holds a seed; which step writes what where follows from it (steps.ts computes the same).
 */
typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long u64;

#define BLOCK_BYTES 4096
#define SECTOR_BYTES 512
#define BATCH 8
#define MOST_BLOCKS 8
#define FLUSH_BATCHES 4
#define QUEUE 64
#define BAR_BASE 0x210000000000ul

void hcall(u64 *registers);

static u16 le16(u16 value) { return __builtin_bswap16(value); }
static u32 le32(u32 value) { return __builtin_bswap32(value); }
static u64 le64(u64 value) { return __builtin_bswap64(value); }

static void print(const char *text)
{
	while (*text) {
		u64 r[8] = { 0x58, 0, 0, 0 };
		int part = 0;
		for (int i = 0; i < 8; i++) {
			r[3] = r[3] << 8 | (u8)(text[part] ? text[part] : 0);
			if (text[part])
				part++;
		}
		/* The register holds the bytes from its top. */
		r[2] = part;
		do {
			u64 call[8] = { r[0], r[1], r[2], r[3] };
			hcall(call);
			if (call[0] != 1)
				break;
		} while (1);
		text += part;
	}
}

static void stop(const char *why)
{
	print(why);
	print("\n");
	for (;;)
		;
}

static volatile u32 rtas_block[12];

static u32 rtas(u32 token, u32 inputs, u32 outputs, u32 a, u32 d, u32 e)
{
	u32 in[5] = { a, BUID_HIGH, BUID_LOW, d, e };
	rtas_block[0] = token;
	rtas_block[1] = inputs;
	rtas_block[2] = outputs;
	for (u32 i = 0; i < inputs; i++)
		rtas_block[3 + i] = in[i];
	u64 r[8] = { 0xf000, (u64)rtas_block };
	hcall(r);
	if (rtas_block[3 + inputs])
		stop("RTAS refused");
	return outputs > 1 ? rtas_block[3 + inputs + 1] : 0;
}

static u32 config_read(u32 at, u32 bytes) { return rtas(READ_CONFIG, 4, 2, at, bytes, 0); }
static void config_write(u32 at, u32 bytes, u32 value) { rtas(WRITE_CONFIG, 5, 1, at, bytes, value); }

static u64 swapped(u64 value, u32 bytes) { return le64(value) >> (64 - 8 * bytes); }

static u32 load(u64 at, u32 bytes)
{
	u64 r[8] = { 0x3c, bytes, at };
	hcall(r);
	if (r[0])
		stop("a register cannot be read");
	return swapped(r[1], bytes);
}

static void store(u64 at, u32 bytes, u32 value)
{
	u64 r[8] = { 0x40, bytes, at, swapped(value, bytes) };
	hcall(r);
	if (r[0])
		stop("a register cannot be written");
}

static u64 common, notify;

/* BARs get 64 KiB each, in the 64-bit window; returns the address of what a virtio capability describes. */
static u64 region(u32 capability)
{
	u32 bar = config_read(capability + 4, 1);
	u64 base = BAR_BASE + 0x100000ul * bar;
	config_write(0x10 + 4 * bar, 4, (u32)base);
	config_write(0x14 + 4 * bar, 4, base >> 32);
	return base + config_read(capability + 8, 4);
}

static struct { u64 address; u32 bytes; u16 flags, next; } volatile table[QUEUE] __attribute__((aligned(4096)));
static struct { u16 flags, index, ring[QUEUE]; } volatile available __attribute__((aligned(4096)));
static struct { u16 flags, index; struct { u32 id, bytes; } ring[QUEUE]; } volatile used __attribute__((aligned(4096)));
static struct { u32 type, reserved; u64 sector; } headers[BATCH] __attribute__((aligned(16)));
static struct { u64 sector; u32 count, flags; } ranges[BATCH] __attribute__((aligned(16)));
static volatile u8 statuses[BATCH];
static u64 data[BATCH][MOST_BLOCKS * BLOCK_BYTES / 8] __attribute__((aligned(4096)));
static u16 next_available;
static u64 notify_at;

static void start(void)
{
	u32 multiplier = 0;
	for (u32 at = config_read(0x34, 1); at; at = config_read(at + 1, 1)) {
		if (config_read(at, 1) != 9)
			continue;
		u32 type = config_read(at + 3, 1);
		if (type == 1)
			common = region(at);
		if (type == 2) {
			notify = region(at);
			multiplier = config_read(at + 16, 4);
		}
	}
	config_write(4, 2, 6);
	store(common + 20, 1, 0);
	store(common + 20, 1, 1);
	store(common + 20, 1, 3);
	/* FLUSH and WRITE_ZEROES; VERSION_1. */
	store(common + 8, 4, 0);
	store(common + 12, 4, 1 << 9 | 1 << 14);
	store(common + 8, 4, 1);
	store(common + 12, 4, 1);
	store(common + 20, 1, 11);
	if (!(load(common + 20, 1) & 8))
		stop("features are refused");
	store(common + 22, 2, 0);
	store(common + 24, 2, QUEUE);
	store(common + 32, 4, (u64)table);
	store(common + 36, 4, 0);
	store(common + 40, 4, (u64)&available);
	store(common + 44, 4, 0);
	store(common + 48, 4, (u64)&used);
	store(common + 52, 4, 0);
	store(common + 28, 2, 1);
	notify_at = notify + multiplier * load(common + 30, 2);
	store(common + 20, 1, 15);
}

/* Request `slot`: type, sector, and `bytes` of data that the device reads or writes. */
static void submit(u32 slot, u32 type, u64 sector, void *bytes_at, u32 bytes)
{
	u32 d = 3 * slot;
	headers[slot].type = le32(type);
	headers[slot].sector = le64(sector);
	statuses[slot] = 0xff;
	table[d].address = le64((u64)&headers[slot]);
	table[d].bytes = le32(16);
	table[d].flags = le16(1);
	table[d].next = le16(bytes ? d + 1 : d + 2);
	table[d + 1].address = le64((u64)bytes_at);
	table[d + 1].bytes = le32(bytes);
	table[d + 1].flags = le16(type ? 1 : 3);
	table[d + 1].next = le16(d + 2);
	table[d + 2].address = le64((u64)&statuses[slot]);
	table[d + 2].bytes = le32(1);
	table[d + 2].flags = le16(2);
	available.ring[next_available % QUEUE] = le16(d);
	next_available++;
}

static void run(u32 slots)
{
	__sync_synchronize();
	available.index = le16(next_available);
	__sync_synchronize();
	store(notify_at, 2, 0);
	while (used.index != le16(next_available))
		__sync_synchronize();
	for (u32 i = 0; i < slots; i++)
		if (statuses[i])
			stop("a request failed");
}

static u32 state;

static u32 random(void)
{
	state = state * 1664525 + 1013904223;
	return state >> 8;
}

static void say_flushed(u32 step)
{
	char text[12];
	text[0] = 'F';
	for (int i = 0; i < 8; i++)
		text[1 + i] = "0123456789abcdef"[step >> (28 - 4 * i) & 15];
	text[9] = '\n';
	text[10] = 0;
	print(text);
}

void main(void)
{
	start();
	submit(0, 0, 0, data[0], SECTOR_BYTES);
	run(1);
	state = data[0][0];
	u32 blocks = data[0][1];
	print("started\n");
	u32 step = 0;
	for (u32 batch = 1;; batch++) {
		for (u32 slot = 0; slot < BATCH; slot++) {
			step++;
			u32 first = 1 + random() % (blocks - MOST_BLOCKS);
			u32 count = 1 + random() % MOST_BLOCKS;
			u64 sector = (u64)first * (BLOCK_BYTES / SECTOR_BYTES);
			if (random() % 8 == 0) {
				ranges[slot].sector = le64(sector);
				ranges[slot].count = le32(count * (BLOCK_BYTES / SECTOR_BYTES));
				ranges[slot].flags = le32(1);
				submit(slot, 13, 0, &ranges[slot], 16);
				continue;
			}
			/* Each sector: its step and its number in the first and the last 8 bytes, between them something of both. */
			for (u32 s = 0; s < count * 8; s++) {
				u64 *words = &data[slot][64 * s];
				u64 mark = (u64)step << 32 | (sector + s);
				for (u32 w = 1; w < 63; w++)
					words[w] = mark + w;
				words[0] = mark;
				words[63] = mark;
			}
			submit(slot, 1, sector, data[slot], count * BLOCK_BYTES);
		}
		run(BATCH);
		if (batch % FLUSH_BATCHES == 0) {
			submit(0, 4, 0, 0, 0);
			run(1);
			say_flushed(step);
		}
	}
}
