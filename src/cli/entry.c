/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The entry point of the static program, before the C library has set itself up.
 *
 * The commands that enter a container run davit a second time, from a read-only mount
 * (kernel/exe.h). What the C library and the relocations take before main would be spent twice:
 * 0.4 ms of 5, most of it for CPUID, which a hypervisor has to emulate. So the same is done here
 * with bare system calls. Whatever goes wrong here is left to main, which tells.
 *
 * Must not: use the C library, thread-local storage (so no stack protector) or anything that needs
 * a relocation, such as an array of pointers. */
#include <elf.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/statfs.h>
#include <sys/syscall.h>

#include "base/sys.h"
#include "kernel/exe.h"

#if defined(__LP64__) && (defined(__x86_64__) || defined(__aarch64__))

#if __has_attribute(no_stack_protector)
#define BARE __attribute__((no_stack_protector))
#else /* an older compiler: main does it all */
#define BARE
#define ENTRY_IDLE
#endif

#ifdef __x86_64__
__asm__(".pushsection .text\n"
        ".globl davit_entry\n"
        ".hidden davit_entry\n"
        ".type davit_entry, @function\n"
        "davit_entry:\n"
        "	xor	%ebp, %ebp\n"
        "	mov	%rsp, %rdi\n"
        "	push	%rdx\n" /* for _start: what to call at exit */
        "	sub	$8, %rsp\n"
        "	call	entry_protect\n"
        "	add	$8, %rsp\n"
        "	pop	%rdx\n"
        "	jmp	_start\n"
        ".popsection");

BARE static inline long bare_call(long number, long a, long b, long c, long d, long e)
{
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	long result;

	__asm__ volatile("syscall"
	                 : "=a"(result)
	                 : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8)
	                 : "rcx", "r11", "memory");
	return result;
}
#else
__asm__(".pushsection .text\n"
        ".globl davit_entry\n"
        ".hidden davit_entry\n"
        ".type davit_entry, %function\n"
        "davit_entry:\n"
        "	mov	x19, x0\n" /* for _start: what to call at exit */
        "	mov	x0, sp\n"
        "	bl	entry_protect\n"
        "	mov	x0, x19\n"
        "	b	_start\n"
        ".popsection");

BARE static inline long bare_call(long number, long a, long b, long c, long d, long e)
{
	register long x8 __asm__("x8") = number;
	register long x0 __asm__("x0") = a;
	register long x1 __asm__("x1") = b;
	register long x2 __asm__("x2") = c;
	register long x3 __asm__("x3") = d;
	register long x4 __asm__("x4") = e;

	__asm__ volatile("svc 0"
	                 : "+r"(x0)
	                 : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4)
	                 : "memory");
	return x0;
}
#endif

/* Whether one of the arguments is the name of such a command. One too many does no harm. */
BARE static bool enters(char *const *argv)
{
	static const char names[] = "run\0create\0exec\0restore\0";

	for (int i = 1; argv[0] && argv[i]; i++) {
		for (const char *name = names; *name; name++) {
			const char *word = argv[i];

			for (; *name && *name == *word; name++)
				word++;
			if (!*name && !*word)
				return true;
			while (*name)
				name++;
		}
	}
	return false;
}

BARE static bool is_secure(const Elf64_auxv_t *aux)
{
	for (; aux->a_type != AT_NULL; aux++)
		if (aux->a_type == AT_SECURE)
			return aux->a_un.a_val != 0;
	return true;
}

void entry_protect(char **stack);

#ifdef ENTRY_IDLE
__attribute__((used)) void entry_protect(char **stack)
{
	(void)stack;
}
#else
__attribute__((used)) BARE void entry_protect(char **stack)
{
	static const char self[] = "/proc/self/exe", empty[] = "";
	struct mount_attr attr = {.attr_set = MOUNT_ATTR_RDONLY};
	struct statfs fs;
	char **argv = stack + 1, **envp = argv, **end;
	long fd;

	while (*envp++)
		;
	for (end = envp; *end; end++)
		;
	if (is_secure((const Elf64_auxv_t *)(end + 1)) || !enters(argv))
		return;
	if (bare_call(__NR_statfs, (long)self, (long)&fs, 0, 0, 0) < 0)
		return;
	/* the analyzer does not see that the kernel filled it */
	exe_is_read_only = (fs.f_flags & 1) != 0; /* NOLINT */
	if (exe_is_read_only)
		return;
	fd = bare_call(__NR_open_tree, AT_FDCWD, (long)self, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC, 0,
	               0);
	if (fd < 0)
		return;
	if (bare_call(__NR_mount_setattr, fd, (long)empty, AT_EMPTY_PATH, (long)&attr,
	              sizeof(attr)) == 0)
		(void)bare_call(__NR_execveat, fd, (long)empty, (long)argv, (long)envp,
		                AT_EMPTY_PATH);
	(void)bare_call(__NR_close, fd, 0, 0, 0, 0);
}
#endif
#endif
