/* `pattern write FILE BYTES SEED` fills a file or disk with words made from their place and the seed, in blocks of 1 MiB in a
 * mixed order, past the page cache, and makes it safe; `pattern verify FILE BYTES SEED` reads it back in order.
 * `pattern share FILE BYTES ROUNDS` lets four processes write and check stripes of 64 KiB of their own, with and without the
 * page cache, while a fifth reads everything. Prints what was found, and ends with 0 if all was right. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define BLOCK (1 << 20)
#define STRIPE (64 << 10)
#define WRITERS 4

static void die(const char *what)
{
	printf("%s: %s\n", what, strerror(errno));
	exit(1);
}

static void fill(uint32_t *words, long count, uint32_t place, uint32_t seed)
{
	for (long n = 0; n < count; n++) {
		uint32_t word = ((uint32_t)(place + n) ^ seed) * 0x9e3779b1u;
		words[n] = (word ^ word >> 15) * 0x85ebca6bu;
	}
}

static void *buffer(long bytes)
{
	void *at;
	if (posix_memalign(&at, 65536, bytes))
		die("memory");
	return at;
}

static int open_file(const char *path, int flags)
{
	int fd = open(path, flags);
	if (fd < 0)
		die(path);
	return fd;
}

static void whole(ssize_t done, long bytes, const char *what)
{
	if (done == bytes)
		return;
	if (done >= 0)
		errno = ENODATA;
	die(what);
}

static int write_all(const char *path, long blocks, uint32_t seed)
{
	int fd = open_file(path, O_WRONLY | O_DIRECT);
	uint32_t *words = buffer(BLOCK);
	long step = 1;
	/* A step that has no divisor in common with the number of blocks visits each of them once. */
	for (long candidate = blocks * 5 / 8 | 1; step == 1 && candidate < blocks; candidate += 2) {
		long a = candidate, b = blocks;
		while (b) {
			long rest = a % b;
			a = b;
			b = rest;
		}
		if (a == 1)
			step = candidate;
	}
	for (long n = 0, block = 0; n < blocks; n++, block = (block + step) % blocks) {
		fill(words, BLOCK / 4, block * (BLOCK / 4), seed);
		whole(pwrite(fd, words, BLOCK, block * BLOCK), BLOCK, "write");
	}
	if (fsync(fd))
		die("fsync");
	printf("wrote %ld blocks\n", blocks);
	return 0;
}

static int verify_all(const char *path, long blocks, uint32_t seed)
{
	int fd = open_file(path, O_RDONLY | O_DIRECT);
	uint32_t *words = buffer(BLOCK), *wanted = buffer(BLOCK);
	long wrong = 0;
	for (long block = 0; block < blocks; block++) {
		whole(pread(fd, words, BLOCK, block * BLOCK), BLOCK, "read");
		fill(wanted, BLOCK / 4, block * (BLOCK / 4), seed);
		wrong += memcmp(words, wanted, BLOCK) != 0;
	}
	printf("verified %ld blocks, %ld wrong\n", blocks, wrong);
	return wrong != 0;
}

static int share_writer(const char *path, long stripes, long rounds, int own)
{
	int direct = open_file(path, O_RDWR | O_DIRECT), cached = open_file(path, O_RDWR);
	uint32_t *words = buffer(STRIPE), *found = buffer(STRIPE);
	for (long round = 0; round < rounds; round++) {
		int fd = round & 1 ? cached : direct;
		for (long stripe = own; stripe < stripes; stripe += WRITERS) {
			fill(words, STRIPE / 4, stripe * (STRIPE / 4), round);
			whole(pwrite(fd, words, STRIPE, stripe * STRIPE), STRIPE, "write");
		}
		if (fsync(fd))
			die("fsync");
		for (long stripe = own; stripe < stripes; stripe += WRITERS) {
			fill(words, STRIPE / 4, stripe * (STRIPE / 4), round);
			whole(pread(stripe & 4 ? direct : fd, found, STRIPE, stripe * STRIPE), STRIPE, "read");
			if (memcmp(words, found, STRIPE))
				return 1;
		}
	}
	return 0;
}

static int share_reader(const char *path, long stripes, long rounds)
{
	int fd = open_file(path, O_RDONLY);
	char *bytes = buffer(STRIPE);
	for (long round = 0; round < rounds; round++)
		for (long stripe = stripes - 1; stripe >= 0; stripe--)
			whole(pread(fd, bytes, STRIPE, stripe * STRIPE), STRIPE, "read");
	return 0;
}

static int share(const char *path, long stripes, long rounds)
{
	int bad = 0, status;
	for (int own = 0; own <= WRITERS; own++) {
		pid_t child = fork();
		if (child < 0)
			die("fork");
		if (child == 0)
			_exit(own < WRITERS ? share_writer(path, stripes, rounds, own) : share_reader(path, stripes, rounds));
	}
	while (wait(&status) > 0)
		bad |= status;
	printf("shared %ld stripes, %s\n", stripes, bad ? "wrong" : "right");
	return bad != 0;
}

int main(int argc, char **argv)
{
	if (argc != 5)
		return 2;
	long bytes = atol(argv[3]), last = atol(argv[4]);
	if (!strcmp(argv[1], "write"))
		return write_all(argv[2], bytes / BLOCK, last);
	if (!strcmp(argv[1], "verify"))
		return verify_all(argv[2], bytes / BLOCK, last);
	if (!strcmp(argv[1], "share"))
		return share(argv[2], bytes / STRIPE, last);
	return 2;
}
