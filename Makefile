# SPDX-License-Identifier: GPL-2.0-or-later
# "make help" lists the targets and variables. Sources are found by wildcard: a new file needs no line here.
SHELL = /bin/sh
MAKEFLAGS += --no-builtin-rules
.SUFFIXES:
.SECONDARY:
.DELETE_ON_ERROR:
.PHONY: all install dist clean distclean help FORCE
all:

# These install packages first, call make again, or clean: they need no configuration.
SUITES = unit fuzz style integration validation coverage
bare := check $(SUITES:%=check-%) check-engines check-old check-vm demo \
	bench bench-density fuzz format deps clean distclean help
ifneq ($(filter-out $(bare),$(or $(MAKECMDGOALS),all)),)
include config.mk
endif
config.mk: configure config.mk.in config.h.in libdavit.pc.in
	@if [ -x config.status ]; then ./config.status --recheck && ./config.status; else ./configure; fi
config.h: config.mk ;
configure config.h.in &: configure.ac autogen.sh
	./autogen.sh
	@touch configure config.h.in

# A build directory for each variant, so that switching between them rebuilds nothing.
B ?= build$(if $(SAN),-san)$(if $(findstring clang,$(CC)),-clang)$(if \
	$(filter command,$(firstword $(origin STATIC))),-static$(STATIC))
Q = $(if $(V),,@)
link_static = $(if $(SAN)$(FUZZ),0,$(STATIC))

WARN = -Wall -Wextra -Wshadow -Wformat=2 -Wmissing-prototypes -Wstrict-prototypes -Wvla \
	-Wwrite-strings -Wundef $(if $(WERROR),-Werror)
HARDEN = -fstack-protector-strong $(if $(SAN)$(FUZZ),,-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)
SANITIZE = $(if $(SAN),-fsanitize=address$(,)undefined -fno-sanitize-recover=all -fno-omit-frame-pointer) \
	$(if $(FUZZ),-fsanitize=fuzzer-no-link$(,)address$(,)undefined -fno-sanitize-recover=undefined)
, := ,
hash := \#
# Nobody unwinds davit's stack but a debugger, which has a table of its own: 73 KB less of program.
lean := -fno-asynchronous-unwind-tables
compile = $(CC) -std=gnu11 -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -include config.h -Isrc -Ilibocispec \
	-I$(B) $(LIB_CFLAGS) $(CPPFLAGS) -fPIE -fvisibility=hidden -ffunction-sections -fdata-sections \
	$(WARN) $(HARDEN) $(or $(strip $(SANITIZE)),$(lean)) $(CFLAGS)
link = $(CC) $(CFLAGS) $(SANITIZE) $(if $(filter 1,$(link_static)),-static-pie,-pie) \
	-Wl,-z,relro,-z,now,-z,noexecstack,--gc-sections,--as-needed $(LDFLAGS)
layout = $(if $(filter 1,$(link_static)),$(LAYOUT))
libs = $(if $(filter 1,$(link_static)),$(LIBS_STATIC),$(LIBS_SHARED))

# src/cli/entry.c, for the machines that it knows.
entry = $(if $(filter 1,$(link_static)),$(shell $(CC) $(CFLAGS) -dM -E -x c /dev/null | awk \
	'/__LP64__/ { l = 1 } /__x86_64__|__aarch64__/ { m = 1 } END { if (l && m) print "-Wl,-e,davit_entry" }'))

# Each .def makes NAME.h and NAME_tables.c.
spec := $(if $(wildcard libocispec/*.def),$(B)/ocispec)
defs := $(patsubst src/run/%.def,$(B)/%,$(wildcard src/run/*.def))
gen_h := $(addsuffix .h,$(spec) $(defs)) $(B)/commit.h
lib_c := $(wildcard src/base/*.c src/kernel/*.c src/run/*.c)
cli_c := $(wildcard src/cli/*.c)
oci_o := $(patsubst %.c,$(B)/%.o,$(wildcard libocispec/*.c)) $(spec:=_tables.o)
lib_o := $(lib_c:%.c=$(B)/%.o) $(defs:=_tables.o)
cli_o := $(cli_c:%.c=$(B)/%.o)
unit := $(patsubst %.c,$(B)/%,$(wildcard tests/unit/test_*.c))
fuzz := $(patsubst %.c,$(B)/%,$(wildcard tests/fuzz/fuzz_*.c))
probe := $(patsubst tests/integration/%.c,$(B)/tests/%,$(wildcard tests/integration/*.c))

# Until the life cycle is there, the objects alone.
all: $(B)/libdavit.a $(B)/libocispec.a $(B)/davit $(if $(filter build,$(B)),davit)
davit: $(B)/davit
	@ln -sf $< $@

# What follows depends on these stamps, so a changed command or a removed source file is noticed.
stamp = printf '%s\n' '$(1)' | cmp -s - $@ || printf '%s\n' '$(1)' >$@
$(B)/flags: FORCE
	@mkdir -p $(@D); $(call stamp,$(filter-out -Werror,$(compile)) $(link) $(layout) $(libs))
$(B)/list: FORCE
	@mkdir -p $(@D); $(call stamp,$(oci_o) $(lib_o) $(cli_o))
$(B)/commit.h: FORCE
	@mkdir -p $(@D); $(call stamp,$(hash)define DAVIT_COMMIT "$(shell git describe --always --dirty \
		--abbrev=40 --exclude='*' 2>/dev/null || echo unknown)")
FORCE:

$(B)/%.o: %.c $(B)/flags config.h | $(gen_h)
	@mkdir -p $(@D)
	$(if $(Q),@echo "  CC   $<")
	$(Q)$(compile) -MMD -MP -c -o $@ $<
$(B)/%.o: $(B)/%.c $(B)/flags config.h | $(gen_h)
	$(Q)$(compile) -MMD -MP -c -o $@ $<
$(B)/%.h $(B)/%_tables.c: src/run/%.def libocispec/runtime-spec.def libocispec/gen.awk
	@mkdir -p $(@D)
	$(Q)$(AWK) -v dir=$(B) -v uses=libocispec/runtime-spec.def -f libocispec/gen.awk $<
$(B)/ocispec.h $(B)/ocispec_tables.c &: libocispec/runtime-spec.def libocispec/gen.awk
	@mkdir -p $(@D)
	$(Q)$(AWK) -v dir=$(B) -f libocispec/gen.awk $<

$(B)/libocispec.a: $(oci_o) $(B)/list
$(B)/libdavit.a: $(lib_o) $(oci_o) $(B)/list
%.a:
	@rm -f $@
	$(Q)$(AR) crs $@ $(filter %.o,$^)
# davit runs from a copy of itself, so the debug information is kept apart.
$(B)/davit: $(cli_o) $(B)/libdavit.a $(B)/flags src/layout.ld
	$(if $(Q),@echo "  LINK $@")
	$(Q)$(link) $(entry) $(layout) -o $@.debug $(cli_o) $(B)/libdavit.a $(libs)
	$(Q)$(OBJCOPY) $(if $(SAN),,-S --add-gnu-debuglink=$@.debug) $@.debug $@

include tests/targets.mk

# put MODE DIRECTORY FILE...: installs, if there is anything to install.
put = $(if $(strip $(3)),$(INSTALL) -d $(DESTDIR)$(2) && $(INSTALL) -m $(1) $(3) $(DESTDIR)$(2))
install: all
	$(call put,755,$(bindir),$(if $(cli_c),$(B)/davit))
	$(call put,644,$(libdir),$(B)/libdavit.a)
	$(call put,644,$(libdir)/pkgconfig,libdavit.pc)
	$(call put,644,$(includedir)/davit,$(wildcard src/davit.h))
	$(call put,644,$(includedir)/davit/base,$(wildcard src/base/err.h))
	$(call put,644,$(mandir)/man1,$(wildcard man/*.1))
	$(call put,644,$(mandir)/man5,$(wildcard man/*.5))
	$(call put,644,$(mandir)/man7,$(wildcard man/*.7))
	$(call put,644,$(datadir)/bash-completion/completions,$(wildcard contrib/completion/davit))
	$(call put,644,$(datadir)/zsh/site-functions,$(wildcard contrib/completion/_davit))
	$(call put,644,$(datadir)/fish/vendor_completions.d,$(wildcard contrib/completion/davit.fish))

-include $(patsubst %.o,%.d,$(oci_o) $(lib_o) $(cli_o) $(addsuffix .o,$(unit) $(fuzz)))
dist:
	git archive --prefix=davit-$(VERSION)/ -o davit-$(VERSION).tar.gz HEAD
clean:
	rm -rf build build-* davit
distclean: clean
	rm -rf config.mk libdavit.pc config.h config.h.in config.log config.status configure configure~ autom4te.cache
help:
	@sed -n 's/^#: \{0,1\}//p' Makefile
#: make                   davit, libdavit.a and libocispec.a in build/
#: make check             every test; installs what is missing when root on Debian
#: make check-unit        one suite: unit, fuzz, style, integration, validation, coverage; T=REGEX picks files
#: make check-engines     podman, buildah, containerd, Docker; T=REGEX picks files
#: make check-old         the integration tests without newer system calls, each group with ENOSYS and EPERM;
#:                        OLD="ENOSYS:openat2 EPERM:old" picks some, T=REGEX files
#: make check-vm          all in virtual machines; VM="v2-systemd v1" picks some, T=REGEX files
#: make check-tidy        clang-tidy; also check-cppcheck
#: make fuzz SECONDS=60   each fuzz target with libFuzzer
#: make demo              shows two containers
#: make bench             times davit beside the bare system calls, crun, runc; QUICK=1 within a minute
#: make bench-density     many containers at once: N=200; SMALL=1 with a server that takes next to nothing
#: make format            clang-format on all C files
#: make dist              davit-VERSION.tar.gz of what is committed
#: make install DESTDIR=  see ./configure --help for the directories
#:
#: SAN=1 address and undefined sanitizers; STATIC=0 shared libraries; CC=clang; WERROR=1; V=1 shows commands;
#: B=DIRECTORY builds there. Variants have build directories of their own: build-san, build-clang, ...
