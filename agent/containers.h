// The containers that are attached on this host, and how they come and go.

#ifndef SALLYPORT_AGENT_CONTAINERS_H_
#define SALLYPORT_AGENT_CONTAINERS_H_

#include <sys/types.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "agent/attach/host_rules.h"
#include "agent/attach/netns.h"
#include "agent/attach/redirect.h"
#include "agent/attach/run_directory.h"
#include "agent/keep/fd_store.h"
#include "agent/kept_container.h"
#include "agent/kept_names.h"
#include "agent/link_watcher.h"
#include "agent/process_watcher.h"
#include "agent/proxy_supervisor.h"
#include "agent/sync_client.h"
#include "common/base/mutex.h"

namespace sallyport::agent {

struct AttachOrder {
  std::string container_id;
  std::string class_name;
  // A process in the namespace, or the namespace's path. With `proxy_address`: a process whose end
  // detaches the container, or 0.
  std::variant<pid_t, std::string> where;
  // Where an explicit proxy is to listen, for a container without a namespace; absent: none.
  std::optional<std::string> proxy_address;
  std::string audit_path;  // Empty: none.
  std::chrono::milliseconds wait{5'000};
  bool ephemeral = false;
  // It keeps its own interfaces, for what others begin.
  bool routed = false;
  google::protobuf::Struct params;  // For its handlers.
};

struct AttachOutcome {
  std::string ca_certificate_pem;
  Enforcement enforcement;
  std::string proxy_url;  // Of an explicit proxy; holds its credential.
};

// Thread-safe.
class Containers {
 public:
  struct Listed {
    std::string container_id;
    std::string class_name;
    pid_t pid = 0;                   // 0: attached by path, or without a process.
    std::string proxy_address;       // Of an explicit proxy; empty: none.
    uint64_t enforced_revision = 0;  // 0: no policy yet.
  };

  // Interfaces that came to attached containers later.
  struct LaterLinks {
    uint64_t removed = 0;
    uint64_t ended = 0;  // Containers that were ended, because theirs could not be removed.
  };

  // All outlive this. `kept`: containers of an agent before this one, which `supervisor` and `sync`
  // have already. One whose process has ended meanwhile is detached at once.
  Containers(RunDirectory* run_directory, HostRules* rules, ProxySupervisor* supervisor,
             SyncClient* sync, const FdStore* store, std::vector<KeptContainer> kept);
  ~Containers();

  // Errors: those of AgentControl.Attach. After an error nothing is attached.
  absl::StatusOr<AttachOutcome> Attach(const AttachOrder& order);
  // NOT_FOUND if it is not attached.
  absl::Status Detach(const std::string& container_id);
  // Waits until nothing is left of a container whose process has ended. NOT_FOUND if it is not
  // attached, FAILED_PRECONDITION if it runs.
  absl::Status AwaitDetached(const std::string& container_id);
  // REQUIRES: no other call is under way, nor follows but List.
  void Close();
  std::vector<Listed> List() const;  // By id.
  LaterLinks later_links() const { return {links_removed_, containers_ended_}; }

 private:
  using Clock = std::chrono::steady_clock;

  enum class Stage { kComing, kHere, kGoing };
  struct Attachment {
    Stage stage = Stage::kComing;
    uint64_t serial = 0;
    std::string kept_as;        // Empty: there is no store.
    NamespaceId network;        // That of nothing: an explicit proxy.
    std::string proxy_address;  // Of an explicit proxy.
    std::string class_name;
    pid_t pid = 0;
    UniqueFd process;  // Invalid: attached by path, or without a process.
    bool ephemeral = false;
  };
  // What an order's namespace was found to be.
  struct Target {
    pid_t pid = 0;
    UniqueFd process;
    std::optional<NetworkNamespace> network;  // Absent: an explicit proxy.

    NamespaceId network_id() const { return network.has_value() ? network->id() : NamespaceId(); }
  };
  // What serving a container has come to.
  struct Served {
    std::string ca_certificate_pem;
    std::string proxy_url;
    std::optional<UniqueFd> link_events;  // Of its network namespace, if it has one.
  };

  static absl::Status Check(const AttachOrder& order);
  static absl::StatusOr<Target> Find(const AttachOrder& order);
  // Nothing but time is between it and its end.
  static bool IsLeaving(const Attachment& attachment);
  using Attachments = std::map<std::string, Attachment>;
  // The attachment that holds the order's id or its namespace, if there is one.
  Attachments::const_iterator InTheWay(const AttachOrder& order, const Target& target) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Holds id, namespace and a name in the store for one attachment, once one that leaves has let go
  // of them; returns its serial.
  absl::StatusOr<uint64_t> Reserve(const AttachOrder& order, const Target& target);
  void Release(const std::string& container_id);
  // Redirect, listeners, CA, proxy: from here on the proxy serves it, by the policy that it has,
  // and the next agent will know of it.
  absl::StatusOr<Served> Serve(const AttachOrder& order, const Target& target);
  absl::StatusOr<Redirected> Redirect(const AttachOrder& order, const NetworkNamespace& network);
  void TakeOver(KeptContainer kept);
  // The attachment is complete; it ends with its process.
  absl::Status Settle(const AttachOrder& order, Target target, std::optional<UniqueFd> link_events,
                      uint64_t serial);
  // Of a container of an agent before this one.
  absl::Status WatchLinks(const ContainerSockets& sockets, uint64_t serial);
  absl::StatusOr<Enforcement> AwaitPolicy(const AttachOrder& order, uint64_t serial);
  // Detaches it if it is still the one of that serial.
  absl::Status DetachSerial(const std::string& container_id, uint64_t serial);
  void OnProcessEnd(uint64_t serial);
  void OnLaterLink(uint64_t serial, const LinkWatcher::Outcome& outcome);

  RunDirectory* const run_directory_;
  HostRules* const rules_;
  ProxySupervisor* const supervisor_;
  SyncClient* const sync_;
  const FdStore* const store_;

  mutable Mutex mutex_;
  uint64_t last_serial_ ABSL_GUARDED_BY(mutex_) = 0;
  Attachments attachments_ ABSL_GUARDED_BY(mutex_);
  KeptNames kept_names_ ABSL_GUARDED_BY(mutex_);
  CondVar released_;  // Something was taken out of attachments_.

  std::atomic<uint64_t> links_removed_ = 0;
  std::atomic<uint64_t> containers_ended_ = 0;

  // Last: they call the rest.
  std::optional<LinkWatcher> link_watcher_;
  std::optional<ProcessWatcher> watcher_;
};

}  // namespace sallyport::agent

#endif  // SALLYPORT_AGENT_CONTAINERS_H_
