/* SPDX-License-Identifier: GPL-2.0-or-later */
/* crowd: asks the web server on port 80 of many network namespaces for its first page.
 *
 * Standard input holds pids, one a line. Prints "ANSWERED ASKED"; stderr says why one did not. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

static const char request[] = "GET / HTTP/1.0\r\n\r\n";

static int enter(long pid)
{
	char name[64];

	snprintf(name, sizeof name, "/proc/%ld/ns/net", pid);
	int fd = open(name, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	int result = setns(fd, CLONE_NEWNET);
	close(fd);
	return result;
}

/* Some start the loopback device, floor does not. */
static void loopback_up(int fd)
{
	struct ifreq request_up = {.ifr_name = "lo"};

	if (ioctl(fd, SIOCGIFFLAGS, &request_up) == 0 && !(request_up.ifr_flags & IFF_UP)) {
		request_up.ifr_flags |= IFF_UP;
		(void)ioctl(fd, SIOCSIFFLAGS, &request_up);
	}
}

static int ask(void)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(80)};
	struct timeval limit = {.tv_sec = 5};
	char text[1024];
	size_t got = 0;
	ssize_t n;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -1;
	loopback_up(fd);
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
	/* The server may not listen yet. */
	for (int i = 0; connect(fd, (struct sockaddr *)&to, sizeof to) < 0; i++) {
		if (errno != ECONNREFUSED || i == 500) {
			close(fd);
			return -1;
		}
		usleep(10000);
	}
	if (write(fd, request, sizeof request - 1) < 0)
		got = 0;
	while (got < sizeof text - 1 && (n = read(fd, text + got, sizeof text - 1 - got)) > 0)
		got += (size_t)n;
	text[got] = '\0';
	close(fd);
	errno = EPROTO;
	return strstr(text, " 200 OK") && strstr(text, "hello\n") ? 0 : -1;
}

int main(void)
{
	char line[32];
	int answered = 0, asked = 0;

	while (fgets(line, sizeof line, stdin)) {
		long pid = strtol(line, NULL, 10);
		asked++;
		if (enter(pid) == 0 && ask() == 0)
			answered++;
		else
			fprintf(stderr, "pid %ld: %s\n", pid, strerror(errno));
	}
	printf("%d %d\n", answered, asked);
	return answered == asked ? 0 : 1;
}
