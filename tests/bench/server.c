/* SPDX-License-Identifier: GPL-2.0-or-later */
/* server: a web server with one page, on port 80 of all addresses, that takes next to nothing: no
 * C library, two pages of memory of its own. In a crowd of it, what is left is the containers'. */
#include <linux/in6.h>
#include <stddef.h>
#include <sys/syscall.h>

#define AF_INET6     10
#define SOCK_STREAM  1
#define SOCK_CLOEXEC 02000000
#define SOL_SOCKET   1
#define SO_REUSEADDR 2
#define PORT_80      __builtin_bswap16(80) /* both processors are little-endian */

static const char page[] =
	"HTTP/1.0 200 OK\r\nContent-Type: text/html\r\nContent-Length: 6\r\n\r\nhello\n";

static long call(long number, long a, const void *b, long c, const void *d, long e)
{
#if defined(__x86_64__)
	register const void *r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;

	__asm__ volatile("syscall"
	                 : "+a"(number)
	                 : "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8)
	                 : "rcx", "r11", "memory");
	return number;
#elif defined(__aarch64__)
	register long x8 __asm__("x8") = number, x0 __asm__("x0") = a, x2 __asm__("x2") = c;
	register const void *x1 __asm__("x1") = b, *x3 __asm__("x3") = d;
	register long x4 __asm__("x4") = e;

	__asm__ volatile("svc 0"
	                 : "+r"(x0)
	                 : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4)
	                 : "memory");
	return x0;
#else
#error "how does this processor make a system call?"
#endif
}

__attribute__((noreturn)) void _start(void)
{
	struct sockaddr_in6 any = {.sin6_family = AF_INET6, .sin6_port = PORT_80};
	char request[512];
	int on = 1;
	long fd = call(SYS_socket, AF_INET6, (void *)(SOCK_STREAM | SOCK_CLOEXEC), 0, NULL, 0);

	if (fd < 0 ||
	    call(SYS_setsockopt, fd, (void *)SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0 ||
	    call(SYS_bind, fd, &any, sizeof any, NULL, 0) < 0 ||
	    call(SYS_listen, fd, (void *)16, 0, NULL, 0) < 0)
		call(SYS_exit_group, 1, NULL, 0, NULL, 0);
	for (;;) {
		long peer = call(SYS_accept4, fd, NULL, 0, (void *)SOCK_CLOEXEC, 0);

		if (peer < 0)
			continue;
		if (call(SYS_read, peer, request, sizeof request, NULL, 0) > 0)
			call(SYS_write, peer, page, sizeof page - 1, NULL, 0);
		call(SYS_close, peer, NULL, 0, NULL, 0);
	}
}
