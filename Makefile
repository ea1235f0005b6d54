# Sluice: build, test, run. `make help` lists what there is to ask for.
SHELL := /bin/bash
.DEFAULT_GOAL := all
.DELETE_ON_ERROR:

VERSION := 0.1.0
PREFIX  ?= /usr/local
DESTDIR ?=
CC      ?= gcc
OPT     ?= -O2
BUILD   ?= build

# The tree is the layer diagram: what each folder's tests and binary link, lowest last.
LIBS        := base proto config runtime buffer engine sae wiring
PROCESSES   := capture broker sink trainer cli
uses_base    := base
uses_proto   := proto base
uses_config  := config sae proto base
uses_runtime := runtime config sae proto base
uses_buffer  := buffer proto base
uses_engine  := engine proto base
uses_sae     := sae base
uses_wiring  := wiring engine runtime config sae proto base
uses_capture := capture wiring engine runtime config sae proto base
uses_broker  := broker wiring runtime config sae proto base
uses_sink    := sink wiring buffer runtime config sae proto base
uses_trainer := trainer wiring buffer runtime config sae proto base
uses_cli     := cli wiring engine buffer runtime config sae proto base
uses_e2e     := capture broker sink trainer cli wiring engine buffer runtime config sae proto base
uses_bench   := $(uses_e2e)
uses_fuzz    := $(uses_e2e)

WARN   := -Wall -Wextra -Wshadow -Wpointer-arith -Wstrict-prototypes -Wmissing-prototypes \
          -Wvla -Wformat=2 -Wno-format-nonliteral -Werror
SAN    ?=
CFLAGS  = -std=c11 -D_GNU_SOURCE -I. -I$(BUILD)/gen $(OPT) -g $(WARN) -fno-omit-frame-pointer \
          -ffp-contract=off -DSLUICE_VERSION='"$(VERSION)"' $(SAN) $(EXTRA_CFLAGS)
LDFLAGS = $(SAN) $(EXTRA_LDFLAGS)

# Foreign libraries, by the folder that may include them.
pc_base    := jansson
pc_proto   := liblz4 libxxhash
pc_runtime := libzmq libuv libmicrohttpd jansson yaml-0.1
pc_buffer  := lmdb libxxhash
pc_engine  := jansson zlib libzstd liblzma libxxhash libzip
pc_sae     := openblas jansson libxxhash
LIBRARIES   = $(shell pkg-config --libs libzmq libuv libmicrohttpd jansson yaml-0.1 liblz4 \
                libxxhash lmdb zlib libzstd liblzma libzip 2>/dev/null) -lbz2 -lm -lpthread -ldl
# llama.cpp: only engine/llama*.c includes it; scripts/llama.sh says where it is (or nothing).
LLAMA_CFLAGS = $(shell scripts/llama.sh --cflags 2>/dev/null)
LLAMA_LIBS   = $(shell scripts/llama.sh --libs 2>/dev/null)

sources   = $(filter-out $(1)/main.c,$(wildcard $(1)/*.c $(1)/*/*.c))
objects   = $(patsubst %.c,$(BUILD)/%.o,$(call sources,$(1)))
libraries = $(foreach l,$(1),$(BUILD)/lib$(l).a)
links     = -Wl,--start-group $(call libraries,$(1)) -Wl,--end-group

BINARIES := $(foreach p,capture broker sink trainer,$(BUILD)/sluice-$(p)) $(BUILD)/sluice
TESTS     = $(foreach d,$(LIBS) $(PROCESSES),$(patsubst tests/unit/$(d)/%.c,$(BUILD)/tests/$(d)/%,$(wildcard tests/unit/$(d)/test_*.c)))
E2E       = $(patsubst tests/e2e/%.c,$(BUILD)/tests/e2e/%,$(wildcard tests/e2e/test_*.c))
BENCHES   = $(patsubst tests/bench/%.c,$(BUILD)/tests/bench/%,$(wildcard tests/bench/bench_*.c))

.PHONY: all help unit
all: $(BINARIES) ## build the five programs into build/

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 16

define library_rule
$(BUILD)/lib$(1).a: $(call objects,$(1))
	@mkdir -p $$(@D) && rm -f $$@ && $(AR) rcs $$@ $$^
endef
$(foreach l,$(LIBS) $(PROCESSES),$(eval $(call library_rule,$(l))))

# Conversions and bit planes are loops that gcc 12 only vectorizes at -O3 (docs/SPEED.md).
$(BUILD)/proto/%.o: CFLAGS += $(if $(filter -O2,$(OPT)),-O3)
$(BUILD)/engine/llama%.o: EXTRA_CFLAGS += $(LLAMA_CFLAGS)
$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -MMD -MP -c $< -o $@

# The engine library needs llama.cpp wherever it is linked.
needs_llama = $(if $(filter engine,$(uses_$(1))),$(LLAMA_LIBS))

$(BUILD)/sluice: $(BUILD)/cli/main.o $(call libraries,$(uses_cli))
	$(CC) $(LDFLAGS) -o $@ $< $(call links,$(uses_cli)) $(call needs_llama,cli) $(LIBRARIES)
define process_rule
$(BUILD)/sluice-$(1): $(BUILD)/$(1)/main.o $(call libraries,$(uses_$(1)))
	$(CC) $$(LDFLAGS) -o $$@ $$< $(call links,$(uses_$(1))) $$(call needs_llama,$(1)) $$(LIBRARIES)
endef
$(foreach p,capture broker sink trainer,$(eval $(call process_rule,$(p))))

define test_rule
$(BUILD)/tests/$(1)/%: tests/$(2)/%.c $(call libraries,$(uses_$(1)))
	@mkdir -p $$(@D)
	$(CC) $$(CFLAGS) -MMD -MP $$(LDFLAGS) -o $$@ $$< $(call links,$(uses_$(1))) \
	    $$(call needs_llama,$(1)) -lcmocka $$(LIBRARIES)
endef
$(foreach d,$(LIBS) $(PROCESSES),$(eval $(call test_rule,$(d),unit/$(d))))
# Tests make models with llama.cpp's own writer (tests/tiny_models.h).
$(BUILD)/tests/engine/% $(BUILD)/tests/e2e/%: EXTRA_CFLAGS += $(LLAMA_CFLAGS)
$(eval $(call test_rule,e2e,e2e))
$(eval $(call test_rule,bench,bench))
# sae/cpu/blas.c loads OpenBLAS when it is needed; some benches call it themselves.
$(BENCHES): private LIBRARIES += $(shell pkg-config --libs openblas 2>/dev/null)

unit: $(TESTS) ## build and run the unit tests
	@for t in $(TESTS); do echo "== $$t"; $$t || exit 1; done

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
-include scripts/setup.mk
-include tests/e2e/rules.mk
