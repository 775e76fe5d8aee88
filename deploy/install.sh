#!/bin/bash
# Installs everything that building, testing and running Sallyport needs on a bare Debian 12.
#
#   deploy/install.sh            install what is missing
#   deploy/install.sh --check    change nothing; exit 1 and list what is missing
#
# Everything comes from the machine's own Debian mirror through apt, and what the parts in Node
# depend on from npm's registry. A second run finds nothing missing, calls neither, and takes well
# under a second.
set -euo pipefail

# BoringSSL is built from Debian's source package, because Debian's binary has no assembly.
# WORKSPACE names the same path.
readonly SOURCE_ROOT=/usr/local/src/sallyport
readonly BORINGSSL_DIR=$SOURCE_ROOT/boringssl
readonly BORINGSSL_PACKAGE=android-platform-external-boringssl
readonly DEB_SRC_FILE=/etc/apt/sources.list.d/sallyport-src
readonly PROXY_USER=sallyport-proxy
REPOSITORY=$(cd "$(dirname "$0")/.." && pwd)
readonly REPOSITORY
NODE_PACKAGES=(sdk/node examples/express examples/workerd)

BUILD_TOOLS=(
  bazel-bootstrap bazel-platforms bazel-rules-java
  clang-19 clang-format-19 clang-tidy-19 lld-19 llvm-19 libclang-rt-19-dev libstdc++-12-dev
  dpkg-dev git pkg-config protobuf-compiler protobuf-compiler-grpc util-linux xz-utils
)
LIBRARIES=(
  libabsl-dev libbenchmark-dev libboost1.81-dev libcap-dev libgmock-dev libgrpc++-dev
  libgrpc-dev libgtest-dev libidn2-dev libjemalloc-dev libmnl-dev libnftables-dev libnghttp2-dev
  libnl-3-dev libnl-route-3-dev libprotobuf-dev libprotoc-dev libseccomp-dev libsqlite3-dev
  libssl-dev libyaml-cpp-dev nlohmann-json3-dev
)
# What a host that runs the agent calls or is looked into with. podman's bridges, for containers in routed mode, are made by
# netavark, which calls iptables.
RUNTIME=(aardvark-dns ca-certificates curl iproute2 iptables netavark nftables openssl podman procps runc sqlite3)
# Origins, clients, load generators and the other languages of the SDK.
TEST_TOOLS=(
  adduser bind9-dnsutils busybox-static default-jdk-headless golang-go iputils-ping man-db musl-tools mypy netcat-openbsd nghttp2-client
  nginx-light python3 python3-cryptography python3-grpcio python3-h2 python3-httpx python3-prometheus-client python3-protobuf python3-requests
  python3-websockets systemd tcpdump time universal-ctags wget wrk
)

main() {
  local check_only=false
  case "${1:-}" in
    "") ;;
    --check) check_only=true ;;
    -h | --help) sed -n '2,9s/^# \{0,1\}//p' "$0"; exit 0 ;;
    *) die "unknown option '$1'; try --help" ;;
  esac
  require_debian_12

  local missing
  mapfile -t missing < <(missing_packages)
  if $check_only; then
    report_missing "${missing[@]}"
    exit
  fi
  if ((${#missing[@]} == 0)) && have_boringssl && have_proxy_user && have_node_modules; then
    say "nothing to do: everything is installed"
    return
  fi
  become_root "$@"

  if ((${#missing[@]} > 0)) || ! have_boringssl; then
    say "updating apt's package lists"
    apt_get update
  fi
  ((${#missing[@]} == 0)) || install_packages "${missing[@]}"
  have_boringssl || fetch_boringssl
  have_proxy_user || add_proxy_user
  have_node_modules || install_node_modules
  say "done"
}

say() { echo "install.sh: $*"; }

die() {
  echo "install.sh: error: $*" >&2
  exit 1
}

require_debian_12() {
  local id version
  id=$(. /etc/os-release && echo "${ID:-}")
  version=$(. /etc/os-release && echo "${VERSION_ID:-}")
  [[ $id == debian && $version == 12 ]] ||
    die "this script knows Debian 12, and this is '${id:-unknown} ${version:-}'"
}

become_root() {
  ((EUID == 0)) && return
  command -v sudo > /dev/null ||
    die "packages have to be installed; run this script as root (there is no sudo here)"
  say "becoming root with sudo"
  exec sudo -- "$0" "$@"
}

missing_packages() {
  local wanted=("${BUILD_TOOLS[@]}" "${LIBRARIES[@]}" "${RUNTIME[@]}" "${TEST_TOOLS[@]}")
  # A node from elsewhere serves as well as Debian's; it brings npm, which is a package of Debian's own.
  command -v node > /dev/null || wanted+=(nodejs)
  command -v npm > /dev/null || wanted+=(npm)
  comm -23 <(printf '%s\n' "${wanted[@]}" | sort -u) \
    <(dpkg-query -W -f '${db:Status-Status} ${Package}\n' | sed -n 's/^installed //p' | sort -u)
}

report_missing() {
  local complete=true
  if (($# > 0)); then
    say "missing packages: $*"
    complete=false
  fi
  have_boringssl || { say "missing: BoringSSL's source in $BORINGSSL_DIR"; complete=false; }
  have_proxy_user || { say "missing: the system user $PROXY_USER"; complete=false; }
  have_node_modules || { say "missing: what ${NODE_PACKAGES[*]} depend on"; complete=false; }
  $complete
}

# Prints apt's output only when it fails.
apt_get() {
  local log
  log=$(mktemp)
  if ! DEBIAN_FRONTEND=noninteractive apt-get -q -y -o Dpkg::Use-Pty=0 \
    -o APT::Sandbox::User=root "$@" > "$log" 2>&1; then
    cat "$log" >&2
    rm -f "$log"
    die "'apt-get $*' failed, see above"
  fi
  rm -f "$log"
}

install_packages() {
  say "installing $# packages: $*"
  # RUNLEVEL=1 keeps invoke-rc.d from starting what it installs: nginx is a test's origin here,
  # nothing that should answer on port 80.
  RUNLEVEL=1 apt_get install --no-install-recommends "$@"
  if [[ " $* " == *" nginx-light "* && -d /run/systemd/system ]]; then
    systemctl disable --quiet --now nginx.service || true
  fi
}

have_boringssl() { [[ -f $BORINGSSL_DIR/.complete ]]; }

fetch_boringssl() {
  have_deb_src || add_deb_src
  say "fetching BoringSSL's source"
  local work
  work=$(mktemp -d)
  (cd "$work" && apt_get source --download-only "$BORINGSSL_PACKAGE")
  dpkg-source --no-copy -x "$work"/*.dsc "$work/tree" > "$work/log" 2>&1 ||
    { cat "$work/log" >&2; die "the source package of BoringSSL does not unpack"; }
  # Bazel takes a folder for a repository when it has this file; the package has only the BUILD.
  echo 'workspace(name = "boringssl")' > "$work/tree/WORKSPACE"
  mkdir -p "$SOURCE_ROOT"
  rm -rf "$BORINGSSL_DIR"
  mv "$work/tree" "$BORINGSSL_DIR"
  chmod -R u=rwX,go=rX "$BORINGSSL_DIR"
  (cd "$work" && ls -- *.dsc) > "$BORINGSSL_DIR/.complete"
  rm -rf "$work"
}

have_deb_src() {
  apt-get indextargets --format '$(ORIGIN)/$(COMPONENT)' 'Created-By: Sources' | grep -qx Debian/main
}

# Repeats the entry that Debian's main packages come from as a deb-src entry, whatever mirror it
# names. The whole entry, because apt refuses two for one mirror that differ in Signed-By.
add_deb_src() {
  local uri release entry_file
  IFS=' ' read -r uri release entry_file < <(
    apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(SOURCESENTRY)' \
      'Created-By: Packages' 'Origin: Debian' 'Codename: bookworm' 'Component: main'
  ) || die "apt knows no mirror of Debian 12's main packages; check /etc/apt/sources.list"
  entry_file=${entry_file%:*}
  uri=${uri%/}

  if [[ $entry_file == *.sources ]]; then
    awk -v RS= -v uri="$uri" -v release="$release" '
      /(^|\n)Types:[^\n]*deb/ && index($0, uri) && index($0, release) {
        sub(/Types:[^\n]*/, "Types: deb-src"); print; exit
      }' "$entry_file" > "$DEB_SRC_FILE.sources"
  else
    awk -v uri="$uri" -v release="$release" '
      $1 == "deb" && index($0, uri) && index($0, " " release " ") {
        $1 = "deb-src"; print; exit
      }' "$entry_file" > "$DEB_SRC_FILE.list"
  fi
  say "added a deb-src entry beside $entry_file"
  apt_get update
  have_deb_src || die "the deb-src entry in $DEB_SRC_FILE.* does not offer Debian's sources"
}

have_proxy_user() { getent passwd "$PROXY_USER" > /dev/null; }

add_proxy_user() {
  say "adding the system user $PROXY_USER"
  useradd --system --user-group --no-create-home --home-dir /nonexistent \
    --shell /usr/sbin/nologin "$PROXY_USER"
}

have_node_modules() {
  local package
  for package in "${NODE_PACKAGES[@]}"; do
    "$REPOSITORY/tools/node_modules.sh" --check "$REPOSITORY/$package" > /dev/null || return 1
  done
}

install_node_modules() {
  local package
  for package in "${NODE_PACKAGES[@]}"; do
    say "installing what $package depends on"
    "$REPOSITORY/tools/node_modules.sh" "$REPOSITORY/$package" > /dev/null
  done
}

main "$@"
