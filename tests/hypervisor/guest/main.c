/* Issues the hypercalls of operations.h and prints the registers afterwards, one line each. Runs big-endian, in real
 * mode, with interrupts off. POWER_OFF is the token of the RTAS service that ends it. Kinds: 0 hypercall (a[0] = r3 ...), 1 store a[1] as 32 bits at a[0], 2 load 32 bits. */
typedef unsigned long u64;
typedef unsigned int u32;

struct operation {
	u64 kind;
	u64 a[8];
};

static const struct operation operations[] = {
#include "operations.h"
};

void hcall(u64 *registers);

static void print(const char *text, int length)
{
	while (length > 0) {
		int part = length > 8 ? 8 : length;
		u64 r[8] = { 0x58, 0, part, 0 };
		for (int i = 0; i < 8; i++)
			r[3] = r[3] << 8 | (i < part ? (unsigned char)text[i] : 0);
		hcall(r);
		if (r[0] == 1)
			continue;
		text += part;
		length -= part;
	}
}

static void print_hex(u64 value)
{
	char text[17];
	for (int i = 0; i < 16; i++)
		text[i] = "0123456789abcdef"[value >> (60 - 4 * i) & 15];
	text[16] = ' ';
	print(text, 17);
}

void main(void)
{
	for (unsigned i = 0; i < sizeof operations / sizeof operations[0]; i++) {
		const struct operation *op = &operations[i];
		u64 r[8];
		if (op->kind == 1) {
			*(volatile u32 *)op->a[0] = op->a[1];
			continue;
		}
		print("> ", 2);
		if (op->kind == 2) {
			print_hex(*(volatile u32 *)op->a[0]);
		} else {
			for (int k = 0; k < 8; k++)
				r[k] = op->a[k];
			hcall(r);
			for (int k = 0; k < 4; k++)
				print_hex(r[k]);
		}
		print("\n", 1);
	}
	print("done\n", 5);
	static volatile u32 block[6] = { POWER_OFF, 2, 1, ~0u, ~0u };
	u64 r[8] = { 0xf000, (u64)block };
	hcall(r);
	for (;;)
		;
}
