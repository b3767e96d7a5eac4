#!/bin/sh
# Downloads an image as an OCI layout, and verifies every digest: pull.sh REPOSITORY-URL TAG FOLDER
set -eu
url=$1 tag=$2 folder=$3
blobs=$folder/blobs/sha256
type=application/vnd.oci.image.manifest.v1+json
mkdir -p "$blobs"

# curl retries after 429, 5xx, resets and bodies that are cut off, and waits for Retry-After.
get() {
    curl --fail --silent --show-error --retry $((${ATTEMPTS:-5} - 1)) --retry-all-errors \
        --header "Accept: $type" --output "$2" "$1"
}

digest_of() {
    sha256sum "$1" | cut -d ' ' -f 1
}

get "$url/manifests/$tag" "$folder/manifest"
digests=$(grep -o 'sha256:[0-9a-f]*' "$folder/manifest" | sort -u)
for digest in $digests; do
    hex=${digest#sha256:}
    get "$url/blobs/$digest" "$folder/part"
    if [ "$(digest_of "$folder/part")" != "$hex" ]; then
        rm "$folder/part"
        echo "$digest: wrong bytes" >&2
        exit 1
    fi
    mv "$folder/part" "$blobs/$hex"
done

hex=$(digest_of "$folder/manifest")
size=$(($(wc -c < "$folder/manifest")))
mv "$folder/manifest" "$blobs/$hex"
echo '{"imageLayoutVersion": "1.0.0"}' > "$folder/oci-layout"
cat > "$folder/index.json" <<EOF
{"schemaVersion": 2, "manifests": [{"mediaType": "$type", "digest": "sha256:$hex", "size": $size}]}
EOF
