/* `vsock connect PORT` and `vsock listen PORT`: joins standard input and output to a stream socket between guest and host,
 * half-closing when the input ends, until the peer has ended too. `vsock flood PORT N` sends N bytes of a counter; `vsock idle
 * PORT SECONDS` connects and does nothing. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <linux/vm_sockets.h>
#include <unistd.h>

static void die(const char *what)
{
	printf("%s: %s\n", what, strerror(errno));
	exit(1);
}

static void put(int fd, const char *bytes, long count)
{
	while (count > 0) {
		long done = write(fd, bytes, count);
		if (done < 0)
			die("write");
		bytes += done;
		count -= done;
	}
}

static void copy(int from, int to)
{
	static char buffer[65536];
	long count;
	while ((count = read(from, buffer, sizeof buffer)) > 0)
		put(to, buffer, count);
	if (count < 0)
		die("read");
}

/* A process for each direction, so that neither waits for the other. */
static void relay(int fd)
{
	int child = fork();
	if (child < 0)
		die("fork");
	if (child == 0) {
		copy(0, fd);
		shutdown(fd, SHUT_WR);
		_exit(0);
	}
	copy(fd, 1);
	waitpid(child, 0, 0);
}

int main(int argc, char **argv)
{
	if (argc < 3)
		return 2;
	int fd = socket(AF_VSOCK, SOCK_STREAM, 0);
	if (fd < 0)
		die("socket");
	struct sockaddr_vm address = { .svm_family = AF_VSOCK, .svm_port = strtoul(argv[2], 0, 0) };
	if (!strcmp(argv[1], "listen")) {
		address.svm_cid = VMADDR_CID_ANY;
		if (bind(fd, (struct sockaddr *)&address, sizeof address) || listen(fd, 8))
			die("listen");
		int peer = accept(fd, 0, 0);
		if (peer < 0)
			die("accept");
		close(fd);
		fd = peer;
	} else {
		address.svm_cid = VMADDR_CID_HOST;
		if (connect(fd, (struct sockaddr *)&address, sizeof address))
			die("connect");
	}
	if (!strcmp(argv[1], "idle")) {
		sleep(atoi(argv[3]));
	} else if (!strcmp(argv[1], "flood")) {
		static unsigned block[16384];
		unsigned next = 0;
		for (long left = atol(argv[3]); left > 0; left -= sizeof block) {
			for (unsigned n = 0; n < 16384; n++)
				block[n] = next++;
			put(fd, (char *)block, left < (long)sizeof block ? left : (long)sizeof block);
		}
	} else {
		relay(fd);
	}
	close(fd);
	return 0;
}
