#!/bin/bash
# scripts/corpus.py on a small root of our own, and what scripts/model.sh accepts.
# shellcheck source=tests/setup/check.sh
. "$(dirname "$0")/check.sh"
# shellcheck source=scripts/common.sh
. scripts/common.sh

root=$work/root
mkdir -p "$root/usr/share/games/fortunes" "$root/usr/share/perl/5.36.0/pod" "$root/usr/share/dictd"
python3 - "$root" <<'PYTHON'
import gzip, sys
root = sys.argv[1]
with open(root + "/usr/share/games/fortunes/wisdom", "w") as file:
    for i in range(200):
        file.write(f"Saying number {i}, of no great depth, but long enough to count.\n%\n")
with open(root + "/usr/share/perl/5.36.0/pod/perltest.pod", "w") as file:
    file.write("=encoding utf8\n\n=head1 NAME\n\nperltest - B<bold> C<< $a->{b} >> E<lt>tagE<gt> "
               "see L<the manual|perlop/\"Quotes\">X<hidden>\n\n    my $code = 1;\n\n"
               "=begin comment\n\nNot for readers.\n\n=end comment\n\n=cut\n")
with gzip.open(root + "/usr/share/dictd/gcide.dict.dz", "wt") as file:
    file.write("00-database-info\n   About the files.\n\n")
    for word in ("Larine", "Lark"):
        file.write(f"{word} \\{word[:2]}\"{word[2:]}\\ (l[a^]r\"[i^]n), a. [L. larinus. Cf. {{Gull}}.]\n"
                   "   Of or pertaining to the ({Larid[ae]}).\n   [1913 Webster]\n\n")
PYTHON
scripts/corpus.py "$root" >"$work/corpus.jsonl" 2>/dev/null

texts() { python3 -c 'import json,sys; [print(json.loads(l)["text"]) for l in open(sys.argv[1])]' "$1"; }
check pod_as_a_reader_sees_it says 'perltest - bold $a->{b} <tag> see the manual' texts "$work/corpus.jsonl"
check verbatim_text_stays says '    my $code = 1;' texts "$work/corpus.jsonl"
check comments_go fails_saying '' grep -c 'Not for readers' "$work/corpus.jsonl"
check dictionary_as_prose says 'Larine, a. [L. larinus. Cf. Gull.] Of or pertaining to the (Laridae).' \
    texts "$work/corpus.jsonl"
check sources_go fails_saying '' grep -c 'Webster\|About the files' "$work/corpus.jsonl"
check all_fortunes says 'Saying number 199' texts "$work/corpus.jsonl"

again() { PYTHONHASHSEED=$1 scripts/corpus.py "$root" 2>/dev/null | cmp - "$work/corpus.jsonl"; }
check the_same_bytes_again again 7
shuffled() {
    python3 - "$work/corpus.jsonl" <<'PYTHON'
import hashlib, json, sys
keys = [hashlib.sha256(json.loads(line)["text"].encode()).digest() for line in open(sys.argv[1])]
assert keys == sorted(set(keys)) and len(keys) > 5, len(keys)
PYTHON
}
check shuffled_and_nothing_twice shuffled

# Without a network: what is in the cache is enough, and what is not right there is not taken.
offline() { PIP_NO_INDEX=1 PIP_FIND_LINKS='' scripts/model.sh; }
check nothing_is_fetched_twice offline
false_model() {
    mkdir -p "$work/cache/sluice/models"
    echo GGUF >"$work/cache/sluice/models/smollm2.gguf"
    XDG_CACHE_HOME=$work/cache offline
}
check a_damaged_model_is_not_taken fails_saying "not what it should be" false_model
finish
