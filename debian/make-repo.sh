#!/bin/sh
# Put packages into a signed apt repository that any web server can serve:
#   make-repo.sh DIRECTORY URL KEY DEB...
# It has the packages in pool/, apt's indexes, airoxy.sources for a machine's
# /etc/apt/sources.list.d, an SBOM (CycloneDX) for each package, and checksums. Packages that are
# there already stay. KEY is what gpg knows the signing key by.
set -eu

directory=$1 url=$2 key=$3
shift 3
here=$(cd "$(dirname "$0")" && pwd)

for program in apt-ftparchive gpg dpkg-deb; do
    command -v $program >/dev/null || { echo "$program is missing: sudo apt install apt-utils gnupg" && exit 1; }
done >&2
if ! gpg --batch --list-secret-keys "$key" >/dev/null 2>&1; then
    echo "gpg has no secret key \"$key\". One for a repository is made so:"
    echo "  gpg --quick-generate-key 'airoxy packages <packages@example.org>' ed25519 sign never"
    exit 1
fi >&2

mkdir -p "$directory/pool"
for deb; do
    cp "$deb" "$directory/pool/"
    sbom=$(basename "$deb" .deb).cdx.json
    python3 "$here/sbom.py" "$deb" >"$directory/$sbom"
done

cd "$directory"
sums=$(mktemp)
rm -f InRelease Release Release.gpg SHA256SUMS SHA256SUMS.asc
apt-ftparchive packages pool >Packages
gzip -9nk --force Packages
apt-ftparchive -o APT::FTPArchive::Release::Origin=airoxy -o APT::FTPArchive::Release::Label=airoxy \
    -o APT::FTPArchive::Release::Architectures="all" release . >.Release
mv .Release Release
gpg --batch --yes --local-user "$key" --clearsign --output InRelease Release
gpg --batch --yes --local-user "$key" --armor --detach-sign --output Release.gpg Release
{
    printf 'Types: deb\nURIs: %s\nSuites: ./\nSigned-By:\n' "$url"
    gpg --batch --armor --export "$key" | sed 's/^$/./; s/^/ /'
} >airoxy.sources
find . -type f | sed 's|^\./||' | LC_ALL=C sort | xargs sha256sum >"$sums"
mv "$sums" SHA256SUMS
gpg --batch --yes --local-user "$key" --armor --detach-sign --output SHA256SUMS.asc SHA256SUMS
