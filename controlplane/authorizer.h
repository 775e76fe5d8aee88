// Who may do what: one table for every method of every service that sallyportd serves. What is not
// in it is denied.
//
// CallGate (call_gate.h) asks CheckCall in front of every call over TLS, before a service sees it.
// Where the table says `own`, the method asks CheckName too, because only it knows the name.

#ifndef SALLYPORT_CONTROLPLANE_AUTHORIZER_H_
#define SALLYPORT_CONTROLPLANE_AUTHORIZER_H_

#include <grpcpp/server_context.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "common/base/mutex.h"
#include "controlplane/authenticator.h"

namespace sallyport {

enum class Extent {
  kNone,
  kOwn,  // Where the request is about a name that the caller's certificate has.
  kAll,
};

struct AllowRow {
  std::string_view method;  // "/sallyport.v1.OutboundPolicy/GetClass".
  Extent viewer;
  Extent agent;
  Extent handler;
  // Role admin may call every method of the table, role server none.
};
absl::Span<const AllowRow> AllowTable();

// kNone for methods that are not in the table.
Extent Permitted(pki::Role role, std::string_view method);

// Thread-safe. Denials are logged, ten a second at most.
class Authorizer {
 public:
  using Steady = std::chrono::steady_clock;
  explicit Authorizer(const Authenticator* authenticator,
                      std::function<Steady::time_point()> now = Steady::now)
      : authenticator_(authenticator), now_(std::move(now)) {}

  const Authenticator& authenticator() const { return *authenticator_; }

  // UNAUTHENTICATED or PERMISSION_DENIED, or the caller may call it, for its own names at least.
  absl::Status CheckCall(const absl::StatusOr<Caller>& caller, std::string_view method) const;

  // For methods that the table gives to some for their own names only: whether the caller may call
  // it for this one.
  absl::Status CheckName(const grpc::CallbackServerContext& context, std::string_view method,
                         std::string_view name) const;
  absl::Status CheckName(const Caller& caller, std::string_view method,
                         std::string_view name) const;

  // For what such a method does to more than the name: only who may call it for all names may.
  // `why`: what is denied to the others.
  absl::Status CheckAllNames(const grpc::CallbackServerContext& context, std::string_view method,
                             std::string_view why) const;

 private:
  absl::Status Deny(const Caller& caller, std::string_view method, std::string_view why) const;
  void Log(std::string_view text) const;

  const Authenticator* const authenticator_;
  const std::function<Steady::time_point()> now_;
  mutable Mutex mutex_;
  mutable Steady::time_point second_ ABSL_GUARDED_BY(mutex_);
  mutable uint64_t logged_ ABSL_GUARDED_BY(mutex_) = 0;  // In this second.
};

}  // namespace sallyport

#endif  // SALLYPORT_CONTROLPLANE_AUTHORIZER_H_
