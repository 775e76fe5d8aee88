#!/bin/bash
# Builds OCI images of the control plane, the agent and the CLI from the Debian packages.
#
#   deploy/build_images.sh [--packages DIR] [--image NAME] [OUT]
#
# Into OUT, by default images/ in this repository, an archive each for `podman load --input`; with --image one of them: sallyport,
# sallyport-agent, sallyport-controlplane. The packages are taken from DIR (default packages/; deploy/build_packages.sh makes them).
# An image has what its package has, and of the packages that it needs what programs need: libraries from this machine's own
# installed packages, unchanged, and root certificates. It has no shell. Nothing is fetched. Needs root and podman, and Debian 12
# as the packages do. How the images are run: docs/containers.md.
set -euo pipefail
umask 022

REPOSITORY=$(cd "$(dirname "$0")/.." && pwd)
readonly REPOSITORY
readonly IMAGES=(sallyport sallyport-agent sallyport-controlplane)
declare -Ar ENTRYPOINTS=(
  [sallyport]='["/usr/bin/sallyport"]'
  # The keeper: an agent that crashes, or is replaced (SIGHUP), leaves its containers to the next one.
  [sallyport-agent]='["/usr/sbin/sallyport-agent", "--keeper"]'
  [sallyport-controlplane]='["/usr/sbin/sallyportd"]'
)
# Of the control plane alone: the CLI asks sockets that are root's, and the agent is root.
declare -Ar USERS=([sallyport]=0 [sallyport-agent]=0 [sallyport-controlplane]=sallyport)
# For a package's scripts, which do not run here: its user is in make_root.
readonly NOT_NEEDED='adduser|ca-certificates|debconf|debconf-2.0'

main() {
  local out=$REPOSITORY/images packages=$REPOSITORY/packages wanted=("${IMAGES[@]}")
  while (($# > 0)); do
    case $1 in
      --packages) packages=${2:?--packages needs a folder}; shift ;;
      --image) wanted=("${2:?--image needs a name}"); shift ;;
      -h | --help) sed -n '2,11s/^# \{0,1\}//p' "$0"; exit 0 ;;
      -*) die "unknown option '$1'; try --help" ;;
      *) out=$1 ;;
    esac
    shift
  done
  mkdir -p "$out"
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  local image
  for image in "${wanted[@]}"; do
    [[ -v ENTRYPOINTS[$image] ]] || die "there is no image $image; there are ${IMAGES[*]}"
    build "$image" "$(package_file "$packages" "$image")" "$out"
  done
}

die() {
  echo "build_images.sh: error: $*" >&2
  exit 1
}

# With a version in its name, or without.
package_file() {
  local found
  found=$(find "$1" -maxdepth 1 \( -name "$2.deb" -o -name "$2_*.deb" \) 2> /dev/null | sort -V | tail -n 1)
  [[ -n $found ]] || die "there is no package $2 in $1; build it by deploy/build_packages.sh"
  echo "$found"
}

build() {
  local image=$1 package=$2 out=$3 version root=$work/$1
  version=$(dpkg-deb --field "$package" Version)
  make_root "$root"
  add_libraries "$root" "$package"
  dpkg-deb --fsys-tarfile "$package" | tar -x --keep-directory-symlink -C "$root"
  add_roots "$root"
  tar --sort=name --owner=0 --group=0 --numeric-owner --mtime="@${SOURCE_DATE_EPOCH:-0}" -C "$root" -cf "$root.tar" .
  rm -rf "$root"
  podman_here import --quiet --change "ENTRYPOINT ${ENTRYPOINTS[$image]}" --change "USER ${USERS[$image]}" \
    --change "LABEL org.opencontainers.image.version=$version" --change "LABEL org.opencontainers.image.title=$image" \
    "$root.tar" "localhost/$image:$version" > /dev/null
  rm -f "$root.tar" "$out/$image.tar"
  podman_here save --quiet --format oci-archive --output "$out/$image.tar" "localhost/$image:$version" > /dev/null
  echo "build_images.sh: $out/$image.tar"
}

# With storage of its own, so that nothing is left in the operator's.
podman_here() { podman --root "$work/storage" --runroot "$work/run" --tmpdir "$work/tmp" --storage-driver vfs "$@"; }

# Debian's layout, the users, and the folders that programs expect.
make_root() {
  local folder
  for folder in bin sbin lib lib64; do
    mkdir -p "$1/usr/$folder"
    ln -s "usr/$folder" "$1/$folder"
  done
  mkdir -p "$1"/{dev,etc,proc,root,run,sys,var/lib}
  install -d -m 1777 "$1/tmp"
  printf '%s\n' 'root:x:0:0:root:/root:/usr/sbin/nologin' 'sallyport:x:900:900::/nonexistent:/usr/sbin/nologin' \
    'sallyport-proxy:x:901:901::/nonexistent:/usr/sbin/nologin' > "$1/etc/passwd"
  printf '%s\n' 'root:x:0:' 'sallyport:x:900:' 'sallyport-proxy:x:901:' > "$1/etc/group"
  printf '%s\n' 'passwd: files' 'group: files' 'hosts: files dns' > "$1/etc/nsswitch.conf"
}

# Files of the packages that the package needs, and of those that these need, save what people read.
add_libraries() {
  local needed changed
  mapfile -t needed < <(closure "$(dpkg-deb --field "$2" Depends)")
  changed=$(dpkg --verify "${needed[@]}" | grep -E ' /(usr/)?lib' || true)
  [[ -z $changed ]] || die "installed libraries are not those of their packages any more: $changed"
  dpkg-query --listfiles "${needed[@]}" | grep -E '^/((usr/)?lib(64)?/.*|usr/share/doc/[^/]*/copyright)$' | grep -v /gconv/ |
    sed 's,^/,,' | sort -u > "$work/files"
  tar -c -C / --no-recursion --files-from "$work/files" | tar -x --keep-directory-symlink -C "$1"
}

# Names of the packages below a Depends, each once: the first of alternatives that is installed.
closure() {
  local -A depends=() seen=()
  local name needs queue=("$1")
  while IFS=$'\t' read -r name needs; do depends[$name]=$needs; done < <(
    dpkg-query --show --showformat '${db:Status-Abbrev}\t${Package}\t${Depends}, ${Pre-Depends}\n' | sed -n 's/^ii \t//p')
  while ((${#queue[@]} > 0)); do
    needs=${queue[0]}
    queue=("${queue[@]:1}")
    for name in $(names "$needs"); do
      [[ ! -v seen[$name] ]] || continue
      seen[$name]=1
      echo "$name"
      queue+=("${depends[$name]}")
    done
  done
}

# The packages of a Depends. REQUIRES: `depends` of closure.
names() {
  local entry alternative entries alternatives
  IFS=, read -ra entries <<< "$1"
  for entry in "${entries[@]}"; do
    IFS='|' read -ra alternatives <<< "$entry"
    for alternative in "${alternatives[@]}"; do
      alternative=${alternative%%(*}
      alternative=${alternative%%:*}
      alternative=${alternative// /}
      if [[ $alternative =~ ^($NOT_NEEDED)$ ]]; then break; fi
      if [[ -n $alternative && -v depends[$alternative] ]]; then
        echo "$alternative"
        break
      fi
    done
  done
}

# What the package ca-certificates has, and not what this machine trusts beside.
add_roots() {
  mkdir -p "$1/etc/ssl/certs"
  cat /usr/share/ca-certificates/mozilla/*.crt > "$1/etc/ssl/certs/ca-certificates.crt"
}

main "$@"
