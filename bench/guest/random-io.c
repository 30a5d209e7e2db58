/* `random-io read|write DEVICE COUNT`: COUNT accesses of 4 KiB at places that only the program decides, one after the other and
 * around the page cache. Prints a checksum of what was read. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <linux/fs.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	if (argc < 4)
		return 2;
	int writes = !strcmp(argv[1], "write");
	int fd = open(argv[2], (writes ? O_RDWR : O_RDONLY) | O_DIRECT);
	unsigned long long bytes = 0;
	if (fd < 0 || ioctl(fd, BLKGETSIZE64, &bytes))
		return 1;
	unsigned long *block = aligned_alloc(65536, 4096);
	unsigned long state = 1, sum = 0;
	memset(block, 0, 4096);
	for (long left = atol(argv[3]); left > 0; left--) {
		state = state * 6364136223846793005ul + 1442695040888963407ul;
		long at = (state >> 20) % (bytes / 4096) * 4096;
		block[0] = state;
		long done = writes ? pwrite(fd, block, 4096, at) : pread(fd, block, 4096, at);
		if (done != 4096)
			return 1;
		sum = sum * 31 + block[0] + block[511];
	}
	if (writes)
		fsync(fd);
	printf("sum %016lx\n", sum);
	return 0;
}
