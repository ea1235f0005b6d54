# Three benches share stream.c, which runs the real broker and sink; one has the end-to-end tests' harness.
BENCH_STREAMS := $(patsubst %,$(BUILD)/tests/bench/bench_%,stream transport flood)
$(BENCH_STREAMS): private EXTRA_LDFLAGS += $(BUILD)/tests/bench/stream.o
$(BENCH_STREAMS): $(BUILD)/tests/bench/stream.o
$(BUILD)/tests/bench/bench_flood: private EXTRA_LDFLAGS += $(E2E_ATTACK)
$(BUILD)/tests/bench/bench_flood: $(E2E_ATTACK)
$(BUILD)/tests/bench/bench_recovery: private EXTRA_LDFLAGS += $(E2E_HARNESS)
$(BUILD)/tests/bench/bench_recovery: $(E2E_HARNESS)
# Hosts that are not ours, as their tests run them (tests/hosts/rules.mk).
BENCH_TAP := $(HOST_HARNESS)
$(BUILD)/tests/bench/bench_tap: private EXTRA_CFLAGS += $(LLAMA_CFLAGS)
$(BUILD)/tests/bench/bench_tap: private EXTRA_LDFLAGS += $(BENCH_TAP) $(LLAMA_LIBS) -lcmocka
$(BUILD)/tests/bench/bench_tap: $(BENCH_TAP) | $(HOST_BINARIES)
