// Keeps a proxy running, and gives each new one what the one before it had.

#ifndef SALLYPORT_AGENT_PROXY_SUPERVISOR_H_
#define SALLYPORT_AGENT_PROXY_SUPERVISOR_H_

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "agent/attach/ca.h"
#include "agent/attach/listeners.h"
#include "agent/handler_sockets.h"
#include "agent/policy_cache.h"
#include "agent/proxy/control.pb.h"
#include "agent/proxy_link.h"
#include "agent/proxy_process.h"
#include "agent/secrets/secrets.h"
#include "common/base/mutex.h"
#include "common/base/unique_fd.h"

namespace sallyport::agent {

// What the proxy is given of a container. The agent keeps it, so that connections wait in the
// sockets' queues while a proxy is started anew.
struct ProxyContainer {
  std::string id;
  CertificateAuthority ca;
  ContainerSockets sockets;
  UniqueFd audit_stream;  // May be invalid.
};

// A proxy that dies, or does not answer in time, is replaced: at once, and after growing pauses if
// that happens again and again. Calls wait for the next one. Thread-safe; calls are made one at a
// time.
class ProxySupervisor {
 public:
  struct Options {
    std::string binary;
    std::vector<std::string> arguments;
    internal::Configure configure;
    UniqueFd audit_file;  // May be invalid.
    std::string secrets_dir = "/etc/sallyport/secrets";
    // Where Unix sockets of handlers may be.
    std::vector<std::string> handler_socket_directories;
    // How long the proxy may take for one command.
    std::chrono::milliseconds answer_timeout{10'000};
    std::chrono::milliseconds first_pause{20};
    std::chrono::milliseconds longest_pause{2'000};
  };
  struct State {
    pid_t pid = 0;  // 0: being started.
    uint64_t restarts = 0;
    std::string last_end;  // How the last one ended; empty: none has.
  };

  // `cache` outlives this.
  ProxySupervisor(Options options, PolicyCache* cache);
  ~ProxySupervisor();

  // Returns when the proxy serves it. UNAVAILABLE if no proxy did until `deadline`. REQUIRES: no
  // container of that id is here.
  absl::Status AddContainer(std::shared_ptr<const ProxyContainer> container,
                            std::chrono::steady_clock::time_point deadline);
  // From here on no proxy has it. The proxy has closed its connections when this returns.
  void RemoveContainer(const std::string& id);

  // Returns, with the resources that the proxy rejected, when every worker of the proxy decides by
  // the new policy and the cache holds it. One step, so that a proxy that starts in between gets
  // all of it or none.
  absl::StatusOr<std::vector<v1::Ack::Rejected>> UpdatePolicy(
      const v1::Delta& delta, std::chrono::steady_clock::time_point deadline);
  // Reads the secrets that handlers refer to, and gives them to the proxy if any has changed.
  void RefreshSecrets();
  const Secrets& secrets() const { return secrets_; }
  // By which handlers know this host, for this proxy and those that follow. The certificate stays
  // here until a handler is registered that is to be shown it: with its key, who takes the proxy
  // over has what the control plane knows the agent by, unless it is one for handlers alone.
  void SetIdentity(internal::Identity identity);
  // Records go there from here on: when this returns, no proxy writes to the file before. REQUIRES:
  // Options had a file.
  void SetAuditFile(UniqueFd file);
  // Removes one container's rules from proxy and cache.
  void ForgetPolicy(const std::string& container_id);

  // UNAVAILABLE while no proxy runs.
  absl::StatusOr<v1::UsageResponse> Usage();
  State state() const;
  // The next proxy is not waited for any more: kills the one that runs. Calls fail with
  // UNAVAILABLE. Returns at once.
  void Stop();

 private:
  using Clock = std::chrono::steady_clock;

  void Run();
  // Starts a proxy and watches it until it ends or Stop.
  absl::Status RunOne();
  absl::Status Replay(ProxyLink* link, const HandlerSockets& sockets)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(call_mutex_);
  absl::Status ReplayPolicy(ProxyLink* link) ABSL_EXCLUSIVE_LOCKS_REQUIRED(call_mutex_);
  internal::Command IdentityCommand() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(call_mutex_);
  void UpdateIdentity() ABSL_EXCLUSIVE_LOCKS_REQUIRED(call_mutex_);
  // Before a policy whose handlers are shown the certificate.
  void GiveCertificateFor(const v1::Delta& policy) ABSL_EXCLUSIVE_LOCKS_REQUIRED(call_mutex_);
  // The secrets of all handlers, for the next command.
  internal::SecretValues ResolveSecrets() ABSL_EXCLUSIVE_LOCKS_REQUIRED(call_mutex_);
  // Whether a registered handler names the socket, and it is where such may be.
  absl::Status MayConnect(const std::string& path);
  // Sleeps, unless stopped.
  void Pause(std::chrono::milliseconds duration);
  bool stopping() const;
  absl::Status NotRunning() const;

  // Calls the proxy; waits for one if there is none, and takes the next one if it dies meanwhile.
  absl::StatusOr<internal::Done> CallSome(const internal::Command& command,
                                          const std::vector<int>& fds, Clock::time_point deadline)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(call_mutex_);
  absl::StatusOr<internal::Done> CallThis(const internal::Command& command,
                                          const std::vector<int>& fds)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(call_mutex_);

  // Held for as long as the proxy takes to answer.
  Mutex call_mutex_;
  UniqueFd audit_file_ ABSL_GUARDED_BY(call_mutex_);  // May be invalid.
  const Options options_;                             // But for the audit file.
  PolicyCache* const cache_;
  Secrets secrets_;
  const UniqueFd wake_;  // An eventfd that Stop makes readable.

  // What each proxy is given, and the way to the one that runs.
  CondVar link_changed_;
  std::optional<ProxyLink> link_ ABSL_GUARDED_BY(call_mutex_);
  std::map<std::string, std::shared_ptr<const ProxyContainer>> containers_
      ABSL_GUARDED_BY(call_mutex_);

  // Of the handlers in the cache, by name; those that refer to secrets.
  using References = std::map<std::string, std::vector<v1::SecretReference>>;
  static void Apply(const v1::Delta& delta, References* references);
  static References ReferencesOf(const v1::Delta& delta);
  References references_ ABSL_GUARDED_BY(call_mutex_);
  size_t secrets_hash_ ABSL_GUARDED_BY(call_mutex_) = 0;  // Of what the proxy was given last.
  internal::Identity identity_ ABSL_GUARDED_BY(call_mutex_);
  bool shows_certificate_ ABSL_GUARDED_BY(call_mutex_) = false;  // A handler was to be shown it.

  // Never held for long. Taken after call_mutex_.
  mutable Mutex state_mutex_;
  State state_ ABSL_GUARDED_BY(state_mutex_);
  const ProxyProcess* process_ ABSL_GUARDED_BY(state_mutex_) = nullptr;
  bool stopping_ ABSL_GUARDED_BY(state_mutex_) = false;

  std::thread thread_;  // Last: it uses the rest.
};

}  // namespace sallyport::agent

#endif  // SALLYPORT_AGENT_PROXY_SUPERVISOR_H_
