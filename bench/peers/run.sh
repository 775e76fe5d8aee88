#!/bin/bash
# Side-by-side benchmark of egress proxies. See README.md.
#   bench/run.sh peers WORKLOAD[,WORKLOAD...]|all [PEER...]     measure
#   bench/run.sh peers check [PEER...]                          only the correctness checks
#   bench/run.sh peers hold PEER MODE [SECONDS]                 start one peer and wait, to look at it by hand
#   bench/run.sh peers list                                     peers and what they can do
#   bench/run.sh peers report FILE...                           print the tables of earlier runs again
#   bench/run.sh peers plot DIR FILE...                         draw them as SVG files
#   bench/run.sh peers down                                     remove what a killed run left behind
# Settings by environment: PIN=1|0 REPS=3 SECS=5 CONC=64 IDLE=5000 BUSY=0|1 (whoever else works) FLAME=0|1 PEERBENCH_WORK=dir
set -u
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$HERE/lib/common.sh"

ALL_WORKLOADS="P1 P2 P2h2 P3warm P3cold P4conn P4bulk P5 P6 P6tls P9 P9tls"
ALL_PEERS=${PEERS:-direct splice sallyport sallyport-lease sallyport-builtin haproxy haproxy-lua nginx nginx-static squid ats caddy sslsplit sniproxy tinyproxy mitmproxy}

mode_of() {
  case $1 in
  P1|P6|P9) echo http ;;
  P2|P2h2|P3warm|P3cold|P6tls|P9tls) echo mitm ;;
  P4conn|P4bulk) echo pass ;;
  P5) echo decide ;;
  *) die "unknown workload $1 (one of: $ALL_WORKLOADS)" ;;
  esac
}

load_peer() {
  [ -e "$HERE/peers/$1.sh" ] || die "no such peer: $1"
  unset -f peer_start peer_stop
  unset "${!peer_why_@}"
  peer_name=$1 peer_desc="" peer_modes="" peer_h2=0 peer_skip="" peer_expect=proxy peer_redirect="$PX_HTTP $PX_HTTPS"
  peer_decide_denies=1 peer_bad_origin="" peer_prime=0 peer_ca=$PKI/proxy-ca.crt
  . "$HERE/peers/$1.sh"
}
# Why the loaded peer does not do a workload; empty when it does.
why_not() {
  local w=$1 m v
  m=$(mode_of "$w")
  v=peer_why_$w
  if [[ " $peer_skip " == *" $w "* ]]; then echo "${!v:-skipped}"; return; fi
  if [[ " $peer_modes " != *" $m "* ]]; then v=peer_why_$m; echo "${!v:-not supported}"; return; fi
  if [ "$w" = P2h2 ] && [ "$peer_h2" != 1 ]; then echo "${!v:-no HTTP/2}"; fi
}

start_peer() {  # MODE
  stop_peer
  mkdir -p "$RUN"; chmod 755 "$RUN"
  LOAD_NS=$NS_C
  if [ "$peer_expect" = sandbox ]; then
    LOAD_NS=$NS_S
    peer_start "$1" && return 0
    say "  $peer_name did not start; its last words: $(tail -n 3 "$RUN/peer.log" 2>/dev/null | cut -c1-300)"
    return 1
  fi
  peer_start "$1" || return 1
  if [ "$peer_expect" = direct ]; then route_direct; return 0; fi
  # shellcheck disable=SC2086
  set -- "$1" $peer_redirect
  local port=$2
  case $1 in mitm|pass) port=$3 ;; esac
  # shellcheck disable=SC2086
  route_peer $peer_redirect
  wait_port $NS_P "$port" 15 && return 0
  say "  $peer_name did not listen on $port; its last words: $(tail -n 3 "$RUN/peer.log" 2>/dev/null | cut -c1-300)"
  return 1
}
stop_peer() {
  cg_kill load; cg_kill peer; cg_kill aux
  if declare -F peer_stop > /dev/null; then peer_stop; fi
  [ -d "$RUN" ] && find "$RUN" -mindepth 1 -delete
  return 0
}

# --- correctness, before anything is measured ---------------------------------------------
ccurl() { load curl -sS -m 10 --noproxy '*' "$@" 2> "$WORK/curl.err"; }
expect_body() {  # URL [curl options]: the right bytes, and the right side of the proxy seen by the origin
  local url=$1 sum peer want=$PROXY_IP_O; shift
  [ "$peer_expect" = direct ] && want=$CLIENT_IP
  local u
  for u in 1k:$SHA_1K 64k:$SHA_64K; do
    sum=$(ccurl -D "$WORK/head" "$@" "$url/${u%%:*}" | sha256sum | cut -c1-64)
    [ "$sum" = "${u#*:}" ] || { say "  check: wrong body from $url/${u%%:*}: $(head -1 "$WORK/head" | tr -d '\r') $(cat "$WORK/curl.err")"; return 1; }
    peer=$(tr -d '\r' < "$WORK/head" | awk 'tolower($1)=="x-peer:"{print $2}')
    [ "$peer" = "$want" ] || { say "  check: origin saw $peer, not $want"; return 1; }
  done
}
expect_refused() {  # WHAT URL [curl options]
  local what=$1 url=$2 code; shift 2
  code=$(ccurl -o /dev/null -w '%{http_code}' "$@" "$url/1k")
  [ "$code" != 200 ] || { say "  check: $what was let through"; return 1; }
}
issuer_of() {  # HOST: the issuer of the certificate that a client gets
  load openssl s_client -connect "$ORIGIN_IP:443" -servername "$1" < /dev/null > "$WORK/s_client" 2>&1
  openssl x509 -noout -issuer < "$WORK/s_client" 2> /dev/null | sed 's/^issuer= *//'
}
tls_facts() {  # of the last issuer_of: protocol and cipher towards the client, the leaf's key, its issuer
  printf '%s, leaf key %s, issuer %s' "$(grep -m1 -oE 'TLSv[0-9.]+, Cipher is [A-Z0-9_-]+' "$WORK/s_client" | sed 's/, Cipher is/ /')" \
    "$(openssl x509 -noout -text < "$WORK/s_client" 2> /dev/null | grep -m1 -oE 'Public-Key: .*' | cut -d' ' -f2-)" \
    "$(openssl x509 -noout -issuer < "$WORK/s_client" 2> /dev/null | sed 's/^issuer= *//')"
}
expect_burst() {  # [pload options]: 100 connections, 32 at a time, are all answered
  local n
  load "$BIN/pload" conn --addr $ORIGIN_IP --total 100 --conc 32 --first 0 --wait 10 "$@" > "$WORK/out" 2>&1
  n=$(/usr/bin/python3 "$HERE/lib/parse.py" pload "$WORK/out" | awk '$1=="n"{print $2}')
  [ "$n" = 100 ] || { say "  check: a burst of 100 connections got ${n:-no} answers: $(cut -c1-300 "$WORK/out")"; return 1; }
}
# It looks into what passes, and refuses.
intercepts() { [ "$peer_expect" = proxy ] || [ "$peer_expect" = sandbox ]; }
verify_peer() {  # MODE
  local h="o0.$DOMAIN" iss
  case $1 in
  http) expect_body "http://$h" && expect_burst --port 80 ;;
  mitm)
    if intercepts; then
      [ "$peer_prime" = 0 ] || ccurl -o /dev/null --cacert "$peer_ca" "https://$h/1k"
      expect_body "https://$h" --http1.1 --cacert "$peer_ca" || return 1
      [ "$peer_h2" != 1 ] || [ "$(ccurl -o /dev/null -w '%{http_version} %{http_code}' --http2 --cacert "$peer_ca" "https://$h/1k")" = "2 200" ] ||
        { say "  check: no HTTP/2"; return 1; }
      expect_refused "a client that trusts only the origin's CA" "https://$h" --cacert "$PKI/origin-ca.crt" || return 1
      [ -n "$peer_bad_origin" ] || expect_refused "an origin certificate of an unknown CA" "https://bad.$DOMAIN" --cacert "$peer_ca" || return 1
      iss=$(issuer_of "$h")
      case $iss in *"Bench Proxy CA"*|*"Caddy Local Authority"*|*Sallyport*) ;; *) say "  check: issuer is '$iss'"; return 1 ;; esac
      expect_burst --port 443 --tls --ca "$peer_ca"
    else
      expect_body "https://$h" --http1.1 --cacert "$PKI/origin-ca.crt"
    fi ;;
  pass)
    expect_body "https://$h" --http1.1 --cacert "$PKI/origin-ca.crt" || return 1
    intercepts || return 0
    expect_refused "a name outside the allowlist" https://o0.denied.test --cacert "$PKI/origin-ca.crt" ;;
  decide)
    expect_body "http://$h" || return 1
    [ "$peer_decide_denies" = 1 ] || return 0
    expect_refused "a request that the decision denies" http://o0.denied.test ;;
  esac
}

# With FLAME=1, where the peer's processes spend the measurement: a flame graph beside the results.
flame() {
  local pids
  pids=$(tr '\n' , < "$CG/peer/cgroup.procs")
  perf record -q -F 999 -g -e cpu-clock -p "${pids%,}" -o "$WORK/perf.data" -- sleep "$(awk "BEGIN{print $SECS*0.7}")" > /dev/null 2>&1
  perf script -i "$WORK/perf.data" -F ip,sym,dso 2> /dev/null | /usr/bin/python3 "$HERE/lib/flame.py" "$W: $peer_name" > "$OUT/$W-$peer_name-flame.svg"
}

# --- one measurement ----------------------------------------------------------------------
# measured CMD...: runs the load, leaves its output in $WORK/out and the accounting in M_*.
measured() {
  local p0 a0 h0 t0 all0 sampler profiler
  ( sleep "$(awk "BEGIN{print $SECS*0.7}")"; peer_pss_kib > "$WORK/pss" ) & sampler=$!
  if [ "${FLAME:-0}" = 1 ]; then flame & profiler=$!; fi
  h0=$(host_busy_usec); all0=$(cg_all_usec); p0=$(cg_usec peer); a0=$(cg_usec aux); t0=$(date +%s%6N)
  timeout 90 bash -c 'exec "$@"' - "$@" > "$WORK/out" 2>&1
  local t1 p1
  t1=$(date +%s%6N); p1=$(cg_usec peer)
  M_AUX=$(($(cg_usec aux) - a0)); M_CPU=$((p1 - p0)); M_WALL=$((t1 - t0))
  M_LOAD=$(( ($(cg_all_usec) - all0) - M_CPU ))
  M_FOREIGN=$(( ($(host_busy_usec) - h0) - ($(cg_all_usec) - all0) ))
  wait "$sampler" ${profiler:-} 2> /dev/null
  M_PSS=$(cat "$WORK/pss" 2>/dev/null || echo 0)
}
export -f in_role
export CG PIN
put() { printf '%s\t%s\t%s\t%s\t%s\t%s\n' "$PIN" "$W" "$peer_name" "$REP" "$1" "$2" >> "$RAW"; }
run_load() { measured bash -c 'in_role "$@"' - load "$LOAD_NS" "$LOAD_CPU" "$@"; }
warm() { SECS=1 ; timeout 20 bash -c 'in_role "$@"' - load "$LOAD_NS" "$LOAD_CPU" "$@" > "$WORK/warm" 2>&1; SECS=$SECS_SET; }

put_common() {  # number of requests (or connections, or GB) that the load finished, its unit's scale
  put cpu_util "$(awk "BEGIN{printf \"%.3f\", $M_CPU/$M_WALL}")"
  put load_util "$(awk "BEGIN{printf \"%.3f\", $M_LOAD/$M_WALL}")"
  put foreign "$(awk "BEGIN{printf \"%.3f\", $M_FOREIGN/$M_WALL}")"
  put pss_mib "$(awk "BEGIN{printf \"%.1f\", $M_PSS/1024}")"
  awk "BEGIN{exit !($1>0)}" && put cpu_per "$(awk "BEGIN{printf \"%.4f\", $M_CPU/1e6/$1*$2}")"
  put aux_per "$(awk "BEGIN{printf \"%.4f\", ($1>0)?$M_AUX/1e6/$1*$2:0}")"
}
field() { /usr/bin/python3 "$HERE/lib/parse.py" "$1" "$WORK/out" "${@:2}"; }
take() {  # KIND: parse.py prints NAME VALUE lines; all are recorded, the count is returned in N
  local k v
  N=0
  while read -r k v; do
    [ "$k" = n ] && N=$v
    put "$k" "$v"
  done < <(field "$@")
}
mark() { stat -c %s "$RAW" 2>/dev/null || echo 0; }

cell() {  # one workload on one started and checked peer
  local h="o1.$DOMAIN" ca=$peer_ca
  intercepts && [ "$(mode_of "$W")" != pass ] || ca=$PKI/origin-ca.crt
  local pl=("$BIN/pload") wrk=(wrk -t1 "-c$CONC" --latency --timeout 10s)
  case $W in
  P1|P5)
    warm "${wrk[@]}" -d1s "http://$h/1k"
    run_load "${wrk[@]}" "-d${SECS}s" "http://$h/1k"
    take wrk; put_common "$N" 1e6 ;;
  P2)
    warm "${wrk[@]}" -d1s "https://$h/1k"
    run_load "${wrk[@]}" "-d${SECS}s" "https://$h/1k"
    take wrk; put_common "$N" 1e6 ;;
  P2h2)
    warm h2load -t1 "-c$CONC" -m1 -D1 "https://$h/1k"
    rm -f "$WORK/h2.log"
    run_load h2load -t1 "-c$CONC" -m1 -D "$SECS" "--log-file=$WORK/h2.log" "https://$h/1k"
    take h2load "$WORK/h2.log"; put_common "$N" 1e6 ;;
  P3warm)
    warm "${pl[@]}" conn --tls --ca "$ca" --addr $ORIGIN_IP --port 443 --secs 1 --conc 16
    run_load "${pl[@]}" conn --tls --ca "$ca" --addr $ORIGIN_IP --port 443 --secs "$SECS" --conc 16
    take pload; put_common "$N" 1000 ;;
  P3cold)  # each of the 1,000 names once on a fresh proxy, then once more
    run_load "${pl[@]}" conn --tls --ca "$ca" --addr $ORIGIN_IP --port 443 --total "$HOSTS" --hosts "$HOSTS" --wait 30 --conc 16
    take pload; put_common "$N" 1000
    run_load "${pl[@]}" conn --tls --ca "$ca" --addr $ORIGIN_IP --port 443 --total "$HOSTS" --hosts "$HOSTS" --wait 30 --conc 16
    put rate2 "$(field pload | awk '$1=="rate"{print $2}')"
    put p50_2 "$(field pload | awk '$1=="p50"{print $2}')" ;;
  P4conn)
    pl+=(hello --addr $SINK_IP --port 443 --domain "sink.$DOMAIN" --hosts 100 --conc 16)
    warm "${pl[@]}" --secs 1
    run_load "${pl[@]}" --secs "$SECS"
    take pload; put_common "$N" 1000 ;;
  P4bulk)
    run_load "${pl[@]}" flood --addr $FLOOD_IP --port 443 --domain "flood.$DOMAIN" --secs "$SECS" --conc 1
    take bulk; put_common "$N" 1 ;;
  P9|P9tls)
    local to=(--addr $ORIGIN_IP --port 80)
    [ "$W" = P9tls ] && to=(--addr $ORIGIN_IP --port 443 --tls --ca "$ca")
    warm "${pl[@]}" conn "${to[@]}" --total 16 --wait 10
    run_load "${pl[@]}" bulk "${to[@]}" --secs "$SECS" --conc 1 --path /bulk
    take bulk; put_common "$N" 1 ;;
  P6|P6tls)
    local tls=() port=80 before after held
    [ "$W" = P6tls ] && tls=(--tls --ca "$ca") && port=443
    warm "${pl[@]}" conn "${tls[@]}" --addr $ORIGIN_IP --port $port --total 64 --conc 16 --wait 15
    sleep 0.5; before=$(peer_pss_kib)
    rm -f "$WORK/fifo"; mkfifo "$WORK/fifo"
    in_role load "$LOAD_NS" "$LOAD_CPU" "${pl[@]}" idle "${tls[@]}" --addr $ORIGIN_IP --port $port --total "$IDLE" --conc 32 --wait 60 \
      < "$WORK/fifo" > "$WORK/out" 2>&1 &
    local pid=$!
    exec 8> "$WORK/fifo"
    local i
    for i in $(seq 1 700); do [ -s "$WORK/out" ] && break; sleep 0.1; done
    sleep 1; after=$(peer_pss_kib)
    exec 8>&-
    wait "$pid"
    held=$(/usr/bin/python3 "$HERE/lib/parse.py" idle "$WORK/out")
    put held "$held"
    put err "$((IDLE - held))"
    local e; e=$(field pload | sed -n 's/^first_error //p')
    [ -z "$e" ] || put first_error "$e"
    put pss0_mib "$(awk "BEGIN{printf \"%.1f\", $before/1024}")"
    put pss1_mib "$(awk "BEGIN{printf \"%.1f\", $after/1024}")"
    [ "$held" -gt 0 ] && put kib_per_conn "$(awk "BEGIN{printf \"%.2f\", ($after-$before)/$held}")" ;;
  esac
}

# Waits until others leave the machine mostly alone (at most a minute).
wait_quiet() {
  local i b0 b1
  [ "$BUSY" = 0 ] || return 0
  for i in $(seq 1 60); do
    b0=$(host_busy_usec); sleep 0.5; b1=$(host_busy_usec)
    [ $((b1 - b0)) -lt 150000 ] && return 0
    sleep 0.5
  done
  say "  (the machine stays busy)"
}

SECS_SET=$SECS
case ${1:-} in
  list)
    for p in $ALL_PEERS; do
      load_peer "$p"; echo "$p: $peer_desc"
      for W in $ALL_WORKLOADS; do w=$(why_not "$W"); [ -n "$w" ] && echo "    not $W: $w"; done
    done; exit 0 ;;
  report) shift; exec /usr/bin/python3 "$HERE/lib/report.py" "$@" ;;
  plot) shift; exec /usr/bin/python3 "$HERE/lib/plot.py" "$@" ;;
  down) bench_down; exit 0 ;;
  check) workloads="check"; shift ;;
  hold)
    load_peer "${2:?PEER}"; bench_up
    start_peer "${3:?MODE}"; [ -n "${NOCHECK:-}" ] || { verify_peer "$3" && say "checks passed"; }
    say "holding $2 ($3); logs in $RUN"; sleep "${4:-600}" & wait $!; exit 0 ;;
  all) workloads=$ALL_WORKLOADS; shift ;;
  "" | -h | --help) sed -n '2,10p' "${BASH_SOURCE[0]}" | cut -c3-; exit 2 ;;
  *) workloads=${1//,/ }; shift ;;
esac
peers=${*:-$ALL_PEERS}
[ "$workloads" = check ] || for W in $workloads; do mode_of "$W" > /dev/null; done
for p in $peers; do load_peer "$p"; done

bench_up
if [ "$workloads" = check ]; then
  bad=0
  for p in $peers; do
    load_peer "$p"
    for m in $peer_modes; do
      if start_peer "$m" && verify_peer "$m"; then echo "ok    $p $m$([ "$m" = mitm ] && intercepts && echo " ($(tls_facts))")"
      else echo "FAIL  $p $m"; bad=1; mkdir -p "$WORK/failed"; rm -rf "$WORK/failed/$p-$m"; cp -r "$RUN" "$WORK/failed/$p-$m" 2> /dev/null; fi
    done
  done
  stop_peer
  exit $bad
fi

OUT=${OUT:-$WORK/results/$(date +%Y%m%d-%H%M%S)-pin$PIN}
mkdir -p "$OUT"; RAW=$OUT/raw.tsv; : >> "$RAW"
for W in $workloads; do
  mode=$(mode_of "$W")
  for REP in $(seq 1 "$REPS"); do
    for p in $peers; do
      load_peer "$p"
      why=$(why_not "$W")
      if [ -n "$why" ]; then [ "$REP" = 1 ] && put skip "$why"; continue; fi
      for try in 1 2 3; do
        at=$(mark)
        # The checks run before a peer's first measurement of each workload; then it starts afresh,
        # so that no measurement sees what the checks left (haproxy's idle pool cares).
        if ! start_peer "$mode" || { [ "$REP" = 1 ] && ! { verify_peer "$mode" && start_peer "$mode"; }; }; then
          say "$W $p rep $REP: did not start or FAILED the check"; put skip "did not start or failed the check"; break
        fi
        wait_quiet
        M_FOREIGN=0 M_WALL=1
        cell
        [ "$BUSY" = 0 ] && awk "BEGIN{exit !($M_FOREIGN/$M_WALL > 0.25)}" || break
        [ "$try" = 3 ] && break
        say "$W $p rep $REP: others took $(awk "BEGIN{printf \"%.2f\", $M_FOREIGN/$M_WALL}") of a core; measured again"
        truncate -s "$at" "$RAW"
      done
      say "$W $p rep $REP: $(tail -c +$((at + 1)) "$RAW" | awk -F'\t' '$5!="first_error"{printf "%s=%s ", $5, $6}')"
    done
  done
  stop_peer
done
bench_down
/usr/bin/python3 "$HERE/lib/report.py" "$RAW" | tee "$OUT/report.md"
/usr/bin/python3 "$HERE/lib/plot.py" "$OUT" "$RAW"
say "raw numbers: $RAW"
