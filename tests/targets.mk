# SPDX-License-Identifier: GPL-2.0-or-later
# The targets that test; included by the Makefile.

# Tests. An object in tests/unit is one program; so is one in tests/fuzz, with replay.c or libFuzzer as main.
$(B)/tests/unit/%: $(B)/tests/unit/%.o $(B)/libdavit.a
	$(Q)$(link) -o $@ $^ $(libs)
$(B)/tests/fuzz/fuzz_%: $(B)/tests/fuzz/fuzz_%.o $(if $(FUZZ),,$(B)/tests/fuzz/replay.o) $(B)/libdavit.a
	$(Q)$(link) $(if $(FUZZ),-fsanitize=fuzzer) -o $@ $^ $(libs)
$(B)/tests/%: tests/integration/%.c
	@mkdir -p $(@D)
	$(Q)$(CC) -std=gnu11 -O1 -Wall -static -o $@ $<
$(B)/tests/%: tests/bench/%.c
	@mkdir -p $(@D)
	$(Q)$(CC) -std=gnu11 -D_GNU_SOURCE -O1 -Wall -static $(tool_flags) -o $@ $<
$(B)/tests/server: tool_flags = -nostdlib -fno-stack-protector

.PHONY: test-programs deps check $(SUITES:%=check-%) check-engines check-old check-vm check-tidy check-cppcheck fuzz format demo \
	bench bench-tools bench-density
test-programs: all $(unit) $(fuzz) $(probe) $(B)/tests/pace $(B)/tests/nothing
deps:
	@tests/deps.sh test
run_tests = +@$(MAKE) --no-print-directory B=$(B) test-programs && tests/run -b $(B) $(if $(T),-t '$(T)') $(if $(V),-v)
check: deps
	$(run_tests) $(SUITES)
$(SUITES:%=check-%): check-%: deps
	$(run_tests) $*
# All integration tests without newer system calls, group by group; OLD="ENOSYS:openat2 EPERM:clone3"
# picks some. See tests/integration/deny.c for the groups and for flags.
OLD = $(foreach g,old openat2 clone3 mount mount_setattr close_range pidfd,ENOSYS:$(g) EPERM:$(g))
check-old: deps
	+@$(MAKE) --no-print-directory B=$(B) test-programs
	@bad=; for w in $(OLD); do echo "# without $$w"; \
		tests/run -b $(B) $(if $(T),-t '$(T)') $(if $(V),-v) -w $$w integration || bad="$$bad $$w"; done; \
		[ -z "$$bad" ] || { echo "failed without:$$bad"; exit 1; }
check-engines:
	@tests/deps.sh engines
	$(run_tests) engines
check-vm: deps
	+@$(MAKE) --no-print-directory B=$(B) test-programs
	tests/vm/check -b $(B) $(if $(T),-t '$(T)')
# A target for each file, so that -j works. err.c defines what analyzer.h renames.
tidy := $(patsubst %.c,$(B)/%.tidy,$(or $(T),$(lib_c) $(cli_c) $(wildcard libocispec/*.c)))
check-tidy: $(tidy)
$(tidy): $(B)/%.tidy: %.c FORCE | $(gen_h)
	clang-tidy --quiet $< -- $(filter-out $(CC) -fstack% -g -O2 -U_F% -D_F%,$(compile)) \
		$(if $(filter %/err.c,$<),,-include tests/analyzer.h)
check-cppcheck: $(gen_h)
	cppcheck -q -j 2 --error-exitcode=1 --std=c11 --enable=warning,portability,performance --inline-suppr \
		--suppressions-list=tests/cppcheck.suppress -D_GNU_SOURCE --include=config.h -Isrc -Ilibocispec \
		-I$(B) src libocispec
fuzzers := $(patsubst %.c,%,$(wildcard tests/fuzz/fuzz_*.c))
SECONDS = 60
fuzz: deps
	+@$(MAKE) --no-print-directory CC=clang FUZZ=1 B=build-fuzz $(fuzzers:%=build-fuzz/%)
	@set -e; for f in $(notdir $(fuzzers)); do mkdir -p build-fuzz/corpus/$$f; \
		build-fuzz/tests/fuzz/$$f -max_total_time=$(SECONDS) -timeout=5 -artifact_prefix=build-fuzz/ \
			build-fuzz/corpus/$$f tests/fuzz/corpus/$${f#fuzz_}; done
format:
	clang-format -i $(shell git ls-files -co --exclude-standard '*.[ch]')
demo:
	@tests/deps.sh demo
	+@$(MAKE) --no-print-directory B=$(B) all
	@DAVIT=$(B)/davit contrib/demo.sh

# Both need root. The raw figures stay in the build directory.
bench_tools := $(patsubst tests/bench/%.c,$(B)/tests/%,$(wildcard tests/bench/*.c))
bench = tests/deps.sh bench && $(MAKE) --no-print-directory B=$(B) all && DAVIT=$(B)/davit $(if $(CC),CC='$(CC)') \
	python3 -B tests/bench
bench:
	+@$(bench)/bench.py $(if $(QUICK),--quick) $(foreach w,$(ONLY),--only $(w)) --tsv $(B)/bench.tsv
	@echo "# raw figures: $(B)/bench.tsv"
# For machines without a compiler: BENCH_TOOLS=build/tests tests/bench/density.py
bench-tools: all $(bench_tools)
bench-density:
	+@$(bench)/density.py $(if $(SMALL),--small) $(or $(N),200) --tsv $(B)/density.tsv
	@echo "# raw figures: $(B)/density.tsv"
