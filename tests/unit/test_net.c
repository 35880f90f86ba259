/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Network devices between two namespaces of the test's own; ip(8) makes them and is the oracle. */
#include "kernel/net.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/proc.h"
#include "kernel/netlink.h"
#include "tap.h"

static struct err err;
static char output[16384];
static pid_t other; /* a process in the other namespace */
static int other_ns = -1;
static struct net_moved moved;
static const char *missing; /* why the tests cannot run */

static int move(const char *name, const char *new_name)
{
	int result = net_device_move(name, new_name, other_ns, &moved, &err);

	if (result < 0)
		printf("# %s: %s\n", err.msg, strerror(err.errnum));
	return result;
}

/* Runs a shell command; its output, without the end of the last line, or NULL if it fails. */
__attribute__((format(printf, 1, 2))) static const char *shell(const char *fmt, ...)
{
	char command[512];
	va_list ap;
	FILE *f;
	size_t n;

	va_start(ap, fmt);
	vsnprintf(command, sizeof(command), fmt, ap);
	va_end(ap);
	f = popen(command, "r");
	n = f ? fread(output, 1, sizeof(output) - 1, f) : 0;
	output[n] = '\0';
	output[strcspn(output, "\n")] = '\0';
	return f && pclose(f) == 0 ? output : NULL;
}

/* The same in the other namespace. */
#define INSIDE "nsenter -n -t %d "

/* Without privilege: root of a new user namespace, so that programs have capabilities too. */
static bool unshare_user(void)
{
	char map[32];

	snprintf(map, sizeof(map), "0 %u 1", getuid());
	return unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0 &&
	       file_try_put(AT_FDCWD, "/proc/self/uid_map", map) == 0;
}

static void setup(void)
{
	int ready[2];
	char path[32], byte;

	if (unshare(CLONE_NEWNET) < 0 && !unshare_user())
		missing = "no new network namespace is allowed here";
	else if (!shell("command -v ip nsenter"))
		missing = "ip or nsenter is not installed";
	else if (!shell("ip link add v0 type veth peer name v1 && ip link del v0"))
		missing = "the kernel has no veth";
	if (missing || pipe2(ready, O_CLOEXEC) < 0)
		return;
	other = fork();
	if (other == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (unshare(CLONE_NEWNET) < 0 || write(ready[1], "x", 1) != 1)
			_exit(1);
		close(ready[0]);
		close(ready[1]);
		pause();
		_exit(0);
	}
	close(ready[1]);
	if (read(ready[0], &byte, 1) != 1)
		missing = "no second network namespace is allowed here";
	close(ready[0]);
	snprintf(path, sizeof(path), "/proc/%d/ns/net", (int)other);
	other_ns = open(path, O_RDONLY | O_CLOEXEC);
}

static void test_loopback(void)
{
	struct ifreq lo = {.ifr_name = "lo"};
	autofd sock = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (missing)
		SKIP(missing);
	is_int(net_loopback_up(&err), 0);
	is_int(ioctl(sock, SIOCGIFFLAGS, &lo), 0);
	ok(lo.ifr_flags & IFF_UP);
	ok(shell("ip -o -4 addr show dev lo | grep -c 127.0.0.1/8") != NULL);
}

static void test_move(void)
{
	if (missing)
		SKIP(missing);
	ok(shell("ip link add v0 type veth peer name v1 && ip link set v0 mtu 1400 up && "
	         "ip addr add 10.9.8.7/24 brd + dev v0 && ip addr add 10.9.8.8/24 dev v0 label "
	         "v0:x && "
	         "ip addr add 192.0.2.1 peer 192.0.2.9/32 dev v0 && "
	         "ip addr add 169.254.3.3/16 scope link dev v0 && "
	         "ip addr add 10.1.1.1/24 valid_lft 1000 preferred_lft 1000 dev v0") != NULL);
	is_int(move("v0", NULL), 0);
	ok(shell("ip link show v0 2>/dev/null") == NULL);
	ok(shell(INSIDE "ip -o link show v0 | grep 'mtu 1400' | grep '[<,]UP[,>]'", other) != NULL);
	is_str(shell(INSIDE
	             "ip -o -4 addr show dev v0 | awk '{print $4, $5, $6, $7, $8, $9, $10}' | "
	             "sed 's/ valid.*//' | tr '\\n' ';'",
	             other),
	       "10.9.8.7/24 brd 10.9.8.255 scope global v0\\;192.0.2.1 peer 192.0.2.9/32 "
	       "scope global v0\\;10.9.8.8/24 scope global secondary v0:x\\;");
	ok(shell(INSIDE "ip link del v0", other) != NULL);
}

static void test_move_ipv6(void)
{
	if (missing)
		SKIP(missing);
	ok(shell("ip link add v0 type veth peer name v1") != NULL);
	if (!shell("ip -6 addr add fd00::5/64 dev v0 nodad 2>&1")) {
		shell("ip link del v0");
		SKIP("the kernel has no IPv6");
	}
	is_int(move("v0", "net%d"), 0);
	ok(shell(INSIDE "ip -6 -o addr show dev net0 scope global | grep ' fd00::5/64'", other));
	ok(shell(INSIDE "ip link del net0", other) != NULL);
}

/* An address that cannot be added brings the device back as it was. */
static void test_move_back(void)
{
	if (missing)
		SKIP(missing);
	ok(shell("ip link add v0 type veth peer name v1 && ip link set v0 up && "
	         "ip addr add 10.9.8.7/24 dev v0") != NULL);
	if (!shell("ip -6 addr add fd00::5/64 dev v0 nodad 2>&1") ||
	    !shell(INSIDE "sh -c 'echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6' 2>&1",
	           other)) {
		shell("ip link del v0");
		SKIP("IPv6 cannot be switched off here");
	}
	is_int(net_device_move("v0", "w0", other_ns, &moved, &err), -1);
	is_int(err.errnum, EACCES);
	is_str(err.msg, "add address 1 of network device \"w0\"");
	ok(shell("ip -o link show v0 | grep '[<,]UP[,>]'") != NULL);
	ok(shell("ip -o -6 addr show dev v0 | grep ' fd00::5/64'") != NULL);
	ok(shell("ip -o -4 addr show dev v0 | grep ' 10.9.8.7/24'") != NULL);
	ok(shell("ip link del v0") != NULL);
	shell(INSIDE "sh -c 'echo 0 >/proc/sys/net/ipv6/conf/default/disable_ipv6'", other);
}

static void test_rename(void)
{
	if (missing)
		SKIP(missing);
	/* its own name is taken there, the new one is not */
	ok(shell(INSIDE "ip link add v0 type veth peer name p0", other) != NULL);
	ok(shell("ip link add v0 type veth peer name v1 && "
	         "ip addr add 10.9.8.8/24 dev v0 label v0:x") != NULL);
	is_int(move("v0", "inside"), 0);
	ok(shell(INSIDE "ip -o -4 addr show dev inside | grep 'inside.*10.9.8.8/24.*inside'",
	         other));
	ok(shell(INSIDE "ip -o link show inside | grep '[<,]UP[,>]'", other) != NULL);
	ok(shell(INSIDE "ip link del inside", other) != NULL);
	/* a template skips what is taken */
	ok(shell("ip link add name a1 type veth peer name b1") != NULL);
	is_int(move("a1", "v%d"), 0);
	ok(shell(INSIDE "ip link show v1", other) != NULL);
	ok(shell(INSIDE "ip link del v1", other) != NULL);
	ok(shell(INSIDE "ip link del v0", other) != NULL);
}

/* A failure leaves the device where it was. */
static void test_failures(void)
{
	if (missing)
		SKIP(missing);
	is_int(net_device_move("none", NULL, other_ns, &moved, &err), -1);
	is_int(err.errnum, ENODEV);
	is_str(err.msg, "find network device \"none\"");
	ok(shell("ip link add v0 type veth peer name v1") != NULL);
	is_int(net_device_move("v0", "lo", other_ns, &moved, &err), -1);
	is_int(err.errnum, EEXIST);
	is_str(err.msg, "network device \"lo\" in the container");
	is_int(net_device_move("v0", "sixteen_letters_", other_ns, &moved, &err), -1);
	is_int(err.errnum, EINVAL);
	is_int(net_device_move("v0", "a/b", other_ns, &moved, &err), -1);
	is_int(net_device_move("v0", "..", other_ns, &moved, &err), -1);
	is_int(net_device_move("v0", "%d%d", other_ns, &moved, &err), -1);
	is_int(net_device_move("v0", "a%s", other_ns, &moved, &err), -1);
	is_int(net_device_move("", NULL, other_ns, &moved, &err), -1);
	is_int(net_device_move("lo", "lo2", other_ns, &moved, &err), -1);
	is_str(err.msg, "move network device \"lo\" to \"lo2\"");
	is_int(net_device_move("v0", NULL, 0, &moved, &err), -1);
	is_str(err.msg, "enter the container's network namespace");
	ok(shell("ip link show v0") != NULL);
	ok(shell("ip link del v0") != NULL);
}

/* Attributes that lie about their length are not followed. */
static void test_find(void)
{
	struct ifinfomsg m = {0};
	struct netlink_request q;
	struct rtattr *a;
	size_t len = 0;

	netlink_start(&q, RTM_NEWLINK, 0, &m, sizeof(m));
	netlink_add(&q, 3, "ab", 3);
	netlink_add(&q, 4, "cdef", 4);
	is_str(netlink_find(&q.header, sizeof(m), 3, 3, &len), "ab");
	is_int((long long)len, 3);
	ok(netlink_find(&q.header, sizeof(m), 4, 4, &len) != NULL && len == 4);
	ok(netlink_find(&q.header, sizeof(m), 4, 5, &len) == NULL);
	ok(netlink_find(&q.header, sizeof(m), 5, 0, &len) == NULL);
	a = (struct rtattr *)(void *)(q.data + NLMSG_LENGTH(sizeof(m)));
	a->rta_len = 200;
	ok(netlink_find(&q.header, sizeof(m), 3, 1, &len) == NULL);
	a->rta_len = 0;
	ok(netlink_find(&q.header, sizeof(m), 4, 1, &len) == NULL);
}

int main(void)
{
	alarm(60);
	setup();
	RUN(test_loopback);
	RUN(test_move);
	RUN(test_move_ipv6);
	RUN(test_move_back);
	RUN(test_rename);
	RUN(test_failures);
	RUN(test_find);
	if (other > 0)
		pid_reap_at(&other);
	return done();
}
