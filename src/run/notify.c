/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "run/notify.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/mem.h"
#include "run/plan.h"

#define DIRECTORY "notify"

const char *notify_socket(void)
{
	const char *path = getenv("NOTIFY_SOCKET");

	return path && (*path == '/' || *path == '@') && path[1] ? path : NULL;
}

int notify_plan(const struct davit_context *c, const char *id, struct oci_config *config,
                struct arena *a, struct err *e)
{
	static const char *const options[] = {"bind", "nosuid", "nodev", "noexec", "ro", "private"};
	autofree char *standard = c->root ? NULL : davit_default_root();
	const char *root = path_absolute(c->root ? c->root : standard, a, e);
	struct oci_mount *v, *m;

	if (!root)
		return -1;
	v = arena_array(a, config->n_mounts + 1, sizeof *v);
	if (config->n_mounts)
		memcpy(v, config->mounts, config->n_mounts * sizeof *v);
	m = &v[config->n_mounts++];
	m->destination = NOTIFY_DIR;
	m->type = "bind";
	m->source = arena_printf(a, "%s/%s/" DIRECTORY, root, id);
	m->n_options = COUNT(options);
	m->options = arena_array(a, COUNT(options) + 1, sizeof *m->options);
	memcpy(m->options, options, sizeof options);
	config->mounts = v;
	return 0;
}

int notify_prepare(int dir, struct err *e)
{
	if (mkdirat(dir, DIRECTORY, 0755) < 0)
		return fail(e, errno, "make the directory of the notification socket");
	return 0;
}

int notify_bind(int dir, struct err *e)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	autofd sock = -1;
	struct stat st;

	if (fstatat(dir, DIRECTORY, &st, 0) < 0)
		return fail(e, errno, "the container has no notification socket");
	snprintf(sa.sun_path, sizeof sa.sun_path, "/proc/self/fd/%d/" DIRECTORY "/notify.sock",
	         dir);
	sock = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	/* the payload may be any user */
	if (sock < 0 || bind(sock, (struct sockaddr *)&sa, sizeof sa) < 0 ||
	    chmod(sa.sun_path, 0777) < 0)
		return fail(e, errno, "make the notification socket");
	return take_fd(&sock);
}

static int ready_send(pid_t pid, struct err *e)
{
	const char *path = notify_socket();
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	autofd sock = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	char text[48];
	size_t len = path ? strlen(path) : 0;
	int n = snprintf(text, sizeof text, "READY=1\nMAINPID=%d", pid);

	if (!path)
		return 0;
	if (len >= sizeof sa.sun_path)
		return fail(e, ENAMETOOLONG, "NOTIFY_SOCKET");
	memcpy(sa.sun_path, path, len);
	if (*path == '@')
		sa.sun_path[0] = '\0';
	if (sock < 0 || sendto(sock, text, (size_t)n, MSG_NOSIGNAL, (struct sockaddr *)&sa,
	                       (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)) < 0)
		return fail(e, errno, "tell NOTIFY_SOCKET \"%s\" that the container is ready",
		            path);
	return 0;
}

static bool has_ready(char *text)
{
	char *line;

	while ((line = strsep(&text, "\n")))
		if (strcmp(line, "READY=1") == 0)
			return true;
	return false;
}

int notify_step(int sock, pid_t pid, struct err *e)
{
	char text[4097];
	ssize_t n = recv(sock, text, sizeof text - 1, MSG_DONTWAIT);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0
		                                         : fail(e, errno, "read a notification");
	text[n] = '\0';
	if (!has_ready(text))
		return 0;
	return ready_send(pid, e) < 0 ? -1 : 1;
}

int notify_wait(int sock, pid_t pid, int pidfd, struct err *e)
{
	struct pollfd p[] = {
		{.fd = sock,  .events = POLLIN},
                {.fd = pidfd, .events = POLLIN}
        };

	for (;;) {
		if (poll(p, COUNT(p), -1) < 0 && errno != EINTR)
			return fail(e, errno, "wait for a notification");
		if (p[0].revents & POLLIN) {
			int r = notify_step(sock, pid, e);

			if (r != 0)
				return r < 0 ? -1 : 0;
		}
		if (p[1].revents)
			return 0;
	}
}
