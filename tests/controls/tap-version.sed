# file: tap/library.c
# test: e2e/test_tap a_version_that_is_not_known_is_told
# A libllama that is not known is left alone.
s/if \(strncmp\(l->llama_version\(\), known.*/if (0) {/
