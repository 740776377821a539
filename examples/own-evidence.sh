#!/bin/sh
# One's own evidence, from nothing to a page: examples/own-evidence.sh EVIDENCE NEW_FOLDER [KNOWN_HASHES]
#
# On a real case the authority makes its key and signs on a machine of its own; here both stand in one folder, so that the
# steps can be tried. EVIDENCE is a folder or a raw disk image; it is opened read-only.
set -eu

evidence=$1 folder=$2 known=${3:-}
mkdir "$folder"
export CLEW_KEYS="$folder/keys"

clew key new authority
clew mandate draft --operation "Own evidence" --exhibit E-1 --days 30 --out "$folder/draft.json"
clew key sign mandate "$folder/draft.json" --key authority --out "$folder/mandate.json"

clew init "$folder/case" --operation "Own evidence" --force AT --authority authority
clew mandate add "$folder/case" "$folder/mandate.json"

status=0
clew intake "$folder/case" "$evidence" --label E-1 || status=$?
[ "$status" -eq 0 ] || [ "$status" -eq 3 ] || exit "$status"   # 3: done, but something could not be read; it is named

if [ -n "$known" ]; then
    clew hashset add "$folder/case" "$known" --name supplied --kind alert
    clew match "$folder/case"
fi
clew identify "$folder/case"

# Where the ledger stands, signed: keep it elsewhere, it shows a cut or rewritten ledger later
clew ledger checkpoint "$folder/case" --key authority --out "$folder/checkpoint.note"
clew verify "$folder/case" --checkpoint "$folder/checkpoint.note" --sender-key authority

echo "now look at it: clew review $folder/case"
exit "$status"
