# Sallyport: an agent with one proxy, whose container is the namespace that the load comes from. Every request is recorded. P5: a
# gRPC handler in C++ is asked on a Unix socket. Its own variants set `sallyport_decides` to who decides in P5.
peer_desc="Sallyport, minted leaves, an audit record of each request; P5 by a gRPC handler in C++"
peer_modes="http mitm pass decide"
peer_h2=1
peer_expect=sandbox
peer_ca=$WORK/sallyport-ca.crt
sallyport_decides=forward
sallyport() { inp "$BAZEL_BIN/cli/sallyport" "$@" --control-plane "unix:$RUN/controlplane.sock" --agent "unix:$RUN/agent.sock" >> "$RUN/cli.log" 2>&1; }
peer_start() {
  local mode=$1 class=() limit limits=() i
  # One container is not meant to do as much as a load generator.
  for limit in connections=100000 connections_per_second=100000 handshakes=10000 handshakes_per_second=100000 leaves_per_second=100000 \
    requests=100000 handler_calls=100000 handler_calls_per_second=1000000 origin_connections=100000 dials=10000 memory_bytes=17179869184 \
    idle_timeout_ms=3600000 dns_upstream_per_second=10000; do limits+=(--limit "$limit"); done
  sandbox_up
  mkdir -p "$RUN/handlers"
  spawn_aux "$BAZEL_BIN/controlplane/sallyportd" --state-dir "$RUN/controlplane" --listen "unix:$RUN/controlplane.sock"
  spawn "$BAZEL_BIN/agent/sallyport-agent" --control-plane "unix:$RUN/controlplane.sock" --host-name bench --state-dir "$RUN/agent" \
    --run-dir "$RUN/run" --socket "unix:$RUN/agent.sock" --proxy-binary "$BAZEL_BIN/agent/proxy/sallyport-proxy" --handler-socket-dir "$RUN/handlers" \
    --resolver 127.0.0.1:53 --origin-roots "$PKI/origin-ca.crt" --audit "$RUN/audit.jsonl" --audit-max-mib 64 --audit-keep 1 \
    --workers "$THREADS" "${limits[@]}"
  case $mode in
  http) class=(--enable-internet=true) ;;
  mitm) class=(--intercept-https=true --allowed-host "*.$DOMAIN") ;;
  pass) class=(--allowed-host "*.$DOMAIN") ;;
  decide)
    class=(--allowed-host "*.$DOMAIN" --outbound "$sallyport_decides")
    spawn_aux "$BAZEL_BIN/bench/handler/handler" --listen "unix:$RUN/handlers/handler.sock" ;;
  esac
  for i in $(seq 1 100); do
    [ -S "$RUN/agent.sock" ] && [ -S "$RUN/controlplane.sock" ] && break
    sleep 0.05
  done
  if [ "$mode" = decide ]; then
    case $sallyport_decides in
    builtin) sallyport handler register builtin --builtin '{set_headers: {authorization: "Bearer of-the-benchmark"}}' || return 1 ;;
    *) sallyport handler register "$sallyport_decides" "unix:$RUN/handlers/handler.sock" || return 1 ;;
    esac
  fi
  sallyport class apply bench "${class[@]}" && sallyport container attach --netns "/run/netns/$NS_S" --id bench --class bench || return 1
  sed -n '/BEGIN CERTIFICATE/,/END CERTIFICATE/p' "$RUN/cli.log" > "$peer_ca"
}
peer_stop() {
  local mounted
  for mounted in $(awk -v run="$RUN" 'index($2, run) == 1 {print $2}' /proc/mounts); do umount --lazy "$mounted"; done
}
