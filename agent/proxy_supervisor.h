// Keeps a proxy running, and gives each new one what the one before it had.
//
// Of several proxies one serves: it has the listening sockets' new connections. Those before it
// drain, which is to finish what they have begun, and are told of every change until they end.

#ifndef SALLYPORT_AGENT_PROXY_SUPERVISOR_H_
#define SALLYPORT_AGENT_PROXY_SUPERVISOR_H_

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "agent/attach/ca.h"
#include "agent/attach/listeners.h"
#include "agent/keep/fd_store.h"
#include "agent/policy_cache.h"
#include "agent/proxy/control.pb.h"
#include "agent/running_proxy.h"
#include "agent/secrets/secrets.h"
#include "common/base/log_level.h"
#include "common/base/mutex.h"
#include "common/base/unique_fd.h"

namespace sallyport::agent {

// What the proxy is given of a container. The agent keeps it, so that connections wait in the
// sockets' queues while a proxy is started anew.
struct ProxyContainer {
  std::string id;
  uint64_t instance = 0;  // Of this attachment.
  CertificateAuthority ca;
  ContainerSockets sockets;
  UniqueFd audit_stream;    // May be invalid.
  std::string proxy_token;  // Of an explicit proxy; empty: none.
  google::protobuf::Struct params;
};

// A proxy that dies, or does not answer in time, is replaced: at once, and after growing pauses if
// that happens again and again. Calls wait for the next one. Thread-safe; calls are made one at a
// time.
class ProxySupervisor {
 public:
  struct Options {
    RunningProxy::Program program;
    internal::Configure configure;
    UniqueFd audit_file;  // May be invalid.
    std::string secrets_dir = "/etc/sallyport/secrets";
    // Where Unix sockets of handlers may be.
    std::vector<std::string> handler_socket_directories;
    // How long a proxy that was replaced may take to finish what it has begun.
    std::chrono::milliseconds drain_limit{60'000};
    // How long a proxy of another build is left in place for want of what the next one needs.
    std::chrono::milliseconds replace_limit{5'000};
    std::chrono::milliseconds first_pause{20};
    std::chrono::milliseconds longest_pause{2'000};
  };
  struct State {
    pid_t pid = 0;  // 0: being started.
    uint64_t restarts = 0;
    size_t draining = 0;
    std::string last_end;  // How the last one ended; empty: none has.
  };
  // What an agent before this one has left: proxies, and what they serve.
  struct Found {
    std::vector<FoundProxy> proxies;
    std::vector<std::shared_ptr<const ProxyContainer>> containers;
  };

  // `cache` and `store` outlive this.
  ProxySupervisor(Options options, PolicyCache* cache, const FdStore* store, Found found = {});
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
  // Records go to this Unix socket, too, from when this returns; invalid: no longer. Proxies that
  // are started later get it. One of an older build that cannot goes on without.
  void SetAuditTap(UniqueFd socket);
  // Of the proxies that run, and of those that follow.
  void SetLogLevel(LogLevel level);
  // Removes one container's rules from proxy and cache.
  void ForgetPolicy(const std::string& container_id);

  // Puts a new proxy in the place of the one that serves, which drains. No connection is refused.
  // Returns the new one's process id when it serves. RESOURCE_EXHAUSTED: too many drain already.
  absl::StatusOr<pid_t> Restart(std::chrono::steady_clock::time_point deadline);

  // UNAVAILABLE while no proxy runs.
  absl::StatusOr<v1::UsageResponse> Usage();
  State state() const;
  // The next proxy is not waited for any more: kills the one that runs. Calls fail with
  // UNAVAILABLE. Returns at once.
  void Stop();

 private:
  using Clock = std::chrono::steady_clock;

  using ProxyPtr = std::unique_ptr<RunningProxy>;

  // proxy_supervision.cc: what this object's thread does, without a lock where it waits for a
  // proxy's end, since a proxy's own threads may wait for this object.
  void Run();
  void TakeOver();
  void TakeOverOne(FoundProxy found);
  void StartNext();
  absl::Status PutInPlace(ProxyPtr* next);
  void NoteEnd(const std::string& how);
  void WatchUntil(Clock::time_point deadline);
  void BuryTheDead();
  std::string Bury(ProxyPtr proxy);
  void BuryAll();
  // Whether a proxy is to be started; else when to look again.
  bool NeedsAnother(Clock::time_point* look_again);
  bool KnowsEnoughToReplace() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(call_mutex_);
  void Serve(ProxyPtr proxy) ABSL_EXCLUSIVE_LOCKS_REQUIRED(call_mutex_);
  void BeginDrain(ProxyPtr proxy) ABSL_EXCLUSIVE_LOCKS_REQUIRED(call_mutex_);
  // So that Stop finds it.
  void Enlist(const RunningProxy* proxy);
  bool Serves() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(call_mutex_) {
    return serving_ != nullptr && !serving_->lost();
  }

  // Gives a new proxy everything.
  absl::Status Replay(RunningProxy* proxy) ABSL_EXCLUSIVE_LOCKS_REQUIRED(call_mutex_);
  static absl::Status Give(RunningProxy* proxy, const ProxyContainer& container);
  // Brings one that has served another agent up to date.
  absl::Status Resume(RunningProxy* proxy, const internal::Ready& ready)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(call_mutex_);
  absl::Status ReplayPolicy(RunningProxy* proxy) ABSL_EXCLUSIVE_LOCKS_REQUIRED(call_mutex_);
  static absl::Status Refusal(const internal::Done& done);

  // proxy_output.cc.
  void GiveLogLevel(RunningProxy* proxy) ABSL_EXCLUSIVE_LOCKS_REQUIRED(call_mutex_);
  void GiveAuditTap(RunningProxy* proxy) ABSL_EXCLUSIVE_LOCKS_REQUIRED(call_mutex_);
  // To the one that serves, and to those that drain.
  void GiveAll(void (ProxySupervisor::*give)(RunningProxy*))
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(call_mutex_);

  internal::Command IdentityCommand() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(call_mutex_);
  void UpdateIdentity() ABSL_EXCLUSIVE_LOCKS_REQUIRED(call_mutex_);
  // Before a policy whose handlers are shown the certificate.
  void GiveCertificateFor(const v1::Delta& policy) ABSL_EXCLUSIVE_LOCKS_REQUIRED(call_mutex_);
  // The secrets of all handlers, for the next command.
  internal::SecretValues ResolveSecrets() ABSL_EXCLUSIVE_LOCKS_REQUIRED(call_mutex_);
  // The same, unless a proxy that was taken over may know more of them than this agent so far.
  bool ResolveNews(internal::SecretValues* secrets) ABSL_EXCLUSIVE_LOCKS_REQUIRED(call_mutex_);
  // Whether a registered handler names the socket, and it is where such may be.
  absl::Status MayConnect(const std::string& path);
  void Wake() const;
  bool stopping() const;
  absl::Status NotRunning() const;

  // Calls the proxy that serves; waits for one if there is none, and takes the next one if it dies
  // meanwhile. Then calls those that drain.
  absl::StatusOr<internal::Done> CallSome(const internal::Command& command,
                                          const std::vector<int>& fds, Clock::time_point deadline)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(call_mutex_);
  // The same, if there is one. REQUIRES: Serves().
  absl::StatusOr<internal::Done> CallServing(const internal::Command& command,
                                             const std::vector<int>& fds)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(call_mutex_);
  // One that fails, or refuses, is killed: what it serves obeys or ends.
  void CallDraining(const internal::Command& command, std::span<const int> fds = {})
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(call_mutex_);

  UniqueFd audit_file_ ABSL_GUARDED_BY(call_mutex_);  // May be invalid.
  LogLevel log_level_ ABSL_GUARDED_BY(call_mutex_) = LogLevel::kInfo;
  UniqueFd audit_tap_ ABSL_GUARDED_BY(call_mutex_);  // Invalid: nobody follows.
  const Options options_;                            // But for the audit file.
  const std::string build_;
  PolicyCache* const cache_;
  const FdStore* const store_;
  Secrets secrets_;
  const UniqueFd wake_;  // An eventfd that Stop and Restart make readable.

  // What each proxy is given, and the ways to those that run. Held for as long as a proxy takes to
  // answer.
  Mutex call_mutex_;
  CondVar proxies_changed_;
  std::vector<FoundProxy> found_ ABSL_GUARDED_BY(call_mutex_);
  ProxyPtr serving_ ABSL_GUARDED_BY(call_mutex_);
  std::vector<ProxyPtr> draining_ ABSL_GUARDED_BY(call_mutex_);
  uint64_t last_serial_ ABSL_GUARDED_BY(call_mutex_) = 0;
  // Restarts, by their numbers, and what came of the last one that was carried out.
  uint64_t asked_ ABSL_GUARDED_BY(call_mutex_) = 0;
  uint64_t carried_out_ ABSL_GUARDED_BY(call_mutex_) = 0;
  absl::Status outcome_ ABSL_GUARDED_BY(call_mutex_);
  // The one that serves is of another build; replaced by then at the latest.
  std::optional<Clock::time_point> replace_by_ ABSL_GUARDED_BY(call_mutex_);
  std::map<std::string, std::shared_ptr<const ProxyContainer>> containers_
      ABSL_GUARDED_BY(call_mutex_);

  // Of the handlers in the cache, by name; those that refer to secrets.
  using References = std::map<std::string, std::vector<v1::SecretReference>>;
  static void Apply(const v1::Delta& delta, References* references);
  static References ReferencesOf(const v1::Delta& delta);
  References references_ ABSL_GUARDED_BY(call_mutex_);
  size_t secrets_hash_ ABSL_GUARDED_BY(call_mutex_) = 0;  // Of what the proxy was given last.
  // A proxy was taken over, and the control plane's secrets have not been heard since.
  bool secrets_unheard_ ABSL_GUARDED_BY(call_mutex_) = false;
  internal::Identity identity_ ABSL_GUARDED_BY(call_mutex_);
  bool shows_certificate_ ABSL_GUARDED_BY(call_mutex_) = false;  // A handler was to be shown it.

  // Never held for long. Taken after call_mutex_.
  mutable Mutex state_mutex_;
  State state_ ABSL_GUARDED_BY(state_mutex_);
  std::set<const RunningProxy*> running_ ABSL_GUARDED_BY(state_mutex_);
  bool stopping_ ABSL_GUARDED_BY(state_mutex_) = false;

  // Of the thread alone.
  Clock::time_point started_;     // The last one.
  Clock::time_point next_start_;  // Not before.
  std::chrono::milliseconds pause_{0};

  std::thread thread_;  // Last: it uses the rest.
};

}  // namespace sallyport::agent

#endif  // SALLYPORT_AGENT_PROXY_SUPERVISOR_H_
