# The end-to-end tests share harness.c and run the five programs; some run variants of a program
# with one protection taken out, made here and nowhere else.
E2E_HARNESS := $(BUILD)/tests/e2e/harness.o $(BUILD)/tests/e2e/fetch.o
E2E_ATTACK  := $(BUILD)/tests/e2e/attack.o
E2E_BROWSER := $(BUILD)/tests/e2e/browser.o
E2E_UNSAFE  := $(BUILD)/tests/e2e/sluice-sink-unsafe
E2E_DYING   := $(BUILD)/tests/e2e/sluice-trainer-dying

$(E2E): private EXTRA_LDFLAGS += $(E2E_HARNESS)
$(E2E): $(E2E_HARNESS) $(BINARIES)
$(BUILD)/tests/e2e/test_flood: private EXTRA_LDFLAGS += $(E2E_ATTACK)
$(BUILD)/tests/e2e/test_flood: $(E2E_ATTACK)
$(addprefix $(BUILD)/tests/e2e/,test_browse test_dashboard): private EXTRA_LDFLAGS += $(E2E_BROWSER)
$(addprefix $(BUILD)/tests/e2e/,test_browse test_dashboard): $(E2E_BROWSER)
$(BUILD)/tests/e2e/test_storm: $(E2E_UNSAFE) $(E2E_DYING)

# A sink that frees slabs which no checkpoint covers, and notices nothing.
$(E2E_UNSAFE): $(BUILD)/tests/e2e/unsafe_sink.o $(BUILD)/sink/main.o $(call libraries,$(uses_sink))
	$(CC) $(LDFLAGS) -Wl,--wrap=coverage_freeable -Wl,--wrap=coverage_rewind -o $@ \
	    $(BUILD)/tests/e2e/unsafe_sink.o $(BUILD)/sink/main.o $(call links,$(uses_sink)) $(LIBRARIES)

# A trainer that is killed amid a checkpoint.
$(E2E_DYING): $(BUILD)/tests/e2e/dying_trainer.o $(BUILD)/trainer/main.o $(call libraries,$(uses_trainer))
	$(CC) $(LDFLAGS) -Wl,--wrap=checkpoint_commit -o $@ $(BUILD)/tests/e2e/dying_trainer.o \
	    $(BUILD)/trainer/main.o $(call links,$(uses_trainer)) $(LIBRARIES)

# Programs that the tap is tried on, and a libllama that it does not know.
TAP_HOSTS := $(addprefix $(BUILD)/tests/e2e/,tap_host tap_host_late tap_host_loads tap_host_part.so \
    tap_old_library.so)
$(TAP_HOSTS): $(BUILD)/llama.flags
$(addprefix $(BUILD)/tests/e2e/,test_tap test_tap_control): $(TAP_HOSTS) $(LIBRARIES_OF_OURS)
$(BUILD)/tests/e2e/test_tap_steer $(BUILD)/tests/e2e/test_tap_exclude: $(BUILD)/tests/hosts/batched $(LIBRARIES_OF_OURS)
$(BUILD)/tests/e2e/tap_host: tests/e2e/tap_host.c tests/e2e/tap_host.h $(BUILD)/flags
	$(CC) $(CFLAGS) $(LDFLAGS) $(LLAMA_CFLAGS) -o $@ $< $(LLAMA_LIBS) -ldl
$(BUILD)/tests/e2e/tap_host_late: tests/e2e/tap_host.c tests/e2e/tap_host.h $(BUILD)/flags
	$(CC) $(CFLAGS) $(LDFLAGS) $(LLAMA_CFLAGS) -DTAP_HOST_LATE -o $@ $< -ldl
$(BUILD)/tests/e2e/tap_host_loads: tests/e2e/tap_host_loads.c $(BUILD)/flags
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $< -ldl
$(BUILD)/tests/e2e/tap_host_part.so: tests/e2e/tap_host.c tests/e2e/tap_host.h $(BUILD)/flags
	$(CC) $(CFLAGS) $(LDFLAGS) $(LLAMA_CFLAGS) -DTAP_HOST_PART -fPIC -shared -o $@ $< $(LLAMA_LIBS) -ldl
$(BUILD)/tests/e2e/tap_old_library.so: tests/e2e/tap_old_library.c $(BUILD)/flags
	$(CC) $(CFLAGS) $(LDFLAGS) $(LLAMA_CFLAGS) -fPIC -shared -o $@ $< -Wl,--no-as-needed $(LLAMA_LIBS) -ldl
