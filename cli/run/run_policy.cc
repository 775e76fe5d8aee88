#include "cli/run/run_policy.h"

#include <sys/random.h>
#include <unistd.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "cli/apply.h"
#include "cli/policy/policy_file.h"
#include "common/base/log.h"
#include "common/base/status.h"
#include "common/base/strings.h"
#include "proto/sallyport/v1/admin.grpc.pb.h"

namespace sallyport::cli {
namespace {

// Stored is enough: the class is enforced with the container's attachment.
v1::MutationOptions Stored() {
  v1::MutationOptions options;
  options.set_wait(v1::WAIT_STORED);
  return options;
}

absl::StatusOr<std::string> ApplyFile(const RunOptions& options) {
  ASSIGN_OR_RETURN(const PolicyFile file, ReadPolicyFiles({options.policy_file}));
  std::string name = options.class_name;
  if (name.empty()) {
    if (file.classes.size() != 1) {
      return absl::InvalidArgumentError(StrCat(options.policy_file, " has ", file.classes.size(),
                                               " classes: choose one with --class"));
    }
    name = file.classes[0].value.name();
  }
  const Connection connection(Connection::Server::kControlPlane, options.common);
  v1::ApplyPolicyResponse response;
  const int exit = ApplyPolicyFile(connection, file, ApplyMode::kApply, Stored(), &response);
  if (exit != kDone)
    return absl::FailedPreconditionError(StrCat(options.policy_file, " could not be applied"));
  return name;
}

// Like nobody else's: the id says nothing of classes, and one may be called the same.
std::string OwnClassName() {
  uint64_t number = 0;
  // Cannot fail for so few bytes once the system has started (getrandom(2)).
  (void)!getrandom(&number, sizeof(number), 0);
  return StrCat("run-", absl::Hex(number, absl::kZeroPad16));
}

v1::ContainerClass ClassOf(const RunOptions& options) {
  v1::ContainerClass value;
  value.set_name(OwnClassName());
  if (options.no_internet) value.set_enable_internet(false);
  value.set_intercept_https(options.intercept_https);
  if (!options.allow.empty())
    value.mutable_allowed_hosts()->mutable_hosts()->Assign(options.allow.begin(),
                                                           options.allow.end());
  if (!options.deny.empty())
    value.mutable_denied_hosts()->mutable_hosts()->Assign(options.deny.begin(), options.deny.end());
  return value;
}

}  // namespace

absl::StatusOr<std::unique_ptr<RunPolicy>> RunPolicy::Prepare(const RunOptions& options) {
  if (!options.policy_file.empty()) {
    ASSIGN_OR_RETURN(const std::string name, ApplyFile(options));
    return std::unique_ptr<RunPolicy>(new RunPolicy(options.common, name, false));
  }
  if (!options.class_name.empty())
    return std::unique_ptr<RunPolicy>(new RunPolicy(options.common, options.class_name, false));
  const Connection connection(Connection::Server::kControlPlane, options.common);
  const auto stub = v1::OutboundPolicy::NewStub(connection.channel());
  v1::ApplyClassRequest request;
  *request.mutable_class_() = ClassOf(options);
  *request.mutable_options() = Stored();
  request.mutable_options()->set_expected_revision(0);  // There is none: nobody's is replaced.
  v1::ApplyClassResponse response;
  const grpc::Status status = stub->ApplyClass(ContextFor().get(), request, &response);
  if (!status.ok()) {
    return absl::InvalidArgumentError(StrCat("the policy was refused: ", status.error_message()));
  }
  return std::unique_ptr<RunPolicy>(new RunPolicy(options.common, request.class_().name(), true));
}

RunPolicy::RunPolicy(CommonFlags common, std::string class_name, bool ephemeral)
    : common_(std::move(common)), class_name_(std::move(class_name)), ephemeral_(ephemeral) {}

RunPolicy::~RunPolicy() {
  if (!ephemeral_) return;
  const Connection connection(Connection::Server::kControlPlane, common_);
  const auto stub = v1::OutboundPolicy::NewStub(connection.channel());
  // The container's record is deleted by its detachment, which the agent tells the control plane on
  // a stream of its own: it may be a moment behind.
  v1::DeleteContainerRequest container;
  container.set_container_id(container_id_);
  v1::DeleteContainerResponse container_deleted;
  v1::DeleteClassRequest request;
  request.set_name(class_name_);
  v1::DeleteClassResponse deleted;
  grpc::Status status;
  for (int attempt = 0; attempt < 50; ++attempt) {
    if (!container_id_.empty())
      (void)stub->DeleteContainer(ContextFor().get(), container, &container_deleted);
    status = stub->DeleteClass(ContextFor().get(), request, &deleted);
    if (status.error_code() != grpc::StatusCode::FAILED_PRECONDITION) break;
    usleep(20'000);
  }
  if (!status.ok())
    LogWarning("the class ", class_name_, " is left behind: ", status.error_message());
}

}  // namespace sallyport::cli
