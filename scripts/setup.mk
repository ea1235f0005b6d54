# Set-up, tests, checks and installation. What each target does is in scripts/; the Makefile proper
# says how programs and tests are built.
.PHONY: deps model install uninstall test test-run asan tsan tsan-all tsan-run fuzz fuzz-run \
        format format-check check-layers lint quickstart test-interop interop-programs clean \
        test-faults-controls

FUZZ_SECONDS ?= 10
SETUP_TESTS   = $(wildcard tests/setup/test_*.sh)
INTEROP       = $(patsubst tests/interop/%.c,$(BUILD)/tests/interop/%,$(wildcard tests/interop/*.c))
FUZZERS       = $(patsubst tests/fuzz/%.c,$(BUILD)/fuzz/%,$(wildcard tests/fuzz/fuzz_*.c))
C_FILES       = $(shell git ls-files '*.c' '*.h')
# Makes that a target runs say what they do, not where they are, and build on every processor unless
# they were told on how many.
REMAKE        = $(MAKE) --no-print-directory $(if $(filter -j%,$(MAKEFLAGS)),,-j$(shell nproc))

deps: ## install Debian's packages and build llama.cpp into the cache (root or sudo)
	@scripts/deps.sh

model: ## put SmolLM2 and a text corpus into the cache
	@scripts/model.sh

quickstart: deps model ## set up, build, and train an SAE on a real model, and look at it (5 to 20 minutes)
	@$(REMAKE) -s all
	@BUILD=$(BUILD) scripts/quickstart.sh configs/quickstart.yaml 40000 2048

test: deps model ## set up, build, and run all tests but those that need Python's peers
	@$(REMAKE) -s test-run

# The longest begin first, so that none is left over at the end with a processor idle beside it.
LONGEST  = e2e/test_storm e2e/test_prometheus engine/test_llama e2e/test_row_identity engine/test_prepare
in_order = $(filter $(LONGEST:%=$(BUILD)/tests/%),$(1)) $(filter-out $(LONGEST:%=$(BUILD)/tests/%),$(1))

test-run: all $(TESTS) $(E2E) $(BENCHES)
	@BUILD=$(BUILD) scripts/run_tests.sh $(call in_order,$(E2E) $(SETUP_TESTS) $(TESTS))

UNIT_RUN = $(filter-out $(LEFT_OUT:%=$(BUILD)/tests/%),$(TESTS))
unit-run: $(UNIT_RUN)
	@BUILD=$(BUILD) scripts/run_tests.sh $(call in_order,$(UNIT_RUN))

# Left to asan-all: test_llama, test_proof and test_prepare run real and tiny models for minutes, of whose
# code nothing is instrumented; what is ours in them runs in test_points, test_models, test_player and
# test_llama_corpus as well. test_training and test_gradients compute for
# minutes what test_clt and test_parts do, too.
ASAN_LONG = engine/test_llama engine/test_proof engine/test_prepare sae/test_training sae/test_gradients
ASAN_MAKE = $(REMAKE) -s BUILD=build-asan OPT=-O1 SYMBOLS=-g1 \
    SAN='-fsanitize=address,undefined -fno-sanitize-recover=undefined'

asan: ## unit tests with AddressSanitizer and UBSan
	@$(ASAN_MAKE) unit-run LEFT_OUT='$(ASAN_LONG)'
asan-all: ## the same with those that take minutes
	@$(ASAN_MAKE) unit-run

# Unit tests that start threads of ours, and HTTP; the others have one thread, and there is no race to
# see. Of sae those that compute for minutes here are left to tsan-all: clt, gradients, screen, target,
# training, weights. llama.cpp's threads (engine) are libgomp's, whose barriers ThreadSanitizer cannot
# see; the thread that tries a model is ours (llama_faults). The storm runs those of capture and trainer.
TSAN_TESTS = base/test_limits client/test_client engine/test_llama_faults runtime/test_http runtime/test_link \
    runtime/test_metrics runtime/test_process sae/test_checkpoint sae/test_encoder sae/test_import \
    sae/test_model sae/test_parts sae/test_selection sae/test_whiten tap/test_context
TSAN_STORM = a_buffer_that_is_always_full
TSAN_MAKE  = $(REMAKE) -s BUILD=build-tsan OPT=-O1 SYMBOLS=-g1 SAN=-fsanitize=thread

tsan: ## what has threads, and a storm of kills, with ThreadSanitizer
	@$(TSAN_MAKE) tsan-run
tsan-all: ## all unit tests, and the storm, with ThreadSanitizer (long)
	@$(TSAN_MAKE) tsan-run TSAN_TESTS='$(patsubst $(BUILD)/tests/%,%,$(TESTS))'

tsan-run: $(TSAN_TESTS:%=$(BUILD)/tests/%) $(BUILD)/tests/e2e/test_storm
	@BUILD=$(BUILD) scripts/run_tsan.sh $(BUILD)/tests/e2e/test_storm:$(TSAN_STORM) \
	    $(filter-out %/test_storm,$^)

test-faults-controls: ## without a protection its test must fail: all, or CONTROLS="buffer-full ..." (5 minutes)
	@MAKEFLAGS= BUILD=$(BUILD) scripts/controls.sh $(CONTROLS)

fuzz: ## each fuzzer for FUZZ_SECONDS (clang)
	@$(REMAKE) -s BUILD=build-fuzz OPT=-O1 SYMBOLS=-g1 CC=clang WARN= \
	    SAN='-fsanitize=address,undefined,fuzzer-no-link -fno-sanitize-recover=undefined' fuzz-run

fuzz-run: $(FUZZERS)
	@scripts/run_fuzzers.sh $(FUZZ_SECONDS) $(FUZZERS)

$(BUILD)/fuzz/fuzz_tap: EXTRA_CFLAGS += $(LLAMA_CFLAGS)
$(BUILD)/fuzz/%: tests/fuzz/%.c $(call libraries,$(uses_fuzz))
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -fsanitize=fuzzer -MMD -MP $(LDFLAGS) -o $@ $< $(call links,$(uses_fuzz)) \
	    $(LLAMA_LIBS) $(LIBRARIES)

test-interop: deps model ## tests against SAELens, sparsify and Hugging Face (5.6 GB of Python)
	@$(REMAKE) -s all interop-programs
	@BUILD=$(BUILD) scripts/interop.sh

uses_interop := engine sae proto base
$(eval $(call test_rule,interop,interop))
interop-programs: $(INTEROP)

format: ## format all C files
	@scripts/format.sh -i $(C_FILES)

format-check: ## fail where a C file is not formatted
	@scripts/format.sh --dry-run --Werror $(C_FILES)

check-layers: ## fail where a folder includes what the design does not allow
	@scripts/check_layers.sh

lint: check-layers ## check-layers, shell scripts, and nothing of this machine in a committed file
	@scripts/lint.sh

install: all ## install into DESTDIR and PREFIX (/usr/local)
	@scripts/install.sh install '$(BUILD)' '$(DESTDIR)' '$(PREFIX)'

uninstall: ## remove what install put there
	@scripts/install.sh uninstall '$(BUILD)' '$(DESTDIR)' '$(PREFIX)'

clean: ## remove all that was built here (the cache stays)
	rm -rf build build-asan build-tsan build-fuzz

# Headers and libraries of two versions of llama.cpp must never mix: what was compiled or linked
# with another one is made again. Without any, this says what to do.
$(BUILD)/llama.flags: FORCE
	@scripts/llama.sh --prefix >/dev/null
	@$(call keep,$@,$(LLAMA_CFLAGS) $(LLAMA_LIBS))
# Beside the programs, so that whoever can read the tree can run them.
$(BUILD)/lib/llama.copied: $(BUILD)/llama.flags
	@scripts/llama.sh --copy $(@D)
	@mkdir -p $(@D) && touch $@
# Whoever links the engine: what else is built needs no llama.cpp.
LLAMA_USERS = $(foreach r,$(rooms),$(if $(filter engine,$(uses_$(r))),$(call tests_of,$(r)))) \
    $(BUILD)/sluice $(BUILD)/sluice-capture $(E2E) $(BENCHES) $(INTEROP) $(FUZZERS)
$(patsubst %.c,$(BUILD)/%.o,$(wildcard engine/llama*.c tap/*.c)): $(BUILD)/llama.flags
$(filter $(BUILD)/pic/tap/% $(BUILD)/pic/engine/%,$(tap_objects)): $(BUILD)/llama.flags
$(LLAMA_USERS): $(BUILD)/llama.flags
$(LLAMA_USERS): | $(BUILD)/lib/llama.copied

.PHONY: bench bench-run bench-peers bench-programs
bench: deps model ## measure the figures of docs/SPEED.md and print them (20 minutes, quiet machine)
	@$(REMAKE) bench-run
bench-run: bench-programs
	BUILD=$(BUILD) scripts/bench.sh
bench-peers: deps model ## SAELens, sparsify and dictionary_learning beside Sluice: all (2.5 hours, 5.6 GB) or PARTS="speed-topk ..."
	@$(REMAKE) -s bench-programs
	@BUILD=$(BUILD) scripts/interop.sh peers $(PARTS)
bench-programs: all $(BENCHES) $(INTEROP) $(BUILD)/tests/e2e/test_dashboard
