// esmb-get-file NAME: a file of the sealed image on standard output, by the ultracall UV_ESMB_GET_FILE, which programs may
// make (UV-API). Status 1 and the code on standard error if the ultravisor refuses.

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define UV_ESMB_GET_FILE 0xf14c

static long get(uint64_t offset, const char name[64], char data[64])
{
	register uint64_t r3 __asm__("r3") = UV_ESMB_GET_FILE;
	register uint64_t r4 __asm__("r4") = offset;
	uint64_t words[8];
	for (int i = 0; i < 8; i++) {
		memcpy(&words[i], name + 8 * i, 8);
		words[i] = __builtin_bswap64(words[i]);
	}
	register uint64_t r5 __asm__("r5") = words[0];
	register uint64_t r6 __asm__("r6") = words[1];
	register uint64_t r7 __asm__("r7") = words[2];
	register uint64_t r8 __asm__("r8") = words[3];
	register uint64_t r9 __asm__("r9") = words[4];
	register uint64_t r10 __asm__("r10") = words[5];
	register uint64_t r11 __asm__("r11") = words[6];
	register uint64_t r12 __asm__("r12") = words[7];
	__asm__ volatile("sc 2"
			 : "+r"(r3), "+r"(r4), "+r"(r5), "+r"(r6), "+r"(r7), "+r"(r8), "+r"(r9), "+r"(r10), "+r"(r11), "+r"(r12)
			 :
			 : "memory", "lr", "ctr", "cr0");
	uint64_t result[8] = { r4, r5, r6, r7, r8, r9, r10, r11 };
	for (int i = 0; i < 8; i++) {
		result[i] = __builtin_bswap64(result[i]);
		memcpy(data + 8 * i, &result[i], 8);
	}
	return (long)r3;
}

int main(int argc, char **argv)
{
	char name[64] = "", data[64];
	if (argc != 2 || strlen(argv[1]) > sizeof name) {
		fprintf(stderr, "esmb-get-file NAME\n");
		return 2;
	}
	memcpy(name, argv[1], strlen(argv[1]));
	for (uint64_t offset = 0;;) {
		long count = get(offset, name, data);
		if (count < 0) {
			fprintf(stderr, "UV_ESMB_GET_FILE: %ld\n", count);
			return 1;
		}
		if (count == 0)
			return 0;
		fwrite(data, 1, count, stdout);
		offset += count;
	}
}
