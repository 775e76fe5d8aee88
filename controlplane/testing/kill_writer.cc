#include "controlplane/testing/kill_writer.h"

#include <google/protobuf/util/message_differencer.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>

#include <chrono>
#include <cstdio>

#include "common/base/strings.h"
#include "controlplane/testing/test_server.h"

namespace sallyport {
namespace {

using Policy = v1::OutboundPolicy::Stub;

constexpr size_t kContainers = 20;
constexpr int kHosts = 30;

// As change `n` leaves it.
v1::ContainerClass ClassAfter(const std::string& name, uint64_t n) {
  v1::ContainerClass value;
  value.set_name(name);
  value.set_enable_internet(n % 2 == 0);
  value.set_intercept_https(n % 3 == 0);
  for (int i = 0; i < kHosts; ++i) {
    value.mutable_allowed_hosts()->add_hosts(StrCat("h", i, "-of-", n, ".example.com"));
  }
  value.mutable_denied_hosts()->add_hosts(StrCat("not-", n, ".example.com"));
  return value;
}

// Which change a class was left by; 0: by none that is whole.
uint64_t ChangeOf(const v1::ContainerClass& value) {
  if (value.denied_hosts().hosts_size() != 1) return 0;
  unsigned long long n = 0;
  if (std::sscanf(value.denied_hosts().hosts(0).c_str(), "not-%llu.example.com", &n) != 1) return 0;
  v1::ContainerClass right = ClassAfter(value.name(), n);
  return right.enable_internet() == value.enable_internet() &&
                 right.intercept_https() == value.intercept_https() &&
                 google::protobuf::util::MessageDifferencer::Equals(right.allowed_hosts(),
                                                                    value.allowed_hosts())
             ? n
             : 0;
}

// Fails at once if nobody is there.
template <typename Request, typename Response>
grpc::Status Try(Policy& stub,
                 grpc::Status (Policy::*method)(grpc::ClientContext*, const Request&, Response*),
                 const Request& request, Response* response) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(10));
  return (stub.*method)(&context, request, response);
}

}  // namespace

std::unique_ptr<Policy> PolicyAt(const std::string& address) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  return v1::OutboundPolicy::NewStub(
      grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments));
}

KillWriter::KillWriter(int number) : class_name_(StrCat("of-writer-", number)) {}

std::string KillWriter::ContainerId(uint64_t n) const { return StrCat(class_name_, ".", n); }

void KillWriter::Run(const std::string& address, std::atomic<int>* answered) {
  const std::unique_ptr<Policy> policy = PolicyAt(address);
  while (true) {
    ++last_;
    const bool went = last_ % 3 == 1                     ? ChangeClass(policy.get())
                      : containers_.size() < kContainers ? MakeContainer(policy.get())
                                                         : DeleteContainer(policy.get());
    if (!went) return;
    ++*answered;
  }
}

bool KillWriter::ChangeClass(Policy* policy) {
  v1::ApplyClassRequest request;
  *request.mutable_class_() = ClassAfter(class_name_, last_);
  *request.mutable_options() = WaitStored();
  v1::ApplyClassResponse response;
  unsure_class_ = last_;
  if (!Try(*policy, &Policy::ApplyClass, request, &response).ok()) return false;
  unsure_class_.reset();
  class_change_ = last_;
  class_revision_ = response.result().revision();
  return true;
}

bool KillWriter::MakeContainer(Policy* policy) {
  v1::CreateContainerRequest request;
  request.set_container_id(ContainerId(last_));
  request.set_class_name(class_name_);
  v1::CreateContainerResponse response;
  unsure_container_ = request.container_id();
  if (!Try(*policy, &Policy::CreateContainer, request, &response).ok()) return false;
  unsure_container_.reset();
  containers_.insert(request.container_id());
  return true;
}

bool KillWriter::DeleteContainer(Policy* policy) {
  v1::DeleteContainerRequest request;
  request.set_container_id(*containers_.begin());
  v1::DeleteContainerResponse response;
  unsure_container_ = request.container_id();
  if (!Try(*policy, &Policy::DeleteContainer, request, &response).ok()) return false;
  unsure_container_.reset();
  containers_.erase(request.container_id());
  return true;
}

std::string KillWriter::Check(Policy* policy) {
  std::string wrong = CheckClass(policy);
  return wrong.empty() ? CheckContainers(policy) : wrong;
}

std::string KillWriter::CheckClass(Policy* policy) {
  v1::GetClassRequest request;
  request.set_name(class_name_);
  v1::GetClassResponse response;
  const grpc::Status status = Try(*policy, &Policy::GetClass, request, &response);
  if (status.error_code() == grpc::StatusCode::NOT_FOUND && class_change_ == 0) {
    unsure_class_.reset();
    last_ = 0;  // The class is the first thing to make.
    return "";
  }
  if (!status.ok()) return StrCat(class_name_, ": ", status.error_message());
  const uint64_t change = ChangeOf(response.class_());
  if (change == 0) return StrCat(class_name_, " is torn: ", response.ShortDebugString());
  if (change != class_change_ && change != unsure_class_) {
    return StrCat(class_name_, " is of change ", change, ", not ", class_change_, " nor ",
                  unsure_class_.value_or(0));
  }
  const bool same = change == class_change_;
  if (same ? response.revision() != class_revision_ : response.revision() <= class_revision_) {
    return StrCat(class_name_, " is at revision ", response.revision(), " after ", class_revision_);
  }
  class_change_ = change;
  class_revision_ = response.revision();
  unsure_class_.reset();
  return "";
}

std::string KillWriter::CheckContainers(Policy* policy) {
  v1::ListContainersRequest request;
  request.set_class_name(class_name_);
  v1::ListContainersResponse response;
  const grpc::Status status = Try(*policy, &Policy::ListContainers, request, &response);
  if (!status.ok()) return StrCat("list: ", status.error_message());
  std::set<std::string> there;
  for (const v1::ContainerStatus& container : response.containers()) {
    there.insert(container.policy().container_id());
  }
  for (const std::string& id : there) {
    if (!containers_.contains(id) && id != unsure_container_) return StrCat(id, " is there");
  }
  for (const std::string& id : containers_) {
    if (!there.contains(id) && id != unsure_container_) return StrCat(id, " is lost");
  }
  containers_ = std::move(there);
  unsure_container_.reset();
  return "";
}

}  // namespace sallyport
