# Sluice: build, test, run. `make help` lists what there is to ask for.
SHELL := /bin/bash
.DEFAULT_GOAL := all
.DELETE_ON_ERROR:

VERSION := 0.1.0
PREFIX  ?= /usr/local
DESTDIR ?=
# make's own default is cc, which says nothing of the compiler.
ifeq ($(origin CC),default)
CC := gcc
endif
OPT     ?= -O2
# Sanitizers and fuzzers name functions and lines: less (-g1) compiles in two thirds of the time.
SYMBOLS := -g
BUILD   ?= build

include scripts/layers.mk
# What a room's tests and binary link: itself, and what it may include, with all that this needs. Of a
# room of which it may include single headers, the files that those need are linked, and no more.
room_of    = $(firstword $(subst /, ,$(1)))
unique     = $(if $(1),$(firstword $(1)) $(call unique,$(filter-out $(firstword $(1)),$(1))))
$(foreach r,$(rooms),$(eval uses_$(r) := $(call unique,$(r) $(foreach m,$(may_$(r)),\
    $(call room_of,$(m)) $(if $(filter $(rooms),$(m)),$(uses_$(m)))))))
uses_e2e   := $(rooms)
uses_bench := $(rooms)
uses_fuzz  := $(rooms)

WARN   := -Wall -Wextra -Wshadow -Wpointer-arith -Wstrict-prototypes -Wmissing-prototypes \
          -Wvla -Wformat=2 -Wno-format-nonliteral -Werror
SAN    ?=
CFLAGS  = -std=c11 -D_GNU_SOURCE -I. -I$(BUILD)/gen $(OPT) $(SYMBOLS) $(WARN) -fno-omit-frame-pointer \
          -ffp-contract=off -DSLUICE_VERSION='"$(VERSION)"' $(SAN) $(EXTRA_CFLAGS)
LDFLAGS = $(SAN) $(EXTRA_LDFLAGS)

LIBRARIES   = $(shell pkg-config --libs libzmq libuv libmicrohttpd jansson yaml-0.1 liblz4 \
                libxxhash lmdb zlib libzstd liblzma libzip libprotobuf-c libisal ncursesw 2>/dev/null) -lbz2 -lm -lpthread -ldl
# llama.cpp: only engine/llama*.c includes it; scripts/llama.sh says where it is (or nothing).
LLAMA_CFLAGS = $(shell scripts/llama.sh --cflags 2>/dev/null)
LLAMA_LIBS   = $(shell scripts/llama.sh --libs 2>/dev/null)

# Which files of the tap are in no archive: they bear names of libllama's, ggml's and the loader's.
apart    := $(wildcard tap/calls*.c) tap/shape.c tap/preloaded.c tap/audit.c
sources   = $(filter-out $(1)/main.c $(apart),$(wildcard $(1)/*.c $(1)/*/*.c))
# A message of protobuf is compiled into build/gen.
messages  = $(patsubst %.proto,$(BUILD)/gen/%.pb-c.o,$(wildcard $(1)/*.proto))
objects   = $(patsubst %.c,$(BUILD)/%.o,$(call sources,$(1))) $(call messages,$(1))
libraries = $(foreach l,$(1),$(BUILD)/lib$(l).a)
links     = -Wl,--start-group $(call libraries,$(1)) -Wl,--end-group

BINARIES := $(foreach p,$(processes),$(BUILD)/sluice-$(p)) $(BUILD)/sluice
tests_of  = $(patsubst tests/unit/$(1)/%.c,$(BUILD)/tests/$(1)/%,$(wildcard tests/unit/$(1)/test_*.c))
TESTS     = $(foreach r,$(rooms),$(call tests_of,$(r)))
E2E       = $(patsubst tests/e2e/%.c,$(BUILD)/tests/e2e/%,$(wildcard tests/e2e/test_*.c))
BENCHES   = $(patsubst tests/bench/%.c,$(BUILD)/tests/bench/%,$(wildcard tests/bench/bench_*.c))

.PHONY: all help check unit FORCE
LIBRARIES_OF_OURS := $(BUILD)/libsluice.so.1 $(BUILD)/libsluice-tap.so $(BUILD)/libsluice-audit.so
all: $(BINARIES) $(LIBRARIES_OF_OURS) ## build the five programs and the libraries for others into build/

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 16

# keep FILE TEXT: a file of that text, touched only where it was another.
keep = mkdir -p $(dir $(1)) && echo '$(2)' | cmp -s - $(1) || echo '$(2)' >$(1)
# What was compiled or linked with other flags is made again; an archive, too, where a source came or
# went.
FLAGS := $(CC) $(CFLAGS) $(LDFLAGS)
$(BUILD)/flags: FORCE
	@$(call keep,$@,$(FLAGS))

define library_rule
$(BUILD)/lib$(1).sources: FORCE
	@$$(call keep,$$@,$(call sources,$(1)))
$(BUILD)/lib$(1).a: $(BUILD)/lib$(1).sources $(call objects,$(1))
	@rm -f $$@ && $(AR) rcs $$@ $$(filter %.o,$$^)
endef
$(foreach l,$(rooms),$(eval $(call library_rule,$(l))))

# Conversions and bit planes are loops that gcc 12 only vectorizes at -O3 (docs/SPEED.md).
$(BUILD)/proto/%.o $(BUILD)/client/%.o $(BUILD)/pic/client/%.o: CFLAGS += $(if $(filter -O2,$(OPT)),-O3)
$(BUILD)/engine/llama%.o: EXTRA_CFLAGS += $(LLAMA_CFLAGS)
$(BUILD)/%.o: %.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -MMD -MP -c $< -o $@

$(BUILD)/gen/%.pb-c.c $(BUILD)/gen/%.pb-c.h &: %.proto
	@mkdir -p $(BUILD)/gen
	protoc-c --c_out=$(BUILD)/gen $<
$(BUILD)/gen/%.o: $(BUILD)/gen/%.c $(BUILD)/flags
	$(CC) $(CFLAGS) -MMD -MP -c $< -o $@
$(BUILD)/trainer/events.o: $(BUILD)/gen/trainer/event.pb-c.h

# Libraries for programs that are not ours: they show what is meant for others alone.
# Of the rooms below they take the files that they need, and no more.
pic_objects = $(patsubst %.c,$(BUILD)/pic/%.o,$(foreach r,$(1),$(call sources,$(r))))
$(BUILD)/pic/%.o: %.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -fPIC -ffunction-sections -fdata-sections -MMD -MP -c $< -o $@
$(BUILD)/pic/lib%.a: $(BUILD)/flags
	@rm -f $@ && $(AR) rcs $@ $(filter %.o,$^)
$(BUILD)/pic/libbelow.a: $(call pic_objects,base proto)
$(BUILD)/libsluice.so.1: $(call pic_objects,client) $(BUILD)/pic/libbelow.a client/sluice.map
	$(CC) $(LDFLAGS) -shared -Wl,-soname,libsluice.so.1 -Wl,-z,defs -Wl,--gc-sections \
	    -Wl,--version-script=client/sluice.map -o $@ $(filter %.o %.a,$^) -lm
	ln -sf libsluice.so.1 $(BUILD)/libsluice.so

# The tap, for LD_PRELOAD: libsluice and what it needs are inside, unseen. Of libllama it links nothing.
tap_objects = $(patsubst %.c,$(BUILD)/pic/%.o,$(call sources,tap) \
    $(filter-out tap/audit.c,$(apart)) engine/llama_asked.c engine/llama_block.c engine/llama_hooks.c \
    engine/llama_lookup.c \
    $(foreach r,client proto base,$(call sources,$(r))))
# Exceptions of the program's callbacks pass through it.
$(BUILD)/pic/tap/%.o: CFLAGS += $(LLAMA_CFLAGS) -fexceptions
$(BUILD)/pic/engine/llama%.o: CFLAGS += $(LLAMA_CFLAGS)
$(BUILD)/tap/%.o: EXTRA_CFLAGS += $(LLAMA_CFLAGS)
$(BUILD)/libsluice-tap.so: $(tap_objects) tap/tap.map
	$(CC) $(LDFLAGS) -shared -Wl,-soname,libsluice-tap.so -Wl,-z,defs -Wl,--gc-sections \
	    -Wl,-Bsymbolic -Wl,--hash-style=both -Wl,--version-script=tap/tap.map -o $@ $(tap_objects) \
	    -Wl,--as-needed -lm -lpthread -ldl
# Its other half, for LD_AUDIT: no library at all, no libc.
$(BUILD)/libsluice-audit.so: tap/audit.c $(BUILD)/flags
	$(CC) $(filter-out $(SAN),$(CFLAGS)) -fPIC -ffreestanding -fno-tree-loop-distribute-patterns \
	    -fno-stack-protector -MMD -MP -nostdlib -shared -Wl,-soname,libsluice-audit.so -Wl,-z,defs \
	    -Wl,--version-script=tap/audit.map -o $@ $<

# The pages that programs carry along, and what draws the charts of one (libjs-dygraphs).
DYGRAPHS ?= /usr/share/javascript/dygraphs
$(BUILD)/browse/page.o: $(wildcard browse/page/*)
$(BUILD)/broker/page.o: EXTRA_CFLAGS += -DDYGRAPHS='"$(DYGRAPHS)"'
$(BUILD)/broker/page.o: $(wildcard broker/page/*) $(DYGRAPHS)/dygraph.js $(DYGRAPHS)/dygraph.css
$(DYGRAPHS)/%:
	@echo "$@ is missing; HINT: run 'make deps', or say where it is: make DYGRAPHS=FOLDER" >&2; false

# The engine library needs llama.cpp wherever it is linked.
needs_llama = $(if $(filter engine,$(uses_$(1))),$(LLAMA_LIBS))

$(BINARIES): $(BUILD)/flags
$(BUILD)/sluice: $(BUILD)/cli/main.o $(call libraries,$(uses_cli))
	$(CC) $(LDFLAGS) -o $@ $< $(call links,$(uses_cli)) $(call needs_llama,cli) $(LIBRARIES)
define process_rule
$(BUILD)/sluice-$(1): $(BUILD)/$(1)/main.o $(call libraries,$(uses_$(1)))
	$(CC) $$(LDFLAGS) -o $$@ $$< $(call links,$(uses_$(1))) $$(call needs_llama,$(1)) $$(LIBRARIES)
endef
$(foreach p,$(processes),$(eval $(call process_rule,$(p))))

define test_rule
$(BUILD)/tests/$(1)/%: tests/$(2)/%.c $(BUILD)/flags $(call libraries,$(uses_$(1)))
	@mkdir -p $$(@D)
	$(CC) $$(CFLAGS) -MMD -MP $$(LDFLAGS) -o $$@ $$< $(call links,$(uses_$(1))) \
	    $$(call needs_llama,$(1)) -lcmocka $$(LIBRARIES)
endef
$(foreach d,$(rooms),$(eval $(call test_rule,$(d),unit/$(d))))
# Tests make models with llama.cpp's own writer (tests/tiny_models.h).
$(BUILD)/tests/engine/% $(BUILD)/tests/inspect/% $(BUILD)/tests/tap/% $(BUILD)/tests/e2e/%: EXTRA_CFLAGS += $(LLAMA_CFLAGS)
$(eval $(call test_rule,e2e,e2e))
$(eval $(call test_rule,bench,bench))
# sae/cpu/blas.c loads OpenBLAS when it is needed; some benches call it themselves.
$(BENCHES): private LIBRARIES += $(shell pkg-config --libs openblas 2>/dev/null)

check: ## one test: make check T=sink/test_desk, T=e2e/test_flow, T=setup/test_man
	@BUILD=$(BUILD) MAKE='$(MAKE)' scripts/check.sh '$(T)' '$(F)'

unit: $(TESTS) ## build and run the unit tests
	@for t in $(TESTS); do echo "== $$t"; $$t || exit 1; done

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
-include scripts/setup.mk
-include tests/e2e/rules.mk
-include tests/hosts/rules.mk
-include tests/bench/rules.mk
