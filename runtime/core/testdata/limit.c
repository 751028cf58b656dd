// The same container as core's smallest one, made by the same system calls from C: the lower
// limit against which BenchmarkStartToExit measures. It reads a line and writes the nanoseconds
// from start to exit, for each line.
//
// limit ROOTFS PROGRAM UID V2DIR|- V1DIR...
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifndef CLONE_INTO_CGROUP
#define CLONE_INTO_CGROUP 0x200000000ULL
#endif

static void die(const char *what) {
	perror(what);
	_exit(1);
}

static void ok(long result, const char *what) {
	if (result < 0)
		die(what);
}

static const char *rootfs, *program;
static int tasks[16], count, line[2];

static void child(void) {
	char *args[] = {(char *)program, NULL}, *env[] = {NULL}, byte;
	struct ifreq lo = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
	for (int i = 0; i < count; i++)
		ok(write(tasks[i], "0", 1), "join cgroup");
	ok(syscall(SYS_close_range, 3, line[1] - 1, 0), "close_range");
	ok(syscall(SYS_close_range, line[1] + 1, ~0U, 0), "close_range");
	ok(unshare(CLONE_NEWCGROUP), "unshare cgroup");
	ok(unshare(0x80 /* CLONE_NEWTIME */), "unshare time");
	if (read(line[1], &byte, 1) != 1)
		die("read");
	int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	ok(ioctl(s, SIOCSIFFLAGS, &lo), "lo");
	close(s);
	ok(mount("", "/", NULL, MS_PRIVATE | MS_REC, NULL), "private");
	ok(mount(rootfs, rootfs, NULL, MS_BIND | MS_REC, NULL), "bind");
	ok(chdir(rootfs), "chdir");
	ok(syscall(SYS_pivot_root, ".", "."), "pivot_root");
	ok(chdir("/"), "chdir");
	ok(syscall(SYS_setresgid, 0, 0, 0), "setresgid");
	ok(syscall(SYS_setresuid, 0, 0, 0), "setresuid");
	ok(mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL), "proc");
	ok(umount2(".", MNT_DETACH), "umount");
	setsid();
	execve(program, args, env);
	die("execve");
}

static void put(const char *dir, const char *name, char *out) { sprintf(out, "%s/%s", dir, name); }

static void map(int pid, const char *file, const char *text) {
	char path[64];
	sprintf(path, "/proc/%d/%s", pid, file);
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	ok(fd, path);
	ok(write(fd, text, strlen(text)), path);
	close(fd);
}

int main(int argc, char **argv) {
	char input[16], path[4096], mapping[64];
	rootfs = argv[1], program = argv[2];
	sprintf(mapping, "0 %s 65536", argv[3]);
	while (fgets(input, sizeof input, stdin)) {
		struct timespec from, to;
		clock_gettime(CLOCK_MONOTONIC, &from);
		int into = -1;
		count = 0;
		for (int i = 4; i < argc; i++) {
			if (argv[i][0] == '-')
				continue;
			put(argv[i], "limit", path);
			ok(mkdir(path, 0755), path);
			if (i == 4) {
				ok(into = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), path);
				continue;
			}
			put(argv[i], "limit/tasks", path);
			ok(tasks[count++] = open(path, O_WRONLY | O_CLOEXEC), path);
		}
		ok(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, line), "socketpair");
		struct clone_args args = {
			.flags = CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNET | CLONE_NEWNS |
			         (into >= 0 ? CLONE_INTO_CGROUP : 0),
			.exit_signal = SIGCHLD,
			.cgroup = into >= 0 ? into : 0,
		};
		long pid = syscall(SYS_clone3, &args, sizeof args);
		ok(pid, "clone3");
		if (pid == 0)
			child();
		map(pid, "uid_map", mapping);
		map(pid, "gid_map", mapping);
		ok(write(line[0], "", 1), "write");
		int status;
		ok(waitpid(pid, &status, 0), "waitpid");
		if (status != 0) {
			fprintf(stderr, "status %d\n", status);
			return 1;
		}
		close(line[0]), close(line[1]);
		for (int i = 0; i < count; i++)
			close(tasks[i]);
		if (into >= 0)
			close(into);
		for (int i = argc - 1; i >= 4; i--) {
			if (argv[i][0] == '-')
				continue;
			put(argv[i], "limit", path);
			while (rmdir(path) < 0)
				if (errno != EBUSY)
					die(path);
		}
		clock_gettime(CLOCK_MONOTONIC, &to);
		printf("%lld\n", (to.tv_sec - from.tv_sec) * 1000000000LL + to.tv_nsec - from.tv_nsec);
		fflush(stdout);
	}
	return 0;
}
