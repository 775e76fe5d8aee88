#include "controlplane/authorizer.h"

#include "common/base/log.h"
#include "common/base/status.h"
#include "common/base/strings.h"

namespace sallyport {
namespace {

constexpr uint64_t kLogsPerSecond = 10;

}  // namespace

absl::Status Authorizer::CheckCall(const absl::StatusOr<Caller>& caller,
                                   std::string_view method) const {
  if (!caller.ok()) {
    Log(StrCat("denied to a caller without identity: ", Quote(method), ": ",
               caller.status().message()));
    return caller.status();
  }
  if (caller->is_local()) return absl::OkStatus();
  const pki::Role role = caller->identity->role;
  if (Permitted(role, method) != Extent::kNone) return absl::OkStatus();
  return Deny(*caller, method, StrCat("role ", pki::RoleName(role), " may not call it"));
}

absl::Status Authorizer::CheckName(const grpc::CallbackServerContext& context,
                                   std::string_view method, std::string_view name) const {
  const absl::StatusOr<Caller> caller = authenticator_->WhoCalls(context);
  RETURN_IF_ERROR(CheckCall(caller, method));
  return CheckName(*caller, method, name);
}

absl::Status Authorizer::CheckName(const Caller& caller, std::string_view method,
                                   std::string_view name) const {
  if (caller.is_local()) return absl::OkStatus();
  switch (Permitted(caller.identity->role, method)) {
    case Extent::kAll:
      return absl::OkStatus();
    case Extent::kOwn:
      if (caller.identity->HasName(name)) return absl::OkStatus();
      return Deny(caller, method, StrCat("its certificate does not have the name ", Quote(name)));
    case Extent::kNone:
      break;
  }
  return Deny(caller, method, "its role may not call it");
}

absl::Status Authorizer::CheckAllNames(const grpc::CallbackServerContext& context,
                                       std::string_view method, std::string_view why) const {
  const absl::StatusOr<Caller> caller = authenticator_->WhoCalls(context);
  RETURN_IF_ERROR(CheckCall(caller, method));
  if (caller->is_local()) return absl::OkStatus();
  if (Permitted(caller->identity->role, method) == Extent::kAll) return absl::OkStatus();
  return Deny(*caller, method, why);
}

absl::Status Authorizer::Deny(const Caller& caller, std::string_view method,
                              std::string_view why) const {
  Log(StrCat("denied to ", caller.ToString(), ": ", Quote(method), ": ", why));
  return absl::PermissionDeniedError(
      StrCat("denied to ", caller.ToString(), ": ", method, ": ", why));
}

void Authorizer::Log(std::string_view text) const {
  uint64_t unlogged = 0;
  {
    MutexLock lock(&mutex_);
    const Steady::time_point now = now_();
    if (now - second_ >= std::chrono::seconds(1)) {
      if (logged_ > kLogsPerSecond) unlogged = logged_ - kLogsPerSecond;
      second_ = now;
      logged_ = 0;
    }
    if (++logged_ > kLogsPerSecond) return;
  }
  if (unlogged > 0) LogWarning(unlogged, " more denials were not logged");
  LogWarning(text);
}

}  // namespace sallyport
