# The tree is the layer diagram. Lowest first; may_ROOM: what a room may include, other rooms or single
# headers of them. The Makefile links by this table, scripts/check_layers.sh holds the code to it.
rooms     := base proto client sae config runtime buffer engine tap wiring inspect browse capture broker sink trainer cli
# Each is a program, sluice-NAME, beside sluice itself (cli).
processes := capture broker sink trainer

may_base    :=
may_proto   := base
# libsluice, in programs that are not ours.
may_client  := proto base
may_sae     := base
may_config  := sae/options.h proto base
may_runtime := config proto base
may_buffer  := proto base
may_engine  := proto base
# In front of libllama, inside programs that are not ours.
may_tap     := engine/llama_asked.h engine/llama_block.h engine/llama_hooks.h engine/llama_lookup.h client proto base
# Where configuration becomes objects; broker and sink know no file of it that needs an engine.
may_wiring  := sae/options.h sae/export/export.h engine runtime config proto base
# Engine and SAE together.
may_inspect := wiring sae engine buffer config proto base
# An index in a web browser.
may_browse  := inspect runtime config proto base
may_capture := wiring engine runtime config proto base
may_broker  := wiring/bounds.h wiring/link.h wiring/processes.h runtime config proto base
may_sink    := wiring/link.h wiring/processes.h buffer runtime config proto base
may_trainer := wiring/changes.h wiring/link.h wiring/plan.h wiring/processes.h wiring/provenance.h wiring/sections.h wiring/view.h sae buffer runtime config proto base
may_cli     := browse inspect wiring sae engine buffer runtime config proto base

# Inside a room: files whose paths begin so never include headers that begin so. What computes knows no
# file of what leaves, and options no file of what trains.
never         := sae/cpu/ sae/arch/ sae/options.
never_sae/cpu/     := sae/export/ sae/import/ sae/checkpoint.h sae/saved.h sae/state.h sae/model.h
never_sae/arch/    := sae/export/ sae/import/ sae/model.h
never_sae/options. := sae/arch/ sae/cpu/ sae/export/ sae/import/ sae/sae.h sae/encoder.h sae/tensors.h
