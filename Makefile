# SPDX-License-Identifier: GPL-2.0-or-later
# "make help" lists the targets and variables. Sources are found by wildcard: a new file needs no line here.
SHELL = /bin/sh
MAKEFLAGS += --no-builtin-rules
.SUFFIXES:
.SECONDARY:
.DELETE_ON_ERROR:
.PHONY: all FORCE
all:

# These install packages first, call make again, or clean: they need no configuration.
suites := unit fuzz style integration validation
bare := check $(suites:%=check-%) check-vm demo format deps clean distclean help
ifneq ($(filter-out $(bare),$(or $(MAKECMDGOALS),all)),)
include config.mk
endif
config.mk: configure config.mk.in config.h.in
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
compile = $(CC) -std=gnu11 -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -include config.h -Isrc -Ilibocispec \
	-I$(B) $(LIB_CFLAGS) $(CPPFLAGS) -fPIE -fvisibility=hidden -ffunction-sections -fdata-sections \
	$(WARN) $(HARDEN) $(SANITIZE) $(CFLAGS)
link = $(CC) $(CFLAGS) $(SANITIZE) $(if $(filter 1,$(link_static)),-static-pie,-pie) \
	-Wl,-z,relro,-z,now,-z,noexecstack,--gc-sections,--as-needed $(LDFLAGS)
libs = $(if $(filter 1,$(link_static)),$(LIBS_STATIC),$(LIBS_SHARED))

# Each .def makes NAME.h and NAME_tables.c.
spec := $(if $(wildcard libocispec/*.def),$(B)/ocispec)
defs := $(patsubst src/run/%.def,$(B)/%,$(wildcard src/run/*.def))
gen_h := $(addsuffix .h,$(spec) $(defs)) $(B)/commit.h
lib_c := $(wildcard src/base/*.c src/kernel/*.c src/run/*.c)
cli_c := $(wildcard src/cli/*.c)
oci_o := $(patsubst %.c,$(B)/%.o,$(wildcard libocispec/*.c)) $(spec:=_tables.o)
lib_o := $(lib_c:%.c=$(B)/%.o) $(defs:=_tables.o)
cli_o := $(cli_c:%.c=$(B)/%.o)
helper := $(if $(filter yes,$(HAVE_SYSTEMD)),$(patsubst src/helper/%.c,$(B)/helper-%,$(wildcard src/helper/systemd.c)))
lib_o += $(helper:=.o)
archives = $(B)/libdavit.a $(B)/libocispec.a
unit := $(patsubst %.c,$(B)/%,$(wildcard tests/unit/test_*.c))
fuzz := $(patsubst %.c,$(B)/%,$(wildcard tests/fuzz/fuzz_*.c))
probe := $(patsubst tests/integration/%.c,$(B)/tests/%,$(wildcard tests/integration/*.c))

all: $(archives) $(if $(cli_c),$(B)/davit $(if $(filter build,$(B)),davit))
davit: $(B)/davit
	@ln -sf $< $@

# What follows depends on these stamps, so a changed command or a removed source file is noticed.
stamp = printf '%s\n' '$(1)' | cmp -s - $@ || printf '%s\n' '$(1)' >$@
$(B)/flags: FORCE
	@mkdir -p $(@D); $(call stamp,$(filter-out -Werror,$(compile)) $(link) $(libs))
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
$(B)/libdavit.a: $(lib_o) $(B)/list
%.a:
	@rm -f $@
	$(Q)$(AR) crs $@ $(filter %.o,$^)
$(B)/davit: $(cli_o) $(archives) $(B)/flags
	$(if $(Q),@echo "  LINK $@")
	$(Q)$(link) -o $@ $(cli_o) $(archives) $(libs)

# The systemd helper: a dynamic program with libsystemd, carried inside davit as bytes.
$(B)/helper-%: src/helper/%.c $(B)/flags config.h
	$(Q)$(CC) -std=gnu11 -D_GNU_SOURCE -include config.h -Isrc $(CPPFLAGS) $(SYSTEMD_CFLAGS) -fPIE $(WARN) \
		-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2 $(CFLAGS) -MMD -MP -pie -s -Wl,-z,relro,-z,now,--as-needed \
		$(LDFLAGS) -o $@ $< $(SYSTEMD_LIBS)
$(B)/helper-%.o: $(B)/helper-%
	$(Q)printf '%s\n' '.section .rodata' '.balign 16' '.hidden helper_$*_start' '.hidden helper_$*_end' \
		'.globl helper_$*_start, helper_$*_end' 'helper_$*_start: .incbin "$<"' 'helper_$*_end: .byte 0' \
		'.section .note.GNU-stack,"",%progbits' | $(CC) -c -x assembler -o $@ -

# Tests. An object in tests/unit is one program; so is one in tests/fuzz, with replay.c or libFuzzer as main.
$(B)/tests/unit/%: $(B)/tests/unit/%.o $(archives)
	$(Q)$(link) -o $@ $^ $(libs)
$(B)/tests/fuzz/fuzz_%: $(B)/tests/fuzz/fuzz_%.o $(if $(FUZZ),,$(B)/tests/fuzz/replay.o) $(archives)
	$(Q)$(link) $(if $(FUZZ),-fsanitize=fuzzer) -o $@ $^ $(libs)
$(B)/tests/%: tests/integration/%.c
	@mkdir -p $(@D)
	$(Q)$(CC) -std=gnu11 -D_GNU_SOURCE -O1 -Wall -static -o $@ $<

.PHONY: test-programs check $(suites:%=check-%) check-vm check-tidy check-cppcheck format demo deps install \
	clean distclean help
test-programs: all $(unit) $(fuzz) $(probe)
deps:
	@tests/deps.sh
run_tests = +@$(MAKE) --no-print-directory B=$(B) test-programs && tests/run -b $(B) $(if $(T),-t '$(T)') $(if $(V),-v)
check: deps
	$(run_tests) $(suites)
$(suites:%=check-%): check-%: deps
	$(run_tests) $*
check-tidy: $(gen_h)
	clang-tidy --quiet $(or $(T),$(lib_c) $(cli_c) $(wildcard libocispec/*.c)) -- \
		$(filter-out $(CC) -fstack% -g -O2 -U_F% -D_F%,$(compile))
check-cppcheck: $(gen_h)
	cppcheck -q -j 2 --error-exitcode=1 --std=c11 --enable=warning,portability,performance --inline-suppr \
		--suppressions-list=tests/cppcheck.suppress -D_GNU_SOURCE --include=config.h -Isrc -Ilibocispec \
		-I$(B) src libocispec
format:
	clang-format -i $(shell git ls-files -co --exclude-standard '*.[ch]')
demo:
	@tests/deps.sh demo
	+@$(MAKE) --no-print-directory B=$(B) all
	@DAVIT=$(B)/davit contrib/demo.sh

install: all
	$(INSTALL) -d $(addprefix $(DESTDIR),$(bindir) $(libdir)/pkgconfig $(includedir) $(mandir)/man1 $(mandir)/man7)
	$(INSTALL) -m 755 $(B)/davit $(DESTDIR)$(bindir)/davit

-include $(patsubst %.o,%.d,$(oci_o) $(lib_o) $(cli_o) $(addsuffix .o,$(unit) $(fuzz)))
clean:
	rm -rf build build-* davit
distclean: clean
	rm -rf config.mk config.h config.h.in config.log config.status configure configure~ autom4te.cache
help:
	@sed -n 's/^#: //p' Makefile
