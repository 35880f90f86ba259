/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernel/seccomp_arch.h"

#include <linux/audit.h>
#include <seccomp.h>

#include "base/mem.h"

#ifndef SCMP_ARCH_LOONGARCH64
#define SCMP_ARCH_LOONGARCH64 (258 /* EM_LOONGARCH */ | __AUDIT_ARCH_64BIT | __AUDIT_ARCH_LE)
#endif

enum mux_column {
	MUX_X86,
	MUX_S390,
	MUX_PPC,
	MUX_MIPS,
	MUX_COLUMNS,
	MUX_NONE = -1
};

/* name, first number, the other kernel that runs its programs, mux column, 64 bit arguments, big
 * endian */
#define ROW(name, base, host, mux, wide, big)                                                      \
	{                                                                                          \
		SCMP_ARCH_##name, SCMP_ARCH_##name, base, host, mux, wide, big                     \
	}
#define ALSO_ON(name) SCMP_ARCH_##name

static const struct seccomp_arch archs[] = {
	{SCMP_ARCH_X32, SCMP_ARCH_X86_64, 0x40000000, SCMP_ARCH_X86_64, MUX_NONE, false, false},
	ROW(X86_64, 0, 0, MUX_NONE, true, false),
	ROW(X86, 0, ALSO_ON(X86_64), MUX_X86, false, false),
	ROW(AARCH64, 0, 0, MUX_NONE, true, false),
	ROW(ARM, 0, ALSO_ON(AARCH64), MUX_NONE, false, false),
	ROW(MIPS, 4000, ALSO_ON(MIPS64), MUX_MIPS, false, true),
	ROW(MIPS64, 5000, 0, MUX_NONE, true, true),
	ROW(MIPS64N32, 6000, ALSO_ON(MIPS64), MUX_NONE, false, true),
	ROW(MIPSEL, 4000, ALSO_ON(MIPSEL64), MUX_MIPS, false, false),
	ROW(MIPSEL64, 5000, 0, MUX_NONE, true, false),
	ROW(MIPSEL64N32, 6000, ALSO_ON(MIPSEL64), MUX_NONE, false, false),
	ROW(PPC, 0, ALSO_ON(PPC64), MUX_PPC, false, true),
	ROW(PPC64, 0, 0, MUX_PPC, true, true),
	ROW(PPC64LE, 0, 0, MUX_PPC, true, false),
	ROW(S390, 0, ALSO_ON(S390X), MUX_S390, false, true),
	ROW(S390X, 0, 0, MUX_S390, true, true),
	ROW(PARISC, 0, ALSO_ON(PARISC64), MUX_NONE, false, true),
	ROW(PARISC64, 0, 0, MUX_NONE, true, true),
	ROW(RISCV64, 0, 0, MUX_NONE, true, false),
	ROW(LOONGARCH64, 0, 0, MUX_NONE, true, false),
};

uint32_t seccomp_native_arch(void)
{
	return seccomp_arch_native();
}

const struct seccomp_arch *seccomp_arch_find(uint32_t token)
{
	for (size_t i = 0; i < COUNT(archs); i++)
		if (archs[i].token == token)
			return &archs[i];
	return NULL;
}

bool seccomp_arch_runs_on(const struct seccomp_arch *a, uint32_t host)
{
	return a->token == host || (a->host != 0 && a->host == host);
}

/* The parts of socketcall(2) (pseudo numbers -101 ... in libseccomp) and ipc(2) (-201 ...), with
 * the numbers they got later, less the architecture's base; 0: none. */
static const uint16_t socket_direct[][MUX_COLUMNS] = {
  /* x86, s390, ppc, mips */
	[1] = {359, 359, 326, 183}, /* socket */
	[2] = {361, 361, 327, 169}, /* bind */
	[3] = {362, 362, 328, 170}, /* connect */
	[4] = {363, 363, 329, 174}, /* listen */
	[5] = {0,   0,   330, 168}, /* accept */
	[6] = {367, 367, 331, 172}, /* getsockname */
	[7] = {368, 368, 332, 171}, /* getpeername */
	[8] = {360, 360, 333, 184}, /* socketpair */
	[9] = {0,   0,   334, 178}, /* send */
	[10] = {0,   0,   336, 175}, /* recv */
	[11] = {369, 369, 335, 180}, /* sendto */
	[12] = {371, 371, 337, 176}, /* recvfrom */
	[13] = {373, 373, 338, 182}, /* shutdown */
	[14] = {366, 366, 339, 181}, /* setsockopt */
	[15] = {365, 365, 340, 173}, /* getsockopt */
	[16] = {370, 370, 341, 179}, /* sendmsg */
	[17] = {372, 372, 342, 177}, /* recvmsg */
	[18] = {364, 364, 344, 334}, /* accept4 */
	[19] = {337, 357, 343, 335}, /* recvmmsg */
	[20] = {345, 358, 349, 343}, /* sendmmsg */
};
/* The same on all of them; semtimedop is wired on the 64 bit ones only. */
static const uint16_t ipc_direct[] = {
	[2] = 393,  /* semget */
	[3] = 394,  /* semctl */
	[4] = 392,  /* semtimedop */
	[11] = 400, /* msgsnd */
	[12] = 401, /* msgrcv */
	[13] = 399, /* msgget */
	[14] = 402, /* msgctl */
	[21] = 397, /* shmat */
	[22] = 398, /* shmdt */
	[23] = 395, /* shmget */
	[24] = 396, /* shmctl */
};
#define IPC_SEMTIMEDOP 4

/* Calls younger than libseccomp 2.5.4, with the number all architectures share. */
static const struct {
	const char *name;
	uint16_t nr;
} young_calls[] = {
	{"set_mempolicy_home_node", 450},
	{"cachestat",               451},
	{"fchmodat2",               452},
	{"map_shadow_stack",        453},
	{"futex_wake",              454},
	{"futex_wait",              455},
	{"futex_requeue",           456},
	{"statmount",               457},
	{"listmount",               458},
	{"lsm_get_self_attr",       459},
	{"lsm_set_self_attr",       460},
	{"lsm_list_modules",        461},
	{"mseal",		   462},
	{"setxattrat",              463},
	{"getxattrat",              464},
	{"listxattrat",             465},
	{"removexattrat",           466},
	{"open_tree_attr",          467},
	{"file_getattr",            468},
	{"file_setattr",            469},
	{"listns",                  470},
};

/* And those of one architecture alone, in gaps of its table. */
static const struct {
	const char *name;
	uint32_t arch;
	uint16_t nr;
} own_calls[] = {
	{"uretprobe",     SCMP_ARCH_X86_64,  335},
	{"uprobe",        SCMP_ARCH_X86_64,  336},
	{"riscv_hwprobe", SCMP_ARCH_RISCV64, 258},
};

static struct seccomp_call call_young(const struct seccomp_arch *a, const char *name)
{
	struct seccomp_call c = {0};

	for (size_t i = 0; i < COUNT(young_calls); i++)
		if (strcmp(young_calls[i].name, name) == 0)
			c = (struct seccomp_call){
				.known = true, .has_nr = true, .nr = a->base + young_calls[i].nr};
	for (size_t i = 0; i < COUNT(own_calls); i++)
		if (strcmp(own_calls[i].name, name) == 0)
			c = (struct seccomp_call){.known = true,
			                          .has_nr = a->token == own_calls[i].arch,
			                          .nr = own_calls[i].nr};
	return c;
}

/* pseudo: the negative number libseccomp has for a call without one of its own. */
static struct seccomp_call call_muxed(const struct seccomp_arch *a, int pseudo)
{
	struct seccomp_call c = {.known = true};
	uint32_t part = (uint32_t)-pseudo % 100;
	uint16_t direct = 0;

	if (a->mux == MUX_NONE)
		return c;
	c.mux_part = part;
	if (pseudo < -100 && part < COUNT(socket_direct) && pseudo > -200) {
		c.has_mux = true;
		c.mux_nr = a->base + 102;
		direct = socket_direct[part][a->mux];
	} else if (pseudo < -200 && part < COUNT(ipc_direct) && pseudo > -300) {
		c.has_mux = true;
		c.mux_nr = a->base + 117;
		direct = part == IPC_SEMTIMEDOP && !a->wide ? 0 : ipc_direct[part];
	}
	c.has_nr = direct != 0;
	c.nr = a->base + direct;
	return c;
}

/* The pseudo number of a directly wired part, or 0: newer libraries may give its own number. */
static int call_pseudo(const struct seccomp_arch *a, uint32_t nr)
{
	/* most numbers are in none of the ranges the tables use */
	if (a->mux == MUX_NONE || nr < 168 || nr > 402 || (nr > 184 && nr < 326) ||
	    (nr > 373 && nr < 392))
		return 0;
	for (int part = 1; part < (int)COUNT(socket_direct); part++)
		if (socket_direct[part][a->mux] == nr)
			return -100 - part;
	for (int part = 2; part < (int)COUNT(ipc_direct); part++)
		if (ipc_direct[part] == nr)
			return -200 - part;
	return 0;
}

struct seccomp_call seccomp_call_find(const struct seccomp_arch *a, const char *name)
{
	int nr = seccomp_syscall_resolve_name_arch(a->token, name);

	if (nr == __NR_SCMP_ERROR)
		return call_young(a, name);
	if (nr < 0)
		return call_muxed(a, nr);
	int pseudo = call_pseudo(a, (uint32_t)nr - a->base);

	if (pseudo != 0)
		return call_muxed(a, pseudo);
	return (struct seccomp_call){.known = true, .has_nr = true, .nr = (uint32_t)nr};
}
