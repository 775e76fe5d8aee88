#include "controlplane/mutation_call.h"

#include <algorithm>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "common/base/mutex.h"
#include "common/base/status.h"
#include "common/base/strings.h"
#include "controlplane/rpc_status.h"

namespace sallyport {
namespace {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using Steady = std::chrono::steady_clock;

constexpr milliseconds kDefaultWait(5'000);
constexpr milliseconds kMaxWait(60'000);

absl::StatusOr<nanoseconds> RequestedWait(const v1::MutationOptions& options) {
  if (!v1::Wait_IsValid(options.wait())) {
    return absl::InvalidArgumentError(StrCat("options.wait: ", options.wait(),
                                             " is unknown; write WAIT_ENFORCED or WAIT_STORED"));
  }
  nanoseconds wait = kDefaultWait;
  if (options.has_timeout()) {
    const google::protobuf::Duration& timeout = options.timeout();
    // Seconds first: they may be too many for nanoseconds.
    const bool sane = timeout.seconds() >= 0 && timeout.seconds() <= 60 && timeout.nanos() >= 0 &&
                      timeout.nanos() < 1'000'000'000;
    wait = sane ? std::chrono::seconds(timeout.seconds()) + nanoseconds(timeout.nanos())
                : nanoseconds(-1);
    if (wait < nanoseconds(0) || wait > kMaxWait) {
      return absl::InvalidArgumentError("options.timeout: must be between 0 and 60 s");
    }
  }
  return options.wait() == v1::WAIT_STORED ? nanoseconds(0) : wait;
}

// When to answer, so that the answer arrives before the caller gives up.
Steady::time_point Deadline(nanoseconds wait, std::chrono::system_clock::time_point of_call) {
  const Steady::time_point now = Steady::now();
  const auto left = of_call - std::chrono::system_clock::now();
  if (left >= wait + milliseconds(200)) return now + wait;  // Also where there is no deadline.
  const nanoseconds margin = std::clamp<nanoseconds>(left / 10, milliseconds(5), milliseconds(200));
  return now + std::clamp<nanoseconds>(left - margin, nanoseconds(0), wait);
}

v1::MutationResult ToResult(uint64_t revision, const Waiters::Outcome& outcome) {
  v1::MutationResult result;
  result.set_revision(revision);
  for (const std::string& host : outcome.enforced) result.add_enforced_hosts(host);
  for (const std::string& host : outcome.pending) result.add_pending_hosts(host);
  for (const std::string& rejection : outcome.rejections) result.add_rejections(rejection);
  const auto waited = std::chrono::duration_cast<nanoseconds>(outcome.waited).count();
  result.mutable_waited()->set_seconds(waited / 1'000'000'000);
  result.mutable_waited()->set_nanos(static_cast<int32_t>(waited % 1'000'000'000));
  if (!outcome.rejections.empty()) {
    result.set_enforcement(v1::MutationResult::REJECTED);
  } else if (!outcome.pending.empty()) {
    result.set_enforcement(v1::MutationResult::PENDING);
  } else if (!outcome.enforced.empty()) {
    result.set_enforcement(v1::MutationResult::ENFORCED);
  } else {
    result.set_enforcement(v1::MutationResult::NOT_ATTACHED);
  }
  return result;
}

// Thread-safe; owns itself until gRPC is done with it. Each of its ways ends in one Finish.
class MutationCall final : public grpc::ServerUnaryReactor,
                           public std::enable_shared_from_this<MutationCall> {
 public:
  MutationCall(const ControlPlane* control_plane, grpc::CallbackServerContext* context,
               Mutation mutation)
      : control_plane_(control_plane), context_(context), mutation_(std::move(mutation)) {}

  void Begin() {
    {
      MutexLock lock(&mutex_);
      self_ = shared_from_this();
    }
    const absl::StatusOr<nanoseconds> wait = RequestedWait(mutation_.options);
    if (!wait.ok()) return Finish(ToGrpc(wait.status()));
    const auto self = shared_from_this();
    const bool accepted = control_plane_->writer->Write(
        [self](Transaction& transaction) { return self->Edit(transaction); },
        [self, wait = *wait](const Store::Written& written) { self->WaitAfter(written, wait); });
    if (!accepted) {
      Finish(grpc::Status(grpc::StatusCode::UNAVAILABLE,
                          "the store is behind; nothing was changed; try again"));
    }
  }

  void OnCancel() override {
    uint64_t wait_id = 0;
    {
      MutexLock lock(&mutex_);
      cancelled_ = true;
      wait_id = wait_id_;
    }
    if (wait_id != 0) CancelWait(wait_id);
  }

  void OnDone() override {
    std::shared_ptr<MutationCall> self;  // Outlives the lock.
    MutexLock lock(&mutex_);
    self.swap(self_);
    // A copy that is still held elsewhere may outlive the request, but touches nothing of it.
  }

 private:
  absl::Status Edit(Transaction& transaction) {
    // Whoever gave up while the call stood in line does not want the change any more.
    if (Cancelled()) return absl::CancelledError();
    return mutation_.edit(transaction);
  }

  void WaitAfter(const Store::Written& state, nanoseconds wait) {
    if (!state.ok()) return Finish(ToGrpc(state.status()));

    const ResourceId& subject = mutation_.subject;
    control_plane_->hub->Poke(ConcernedHosts(**state, subject));
    uint64_t revision = RevisionOf(**state, subject);
    if (revision == 0) revision = (*state)->revision;  // It is deleted, or never was.
    const auto deadline = Deadline(wait, context_->deadline());
    const uint64_t wait_id = control_plane_->waiters->Wait(
        subject, revision, deadline,
        [self = shared_from_this(), state = *state, revision](const Waiters::Outcome& outcome) {
          self->mutation_.answer(*state, ToResult(revision, outcome));
          self->Finish(grpc::Status::OK);
        });
    {
      MutexLock lock(&mutex_);
      wait_id_ = wait_id;
    }
    if (Cancelled()) CancelWait(wait_id);
  }

  bool Cancelled() {
    MutexLock lock(&mutex_);
    return cancelled_;
  }

  void CancelWait(uint64_t wait_id) {
    if (control_plane_->waiters->Cancel(wait_id)) Finish(grpc::Status::CANCELLED);
  }

  const ControlPlane* const control_plane_;
  grpc::CallbackServerContext* const context_;
  const Mutation mutation_;

  Mutex mutex_;
  std::shared_ptr<MutationCall> self_ ABSL_GUARDED_BY(mutex_);
  bool cancelled_ ABSL_GUARDED_BY(mutex_) = false;
  uint64_t wait_id_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace

grpc::ServerUnaryReactor* StartMutation(const ControlPlane* control_plane,
                                        grpc::CallbackServerContext* context, Mutation mutation) {
  auto call = std::make_shared<MutationCall>(control_plane, context, std::move(mutation));
  // The raw pointer stays good: OnDone, which lets go of it, comes after this function has returned
  // it to gRPC.
  call->Begin();
  return call.get();
}

}  // namespace sallyport
