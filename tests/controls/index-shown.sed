# file: cli/features.c
# test: e2e/test_inspect nothing_of_a_corpus_runs
# A token of a corpus is no control sequence on a terminal.
s/shown_text\(text, bytes, out, FEATURES_TEXT_BYTES\)/snprintf(out, FEATURES_TEXT_BYTES, "%.*s", (int)bytes, text)/
