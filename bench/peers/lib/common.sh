# Shared by run.sh and the peers' files: settings, namespaces, processes, accounting.
# Everything runs in three network namespaces made here (client, proxy, origin) and is
# taken down by bench_down; nothing outside them is configured or sent to.

WORK=${PEERBENCH_WORK:-${TMPDIR:-/tmp}/peerbench}   # built tools, keys, run state
PIN=${PIN:-1}            # 1: proxy on PROXY_CPU, everything else on LOAD_CPU; 0: no pinning
PROXY_CPU=${PROXY_CPU:-0}
LOAD_CPU=${LOAD_CPU:-1}
REPS=${REPS:-3}
SECS=${SECS:-5}
CONC=${CONC:-64}
HOSTS=1000               # o1 … o1000; o0 is for the checks only
IDLE=${IDLE:-5000}
BUSY=${BUSY:-0}          # 1: measures at once and only once, whatever others do
DOMAIN=bench.test
NS_C=bench-client NS_P=bench-proxy NS_O=bench-origin
NS_S=bench-sandbox       # a client's that has no network but what a peer of "peer_expect=sandbox" makes in it
CLIENT_IP=192.0.2.2 PROXY_IP_C=192.0.2.1 PROXY_IP_O=198.51.100.1 ORIGIN_IP=198.51.100.2 SINK_IP=198.51.100.3 FLOOD_IP=198.51.100.4
PX_HTTP=8080 PX_HTTPS=8443 DECIDE_PORT=9000 SPOA_PORT=9001 ICAP_PORT=1344
BAZEL_BIN=${SALLYPORT_BIN:-$HERE/../../bazel-bin}
PKI=$WORK/pki BIN=$WORK/bin RUN=$WORK/run
if [ "$PIN" = 1 ]; then THREADS=1; else THREADS=$(nproc); fi

say() { printf '%s\n' "$*" >&2; }
die() { say "run.sh: $*"; exit 1; }

# --- processes and their accounting: one cgroup per role --------------------------------
cg_root() {
  local d
  for d in /sys/fs/cgroup /sys/fs/cgroup/unified; do
    if [ "$(stat -fc %T "$d" 2>/dev/null)" = cgroup2fs ]; then echo "$d"; return; fi
  done
  die "no cgroup v2 hierarchy is mounted"
}
CG=$(cg_root)/peerbench
cg_up() { mkdir -p "$CG" "$CG"/{peer,aux,origin,load}; }
cg_kill() {  # ends every process of one role: only processes that this harness started
  local role=$1 i pids
  [ -d "$CG/$role" ] || return 0
  for i in $(seq 1 40); do
    pids=$(cat "$CG/$role/cgroup.procs" 2>/dev/null)
    [ -z "$pids" ] && return 0
    # shellcheck disable=SC2086
    if [ "$i" -le 8 ]; then kill -TERM $pids 2>/dev/null; else kill -KILL $pids 2>/dev/null; fi
    sleep 0.1
  done
}
cg_usec() { awk '$1=="usage_usec"{print $2}' "$CG/$1/cpu.stat"; }
cg_all_usec() { awk '$1=="usage_usec"{print $2}' "$CG/cpu.stat"; }
host_busy_usec() {  # both cores, everything but idle and iowait, in microseconds
  awk -v hz="$(getconf CLK_TCK)" '/^cpu /{printf "%.0f\n", ($2+$3+$4+$7+$8+$9)*1e6/hz}' /proc/stat
}
peer_pss_kib() {
  local p t=0 v
  for p in $(cat "$CG/peer/cgroup.procs"); do
    v=$(awk '$1=="Pss:"{print $2}' "/proc/$p/smaps_rollup" 2>/dev/null)
    t=$((t + ${v:-0}))
  done
  echo "$t"
}

# in_role ROLE NAMESPACE CPU CMD...: runs CMD in the foreground in that role's cgroup.
in_role() {
  local role=$1 ns=$2 cpu=$3; shift 3
  local pin=()
  [ "$PIN" = 1 ] && pin=(taskset -c "$cpu")
  bash -c 'echo $$ > "$0/cgroup.procs"; exec "$@"' "$CG/$role" ip netns exec "$ns" "${pin[@]}" "$@"
}
# For the peers: spawn starts the proxy itself, spawn_aux a service it calls out to.
spawn() { in_role peer "$NS_P" "$PROXY_CPU" "$@" >> "$RUN/peer.log" 2>&1 < /dev/null & }
spawn_aux() { in_role aux "$NS_P" "$LOAD_CPU" "$@" >> "$RUN/aux.log" 2>&1 < /dev/null & }
load() { in_role load "$LOAD_NS" "$LOAD_CPU" "$@"; }
wait_port() {  # NAMESPACE PORT [seconds]
  local i
  for i in $(seq 1 $((${3:-20} * 20))); do
    [ -n "$(ip netns exec "$1" ss -Hltn "sport = :$2")" ] && return 0
    sleep 0.05
  done
  return 1
}

# --- keys -------------------------------------------------------------------------------
make_ca() {  # FILE "NAME"
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj "/CN=$2" \
    -addext 'basicConstraints=critical,CA:TRUE' -addext 'keyUsage=critical,keyCertSign,cRLSign,digitalSignature' \
    -keyout "$PKI/$1.key" -out "$PKI/$1.crt" 2>/dev/null
  cat "$PKI/$1.key" "$PKI/$1.crt" > "$PKI/$1.pem"
}
make_leaf() {  # CA FILE NAME [more subjectAltNames]
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 20 -subj "/CN=$3" \
    -CA "$PKI/$1.crt" -CAkey "$PKI/$1.key" -addext "subjectAltName=DNS:$3${4:+,$4}" \
    -addext 'basicConstraints=critical,CA:FALSE' -addext 'extendedKeyUsage=serverAuth' \
    -keyout "$PKI/$2.key" -out "$PKI/$2.crt" 2>/dev/null
}
pki_up() {
  [ -e "$PKI/done" ] && return 0
  rm -rf "$PKI"; mkdir -p "$PKI/o"
  say "making keys (1,000 origin certificates) ..."
  make_ca proxy-ca "Bench Proxy CA"; make_ca origin-ca "Bench Origin CA"; make_ca bad-ca "Bench Unknown CA"
  local i
  for i in $(seq 0 "$HOSTS"); do make_leaf origin-ca "o/o$i" "o$i.$DOMAIN"; done
  make_leaf origin-ca denied o0.denied.test
  make_leaf bad-ca bad "bad.$DOMAIN"
  make_leaf proxy-ca wild "any.$DOMAIN" "DNS:*.$DOMAIN"       # the pre-made leaf of nginx-static
  make_leaf proxy-ca default default.invalid
  cat "$PKI/default.key" "$PKI/default.crt" > "$PKI/default.pem"
  openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$PKI/leaf.key" 2>/dev/null
  chmod -R a+rX "$PKI"
  touch "$PKI/done"
}
tools_up() {
  mkdir -p "$BIN"
  local t
  for t in pload spoa; do
    if [ ! -x "$BIN/$t" ] || [ "$HERE/src/$t.cc" -nt "$BIN/$t" ]; then
      clang++-19 -std=c++20 -O2 -o "$BIN/$t" "$HERE/src/$t.cc" -lssl -lcrypto || die "cannot build $t"
    fi
  done
}

# --- namespaces -------------------------------------------------------------------------
inp() { ip netns exec "$NS_P" "$@"; }
net_up() {
  local ns
  for ns in $NS_C $NS_P $NS_O; do
    ip netns add "$ns" || return 1
    mkdir -p "/etc/netns/$ns"
    ip -n "$ns" link set lo up
    ip netns exec "$ns" sysctl -qw net.ipv4.ip_local_port_range="1024 65535" net.ipv4.tcp_tw_reuse=1 \
      net.core.somaxconn=65535 net.ipv4.tcp_max_syn_backlog=65535
    # Not the host's default (it may pace): plain loss-based control, the one that any namespace may choose.
    ip netns exec "$ns" sysctl -qw net.ipv4.tcp_congestion_control=reno
  done
  # An outgoing connection must not sit on a port that the next peer listens on.
  inp sysctl -qw net.ipv4.ip_local_reserved_ports="$PX_HTTP,$PX_HTTPS,$DECIDE_PORT,$SPOA_PORT,$ICAP_PORT,3128"
  ip link add bc0 netns $NS_C type veth peer name bp0 netns $NS_P
  ip link add bo0 netns $NS_O type veth peer name bp1 netns $NS_P
  ip -n $NS_C addr add $CLIENT_IP/24 dev bc0;  ip -n $NS_C link set bc0 up
  ip -n $NS_P addr add $PROXY_IP_C/24 dev bp0; ip -n $NS_P link set bp0 up
  ip -n $NS_P addr add $PROXY_IP_O/24 dev bp1; ip -n $NS_P link set bp1 up
  ip -n $NS_O addr add $ORIGIN_IP/24 dev bo0;  ip -n $NS_O link set bo0 up
  ip -n $NS_O addr add $SINK_IP/24 dev bo0; ip -n $NS_O addr add $FLOOD_IP/24 dev bo0
  ip -n $NS_C route add default via $PROXY_IP_C
  ip -n $NS_O route add default via $PROXY_IP_O
  # The client knows the names from its hosts file, the proxies from a resolver in their namespace.
  { echo "127.0.0.1 localhost"
    for i in $(seq 0 "$HOSTS"); do echo "$ORIGIN_IP o$i.$DOMAIN"; done
    echo "$ORIGIN_IP bad.$DOMAIN o0.denied.test"; } > /etc/netns/$NS_C/hosts
  echo "127.0.0.1 localhost" > /etc/netns/$NS_P/hosts
  echo "nameserver 127.0.0.1" > /etc/netns/$NS_P/resolv.conf
  cp /etc/netns/$NS_P/{hosts,resolv.conf} /etc/netns/$NS_O/
  cp /etc/netns/$NS_P/resolv.conf /etc/netns/$NS_C/
  mkdir -p /etc/netns/$NS_S
  cp /etc/netns/$NS_C/{hosts,resolv.conf} /etc/netns/$NS_S/
}
sandbox_up() {
  ip netns del $NS_S 2>/dev/null
  ip netns add $NS_S
  # As that of the other clients.
  ip netns exec $NS_S sysctl -qw net.ipv4.ip_local_port_range="1024 65535" net.ipv4.tcp_tw_reuse=1 \
    net.core.somaxconn=65535 net.ipv4.tcp_max_syn_backlog=65535 net.ipv4.tcp_congestion_control=reno
}
# The proxy's namespace forwards only for the row without a proxy: nothing goes round a peer.
route_direct() {
  inp nft delete table ip bench 2>/dev/null
  inp sysctl -qw net.ipv4.ip_forward=1
}
route_peer() {  # port for HTTP, port for HTTPS
  inp sysctl -qw net.ipv4.ip_forward=0
  inp nft delete table ip bench 2>/dev/null
  inp nft -f - <<NFT
table ip bench {
  chain pre {
    type nat hook prerouting priority dstnat; policy accept;
    iifname "bp0" tcp dport 80 redirect to :$1
    iifname "bp0" tcp dport 443 redirect to :$2
  }
}
NFT
  inp sysctl -qw net.netfilter.nf_conntrack_tcp_timeout_time_wait=5 net.netfilter.nf_conntrack_tcp_timeout_close=2 \
    net.netfilter.nf_conntrack_tcp_timeout_last_ack=5 net.netfilter.nf_conntrack_tcp_timeout_fin_wait=10 2>/dev/null
}

# --- origin, resolver, decision backend ---------------------------------------------------
origin_up() {
  local d=$WORK/origin i
  mkdir -p "$d/www" "$d/tmp"
  [ -e "$d/www/64k" ] || head -c 65536 /dev/urandom | od -An -tx1 -v | tr -d ' \n' | head -c 65536 > "$d/www/64k"
  [ -e "$d/www/bulk" ] || head -c 1073741824 /dev/zero > "$d/www/bulk"
  cat "$d/www/bulk" > /dev/null   # into the page cache
  local k; k=$(printf 'peerbench-%.0s' $(seq 1 110)); k=${k:0:1024}
  printf '%s' "$k" > "$d/www/1k"
  SHA_1K=$(sha256sum < "$d/www/1k" | cut -c1-64); SHA_64K=$(sha256sum < "$d/www/64k" | cut -c1-64)
  locations() {
    cat <<LOC
    root $d/www; default_type text/plain; add_header X-Peer \$remote_addr; add_header X-Reuse \$connection_requests;
    location = /1k { return 200 "$k"; }
LOC
  }
  {
    cat <<CONF
worker_processes 1; daemon off; pid $d/pid; error_log $d/error.log; worker_rlimit_nofile 20000; user root;
events { worker_connections 19000; accept_mutex off; }
http {
  access_log off; sendfile on; tcp_nodelay on; keepalive_timeout 300s; keepalive_requests 100000000;
  server_names_hash_max_size 8192; server_names_hash_bucket_size 64; output_buffers 4 128k;
  ssl_protocols TLSv1.2 TLSv1.3; ssl_session_cache off; ssl_session_tickets off; ssl_buffer_size 16k; ssl_ecdh_curve X25519:P-256;
  client_body_temp_path $d/tmp/b; proxy_temp_path $d/tmp/p; fastcgi_temp_path $d/tmp/f; uwsgi_temp_path $d/tmp/u; scgi_temp_path $d/tmp/s;
  server { listen $ORIGIN_IP:80 backlog=65535 default_server;
$(locations)
  }
CONF
    crt() { echo "  server { listen $ORIGIN_IP:443 ssl$4; server_name $1; ssl_certificate $2.crt; ssl_certificate_key $2.key; $3"; locations; echo "  }"; }
    crt o0.denied.test "$PKI/denied" "" " http2 default_server backlog=65535"
    crt "bad.$DOMAIN" "$PKI/bad" "" ""
    for i in $(seq 0 "$HOSTS"); do crt "o$i.$DOMAIN" "$PKI/o/o$i" "" ""; done
    echo "}"
  } > "$d/nginx.conf"
  in_role origin $NS_O "$LOAD_CPU" nginx -e "$d/error.log" -c "$d/nginx.conf" < /dev/null > /dev/null 2>> "$d/error.log" &
  in_role origin $NS_P "$LOAD_CPU" dnsmasq --keep-in-foreground --conf-file=/dev/null --no-resolv --no-hosts --user=root \
    --listen-address=127.0.0.1 --bind-interfaces --pid-file="$d/dnsmasq.pid" --cache-size=4000 --local-ttl=3600 \
    "--address=/$DOMAIN/$ORIGIN_IP" "--address=/sink.$DOMAIN/$SINK_IP" "--address=/flood.$DOMAIN/$FLOOD_IP" "--address=/denied.test/$ORIGIN_IP" < /dev/null > "$d/dnsmasq.log" 2>&1 &
  in_role origin $NS_O "$LOAD_CPU" "$BIN/pload" sink --addr $SINK_IP --port 443 < /dev/null > "$d/sink.log" 2>&1 &
  in_role origin $NS_O "$LOAD_CPU" "$BIN/pload" sink --flood --addr $FLOOD_IP --port 443 < /dev/null >> "$d/sink.log" 2>&1 &
  { wait_port $NS_O 80 30 && wait_port $NS_O 443; } || die "the origin did not start: $(tail -2 "$d/error.log")"
  wait_port $NS_P 53 || die "the resolver did not start"
}
decide_up() {  # the decision backend of P5: 200 for *.bench.test, 403 for the rest
  local d=$RUN/decide; mkdir -p "$d"
  cat > "$d/nginx.conf" <<CONF
worker_processes 1; daemon off; pid $d/pid; error_log $d/error.log; user root;
events { worker_connections 8192; accept_mutex off; }
http { access_log off; keepalive_timeout 300s; keepalive_requests 100000000; tcp_nodelay on;
  client_body_temp_path $d/b; proxy_temp_path $d/p; fastcgi_temp_path $d/f; uwsgi_temp_path $d/u; scgi_temp_path $d/s;
  map \$http_x_host \$code { hostnames; default 403; *.$DOMAIN 200; }
  server { listen 127.0.0.1:$DECIDE_PORT backlog=4096; location / { if (\$code = 403) { return 403; } return 200; } }
}
CONF
  spawn_aux nginx -e "$d/error.log" -c "$d/nginx.conf"
  wait_port $NS_P $DECIDE_PORT
}

bench_up() {
  [ "$(id -u)" = 0 ] || die "must run as root (network namespaces)"
  mkdir -p "$WORK" "$RUN"; chmod 755 "$WORK"
  exec 9> "$WORK/lock"; flock -n 9 || die "another run holds $WORK/lock"
  trap bench_down EXIT; trap 'exit 130' INT TERM HUP
  ulimit -n "$(ulimit -Hn)"
  tools_up; pki_up; cg_up; net_up || die "cannot make the namespaces (left over? run: $HERE/run.sh down)"
  origin_up
}
bench_down() {
  local ns role
  trap - EXIT
  for role in load peer aux origin; do cg_kill "$role"; done 2>/dev/null
  for ns in $NS_C $NS_S $NS_P $NS_O; do
    ip netns del "$ns" 2>/dev/null
    [ -d "/etc/netns/$ns" ] && rm -rf "/etc/netns/$ns"
  done
  rmdir "$CG"/{peer,aux,origin,load} "$CG" 2>/dev/null
  return 0
}
