// kexec KERNEL INITRD COMMAND-LINE: starts another kernel, at once and without shutting anything down
// (kexec_file_load(2), reboot(2)).

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define REBOOT_MAGIC_1 0xfee1deadu
#define REBOOT_MAGIC_2 0x28121969u
#define REBOOT_KEXEC 0x45584543u

int main(int argc, char **argv)
{
	if (argc != 4) {
		fprintf(stderr, "kexec KERNEL INITRD COMMAND-LINE\n");
		return 2;
	}
	int kernel = open(argv[1], O_RDONLY), initrd = open(argv[2], O_RDONLY);
	if (syscall(SYS_kexec_file_load, kernel, initrd, strlen(argv[3]) + 1, argv[3], 0ul) != 0) {
		perror("kexec_file_load");
		return 1;
	}
	sync();
	syscall(SYS_reboot, REBOOT_MAGIC_1, REBOOT_MAGIC_2, REBOOT_KEXEC, 0ul);
	perror("reboot");
	return 1;
}
