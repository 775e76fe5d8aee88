#!/bin/bash
# Builds Debian packages of the control plane, the agent and the CLI.
#
#   deploy/build_packages.sh [--programs DIR] [--package NAME] [OUT]
#
# Into OUT, by default packages/ in this repository; with --package one of them. With --programs the programs are taken from DIR, laid
# out as bazel-bin is, and not built. What is in a package is deploy/packages/NAME/files; the version is that of the programs
# (common/base/version.h). The same programs give the same packages, byte by byte, for one SOURCE_DATE_EPOCH
# (by default the commit's).
set -euo pipefail
umask 022

REPOSITORY=$(cd "$(dirname "$0")/.." && pwd)
readonly REPOSITORY
readonly SOURCES=$REPOSITORY/deploy/packages
readonly PACKAGES=(sallyport sallyport-agent sallyport-controlplane)
readonly TARGETS=(
  //cli:sallyport //agent:sallyport-agent //agent/attach:sallyport-oci-hook //agent/proxy:sallyport-proxy //controlplane:sallyportd
)

main() {
  local out=$REPOSITORY/packages wanted=("${PACKAGES[@]}")
  programs=
  while (($# > 0)); do
    case $1 in
      --programs) programs=${2:?--programs needs a folder}; shift ;;
      --package) wanted=("${2:?--package needs a name}"); shift ;;
      -h | --help) sed -n '2,10s/^# \{0,1\}//p' "$0"; exit 0 ;;
      -*) die "unknown option '$1'; try --help" ;;
      *) out=$1 ;;
    esac
    shift
  done
  if [[ -z $programs ]]; then
    (cd "$REPOSITORY" && bazel build --noshow_progress "${TARGETS[@]}")
    programs=$REPOSITORY/bazel-bin
  fi
  mkdir -p "$out"

  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  architecture=$(dpkg --print-architecture)
  version=$("$programs/cli/sallyport" --version)
  version=${version#sallyport }
  SOURCE_DATE_EPOCH=$(source_date)
  export SOURCE_DATE_EPOCH
  local package
  for package in "${wanted[@]}"; do build "$package" "$out"; done
}

die() {
  echo "build_packages.sh: error: $*" >&2
  exit 1
}

# Of the commit; of the last change to be told of in a tree without git.
source_date() {
  [[ -z ${SOURCE_DATE_EPOCH:-} ]] || { echo "$SOURCE_DATE_EPOCH"; return; }
  git -C "$REPOSITORY" log -1 --format=%ct 2> /dev/null || stat -L -c %Y "$REPOSITORY/CHANGELOG.md"
}

build() {
  local package=$1 out=$2
  root=$work/$package
  mkdir -p "$root/DEBIAN"
  conffiles=()
  binaries=()
  local kind rest
  while read -r kind rest; do
    # shellcheck disable=SC2086  # The columns of the line.
    "add_$kind" "$package" $rest
  done < "$SOURCES/$package/files"
  add_documents "$package"
  write_control "$package"
  dpkg-deb --root-owner-group -Zxz --build "$root" "$out/${package}_${version}_$architecture.deb" > /dev/null
  echo "build_packages.sh: $out/${package}_${version}_$architecture.deb"
}

add_program() {
  add_static "$@"
  binaries+=("$root$3/${2##*/}")
}

# A program without shared libraries.
add_static() {
  local target=$root$3/${2##*/}
  [[ -x $programs/$2 ]] || die "there is no program $programs/$2"
  install -D -m 755 "$programs/$2" "$target"
  strip --strip-unneeded --remove-section=.comment --remove-section=.note "$target"
}

add_man() {
  local target=$root/usr/share/man/man$3/${2##*/}.$3.gz
  mkdir -p "${target%/*}"
  "$SOURCES/man_page.py" "$programs/$2" "${@:3}" | gzip -9n > "$target"
}

add_completion() {
  mkdir -p "$(dirname "$root$3")"
  "$programs/$2" completion bash > "$root$3"
}

add_file() { install -D -m 644 "$SOURCES/$1/$2" "$root$3"; }

add_conffile() {
  add_file "$@"
  conffiles+=("$3")
}

add_directory() { install -d -m "$2" "$root$3"; }

add_documents() {
  local documents=$root/usr/share/doc/$1
  install -D -m 644 "$SOURCES/copyright" "$documents/copyright"
  gzip -9nc "$REPOSITORY/CHANGELOG.md" > "$documents/NEWS.md.gz"
  {
    echo "$1 ($version) unstable; urgency=medium"
    echo
    echo "  * What changed is in NEWS.md.gz."
    echo
    echo " -- $(maintainer)  $(date -u -R -d "@$SOURCE_DATE_EPOCH")"
  } | gzip -9n > "$documents/changelog.gz"
}

maintainer() { echo "The Sallyport authors <sallyport@packages.example>"; }

write_control() {
  local package=$1 script depends
  for script in postinst prerm postrm; do
    [[ ! -f $SOURCES/$package/$script ]] || install -m 755 "$SOURCES/$package/$script" "$root/DEBIAN/$script"
  done
  ((${#conffiles[@]} == 0)) || printf '%s\n' "${conffiles[@]}" > "$root/DEBIAN/conffiles"
  (cd "$root" && find . -type f -not -path './DEBIAN/*' -printf '%P\0' | sort -z | xargs -0 md5sum) > "$root/DEBIAN/md5sums"
  depends=$(libraries)
  {
    echo "Package: $package"
    echo "Source: sallyport"
    echo "Version: $version"
    echo "Architecture: $architecture"
    echo "Maintainer: $(maintainer)"
    echo "Installed-Size: $(installed_size)"
    # Our own Depends go before those that the programs' libraries ask for.
    if grep -q '^Depends: ' "$SOURCES/$package/control"; then
      sed "s/^Depends: .*/&, $depends/" "$SOURCES/$package/control"
    else
      echo "Depends: $depends"
      cat "$SOURCES/$package/control"
    fi
  } > "$root/DEBIAN/control"
}

# Packages of the shared libraries that the programs are linked with, and how new they have to be.
libraries() {
  local substitution
  mkdir -p "$work/shlibs/debian"
  printf 'Source: sallyport\n\nPackage: sallyport\nArchitecture: any\n' > "$work/shlibs/debian/control"
  substitution=$(cd "$work/shlibs" && dpkg-shlibdeps --warnings=0 -O "${binaries[@]}") ||
    die "the libraries of ${binaries[*]##*/} are of no installed package"
  echo "${substitution#shlibs:Depends=}"
}

# In KiB, as Debian's policy counts: each file rounded up, and one for everything else.
installed_size() {
  find "$root" -mindepth 1 -not -path "$root/DEBIAN*" -printf '%y %s\n' |
    awk '{ if ($1 == "f") kib += int(($2 + 1023) / 1024); else kib += 1 } END { print kib }'
}

main "$@"
