// Decisions of handlers that hold for further requests of one container.

#ifndef SALLYPORT_AGENT_PROXY_HANDLERS_LEASE_TABLE_H_
#define SALLYPORT_AGENT_PROXY_HANDLERS_LEASE_TABLE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/functional/function_ref.h"
#include "absl/hash/hash.h"
#include "agent/proxy/handlers/answer.h"
#include "agent/proxy/handlers/lease_terms.h"
#include "agent/proxy/stream.h"
#include "common/base/mutex.h"
#include "common/net/address.h"
#include "common/net/host.h"

namespace sallyport::proxy {

// Where a decision holds, but for method and path. If anything in it changes, no lease is found.
struct LeaseScope {
  std::string handler;
  uint64_t registration = 0;  // The revision of the handler's registration.
  uint64_t lease_epoch = 0;
  std::string rule;    // In words.
  std::string params;  // The same bytes for the same params.
  bool tls = false;
  Host host;
  uint16_t port = 0;
};

// A scope that lies elsewhere, to look for.
struct LeaseScopeView {
  std::string_view handler;
  uint64_t registration = 0;
  uint64_t lease_epoch = 0;
  std::string_view rule;
  std::string_view params;
  bool tls = false;
  std::string_view host;
  uint16_t port = 0;

  // NOLINTNEXTLINE(google-explicit-constructor): what it is a view of.
  LeaseScopeView(const LeaseScope& scope)
      : handler(scope.handler),
        registration(scope.registration),
        lease_epoch(scope.lease_epoch),
        rule(scope.rule),
        params(scope.params),
        tls(scope.tls),
        host(scope.host.text()),
        port(scope.port) {}
  LeaseScopeView() = default;

  friend bool operator==(const LeaseScopeView&, const LeaseScopeView&) = default;
  // Most scopes of a container differ in these.
  template <typename H>
  friend H AbslHashValue(H h, const LeaseScopeView& s) {
    return H::combine(std::move(h), s.handler, s.tls, s.host, s.port);
  }
};

struct LeasedResponse {
  Respond head;
  std::string body;
  Headers trailers;
};

// What was decided. Immutable; may hold secrets, and overwrites them when it goes.
class LeasedAnswer {
 public:
  explicit LeasedAnswer(std::variant<Forward, LeasedResponse> answer);
  ~LeasedAnswer();
  LeasedAnswer(const LeasedAnswer&) = delete;
  LeasedAnswer& operator=(const LeasedAnswer&) = delete;

  const std::variant<Forward, LeasedResponse>& answer() const { return answer_; }
  // What it takes, about.
  size_t bytes() const { return bytes_; }

 private:
  std::variant<Forward, LeasedResponse> answer_;
  size_t bytes_ = 0;
};

// The leases of one container, shared by all workers, so that `max_uses` counts over all of them.
// Thread-safe. Nothing of it is ever written anywhere.
class LeaseTable {
 public:
  static constexpr size_t kMaxLeases = 512;
  static constexpr size_t kMaxBytes = 4 * 1024 * 1024;
  static constexpr size_t kMaxResponseBytes = 64 * 1024;  // handler.proto.

  // Whether there is anything to be found.
  bool empty() const;
  // The decision on such a request, which has used it now, or null. `target` with its query.
  std::shared_ptr<const LeasedAnswer> Use(const LeaseScopeView& scope, std::string_view method,
                                          std::string_view target, SteadyTime now);

  // Holds `answer` for what `terms` say, in the place of leases with the same. `method` and
  // `target` are those of the request that was answered, which it does not count. `dialled` as in
  // `Holds`. If there are too many, those that would end first make room.
  void Grant(LeaseScope scope, const IpAddress& dialled, LeaseTerms terms, std::string_view method,
             std::string_view target, std::shared_ptr<const LeasedAnswer> answer, SteadyTime now);

  void RevokeOf(std::string_view handler);
  // Whether a request of that scope, on a connection dialled to that address, would still be
  // decided so.
  using Holds = absl::FunctionRef<bool(const LeaseScope& scope, const IpAddress& dialled)>;
  void DropUnless(Holds holds);
  void Clear();

  // True: the caller is the one who calls Sweep from now on, every second until that returns false.
  bool TakeSweeping();
  // Drops what has expired. False: nothing is left, and nobody sweeps any more.
  bool Sweep(SteadyTime now);

 private:
  struct Lease {
    IpAddress dialled;
    SteadyTime end;
    std::vector<std::string> methods;
    std::string path;
    bool below = false;      // What lies below the path, too.
    uint32_t uses_left = 0;  // 0: any number.
    std::shared_ptr<const LeasedAnswer> answer;
  };
  struct HashOf {
    using is_transparent = void;
    size_t operator()(const LeaseScopeView& scope) const {
      return absl::Hash<LeaseScopeView>()(scope);
    }
  };
  struct AreSame {
    using is_transparent = void;
    bool operator()(const LeaseScopeView& a, const LeaseScopeView& b) const { return a == b; }
  };
  using Leases = absl::flat_hash_map<LeaseScope, std::vector<Lease>, HashOf, AreSame>;

  void DropIf(absl::FunctionRef<bool(const LeaseScope&, const Lease&)> drop)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void MakeRoom(size_t bytes) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  mutable Mutex mutex_;
  Leases leases_ ABSL_GUARDED_BY(mutex_);
  size_t count_ ABSL_GUARDED_BY(mutex_) = 0;
  size_t bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  bool sweeping_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_HANDLERS_LEASE_TABLE_H_
