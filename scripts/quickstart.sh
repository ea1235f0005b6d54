#!/bin/bash
# Train an SAE, and look at it: quickstart.sh FILE INDEX_TOKENS EVAL_TOKENS. FILE's name is its stream's.
set -euo pipefail
cd "$(dirname "$0")/.."
file=$1 index_tokens=$2 eval_tokens=$3
sluice=${BUILD:-build}/sluice
run=${XDG_STATE_HOME:-$HOME/.local/state}/sluice/$(basename "$file" .yaml)
begun=$SECONDS

step() { printf '\n== %s\n\n$ sluice %s\n' "$1" "${*:2}" && "$sluice" "${@:2}"; }

step "1 of 4: train it while the model runs" up "$file"
step "2 of 4: where does each feature fire?" inspect "$file" "$run/index" --tokens "$index_tokens"
step "3 of 4: how true is it to the model?" eval "$file" --tokens "$eval_tokens" --brief
step "4 of 4: five features worth a first look" features best "$run/index"

# The first of the five, for the commands that follow; any will do where there is none.
best=$("$sluice" features best "$run/index" --top 1 --json)
first=$(grep -m 1 -oE '"feature": [0-9]+' <<<"$best" | grep -oE '[0-9]+$' || echo 0)
cat <<END

All of it took $(((SECONDS - begun) / 60)) minutes $(((SECONDS - begun) % 60)) seconds. Go on with

  # the features in your browser
  $sluice browse $run/index $file
  # one of them in the terminal
  $sluice features show $run/index $first
  # what fires in a text of yours
  $sluice trace $file --prompt "The river was wide, and nobody knew how to cross it."
  # a model in which one is turned up
  $sluice steer $file --index $run/index --features $first=2x --prompt "I think that"
END
