# Programs that are not Sluice's (they link libllama and nothing of ours), what puts a load on them, and
# the tests over both.
in_hosts      = $(patsubst %,$(BUILD)/tests/hosts/%.o,$(1))
HOST_BATCHED := $(call in_hosts,batched host slot batch truth)
HOST_TRAFFIC := $(call in_hosts,traffic talk prompts processor)
HOST_HARNESS := $(HOST_TRAFFIC) $(call in_hosts,server command replay reader asked) $(BUILD)/tests/bench/pairs.o \
    $(E2E_HARNESS)
HOST_BINARIES := $(BUILD)/tests/hosts/batched $(BUILD)/tests/hosts/load
HOST_TESTS   := $(patsubst tests/hosts/%.c,$(BUILD)/tests/hosts/%,$(wildcard tests/hosts/test_*.c))
# Words in front of each host's command, as "build/sluice tap FILE --".
HOSTS_PREFIX ?=

.PHONY: hosts test-hosts
hosts: $(HOST_BINARIES) ## a program that links libllama, and a load for HTTP servers
$(HOST_BATCHED): EXTRA_CFLAGS += $(LLAMA_CFLAGS)
$(HOST_BATCHED): $(BUILD)/llama.flags
$(BUILD)/tests/hosts/batched: $(HOST_BATCHED) | $(BUILD)/lib/llama.copied
	$(CC) $(LDFLAGS) -o $@ $^ $(LLAMA_LIBS)
$(BUILD)/tests/hosts/load: $(BUILD)/tests/hosts/load.o $(HOST_TRAFFIC) $(BUILD)/libbase.a
	$(CC) $(LDFLAGS) -o $@ $^ $(LIBRARIES)

uses_hosts   := $(uses_sink)
$(HOST_TESTS): $(BUILD)/tests/hosts/test_%: $(BUILD)/tests/hosts/test_%.o $(HOST_HARNESS) $(call libraries,$(uses_hosts))
	$(CC) $(LDFLAGS) -o $@ $< $(HOST_HARNESS) $(call links,$(uses_hosts)) -lcmocka $(LIBRARIES)
$(HOST_TESTS): | $(HOST_BINARIES)

test-hosts: deps model ## tests over llama_cpp.server and llama-server as they are (5 minutes to set up, once)
	@$(REMAKE) -s all $(HOST_TESTS)
	@BUILD=$(BUILD) SLUICE_HOSTS_PREFIX='$(HOSTS_PREFIX)' scripts/hosts.sh scripts/run_tests.sh $(HOST_TESTS)
