#include "controlplane/mutation_call.h"

#include <algorithm>
#include <chrono>
#include <memory>
#include <set>
#include <string>
#include <utility>

#include "absl/strings/ascii.h"
#include "common/base/mutex.h"
#include "common/base/status.h"
#include "common/base/strings.h"
#include "common/policy/validate.h"
#include "controlplane/fingerprint.h"
#include "controlplane/mutation_result.h"
#include "controlplane/rpc_status.h"

namespace sallyport {
namespace {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using Steady = std::chrono::steady_clock;

constexpr milliseconds kDefaultWait(5'000);
constexpr milliseconds kMaxWait(60'000);

// Larger than any wait: not a time to wait.
constexpr nanoseconds kWrong = nanoseconds::max();

nanoseconds TimeoutOf(const v1::MutationOptions& options) {
  if (!options.has_timeout()) return kDefaultWait;
  const google::protobuf::Duration& timeout = options.timeout();
  // Seconds first: they may be too many for nanoseconds.
  if (timeout.seconds() < 0 || timeout.seconds() > 60) return kWrong;
  if (timeout.nanos() < 0 || timeout.nanos() >= 1'000'000'000) return kWrong;
  return std::chrono::seconds(timeout.seconds()) + nanoseconds(timeout.nanos());
}

// When to answer, so that the answer arrives before the caller gives up.
Steady::time_point Deadline(nanoseconds wait, std::chrono::system_clock::time_point of_call) {
  const Steady::time_point now = Steady::now();
  const auto left = of_call - std::chrono::system_clock::now();
  if (left >= wait + milliseconds(200)) return now + wait;  // Also where there is no deadline.
  const nanoseconds margin = std::clamp<nanoseconds>(left / 10, milliseconds(5), milliseconds(200));
  return now + std::clamp<nanoseconds>(left - margin, nanoseconds(0), wait);
}

bool IsRequestId(const std::string& id) {
  return id.size() <= 128 && std::all_of(id.begin(), id.end(), [](char c) {
           return absl::ascii_isalnum(static_cast<unsigned char>(c)) ||
                  std::string_view("-_.:").find(c) != std::string_view::npos;
         });
}

absl::Status CheckExpectedRevision(const Mutation& mutation, const State& state) {
  if (!mutation.options.has_expected_revision()) return absl::OkStatus();
  const uint64_t expected = mutation.options.expected_revision();
  const bool of_store = mutation.revision == Mutation::Revision::kOfStore;
  const ResourceId subject = of_store ? ResourceId() : mutation.subjects.front();
  const uint64_t stored = of_store ? state.revision : StoredRevision(state, subject);
  if (stored == expected) return absl::OkStatus();
  const std::string is = of_store      ? StrCat("the store is at revision ", stored)
                         : stored == 0 ? StrCat("there is no ", subject.ToString(), " (revision 0)")
                                       : StrCat(subject.ToString(), " is at revision ", stored);
  const std::string was = expected == 0 && !of_store
                              ? std::string("options.expected_revision 0 says that there is none")
                              : StrCat("options.expected_revision is ", expected);
  return absl::AbortedError(
      StrCat(is, ", but ", was, "; nothing was changed: read it again, then decide anew"));
}

// Thread-safe; owns itself until gRPC is done with it. Each of its ways ends in one Finish.
class MutationCall final : public grpc::ServerUnaryReactor,
                           public std::enable_shared_from_this<MutationCall> {
 public:
  MutationCall(const ControlPlane* control_plane, grpc::CallbackServerContext* context,
               Mutation mutation)
      : control_plane_(control_plane),
        context_(context),
        mutation_(std::move(mutation)),
        fingerprint_(mutation_.options.request_id().empty()
                         ? ""
                         : Fingerprint(mutation_.method, *mutation_.request)) {}

  void Begin() {
    {
      MutexLock lock(&mutex_);
      self_ = shared_from_this();
    }
    if (mutation_.dry_run) return DryRun();
    const auto self = shared_from_this();
    const bool accepted = control_plane_->writer->Write(
        [self](Transaction& transaction) { return self->Edit(&transaction); },
        [self](const Store::Written& written) { self->WaitAfter(written); });
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
  void DryRun() {
    const std::shared_ptr<const State> before = control_plane_->store->Read();
    Transaction transaction(*before);
    absl::Status status = CheckExpectedRevision(mutation_, *before);
    if (status.ok()) status = mutation_.edit(transaction);
    if (!status.ok()) return Finish(ToGrpc(status));
    v1::MutationResult result;
    result.set_revision(before->revision);
    mutation_.answer(transaction.Result(), result);
    Finish(grpc::Status::OK);
  }

  absl::Status Edit(Transaction* transaction) {
    // Whoever gave up while the call stood in line does not want the change any more.
    if (Cancelled()) return absl::CancelledError();
    const std::string& request_id = mutation_.options.request_id();
    const State& state = transaction->state();
    if (const auto earlier = state.requests.Find(request_id)) {
      if (earlier->fingerprint != fingerprint_) {
        return InvalidField("options.request_id",
                            StrCat(Quote(request_id), " was used for another call; use a new id ",
                                   "for each call that is not a repetition"));
      }
      stored_.revision = earlier->revision;
      for (const ResourceId& subject : mutation_.subjects) {
        const uint64_t revision = StoredRevision(state, subject);
        stored_.subjects[subject] =
            revision == 0 ? earlier->revision : std::min(revision, earlier->revision);
      }
      return absl::OkStatus();
    }
    RETURN_IF_ERROR(CheckExpectedRevision(mutation_, state));
    RETURN_IF_ERROR(mutation_.edit(*transaction));
    for (const ResourceId& subject : mutation_.subjects) {
      const uint64_t revision = StoredRevision(state, subject);
      // 0: it is deleted, or never was.
      stored_.subjects[subject] = revision == 0 ? transaction->revision() : revision;
    }
    stored_.revision = mutation_.revision == Mutation::Revision::kOfStore
                           ? transaction->revision()
                           : stored_.subjects.at(mutation_.subjects.front());
    if (!request_id.empty()) transaction->Remember(request_id, fingerprint_, stored_.revision);
    return absl::OkStatus();
  }

  void WaitAfter(const Store::Written& state) {
    if (!state.ok()) return Finish(ToGrpc(state.status()));

    std::set<std::string> hosts;
    for (const auto& [subject, revision] : stored_.subjects) {
      hosts.merge(ConcernedHosts(**state, subject));
    }
    control_plane_->hub->Poke(hosts);
    const uint64_t wait_id = control_plane_->waiters->Wait(
        std::move(stored_.subjects), Deadline(WaitTime(), context_->deadline()),
        [self = shared_from_this(), state = *state,
         revision = stored_.revision](const Waiters::Outcome& outcome) {
          self->mutation_.answer(*state, ToResult(revision, outcome));
          self->Finish(grpc::Status::OK);
        });
    {
      MutexLock lock(&mutex_);
      wait_id_ = wait_id;
    }
    if (Cancelled()) CancelWait(wait_id);
  }

  nanoseconds WaitTime() const {
    return mutation_.options.wait() == v1::WAIT_STORED ? nanoseconds(0)
                                                       : TimeoutOf(mutation_.options);
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
  const std::string fingerprint_;  // Empty: the call has no request id.

  // What the transaction left: to be answered, and to be waited for. The writer's thread's.
  struct Stored {
    uint64_t revision = 0;
    ResourceRevisions subjects;
  } stored_;

  Mutex mutex_;
  std::shared_ptr<MutationCall> self_ ABSL_GUARDED_BY(mutex_);
  bool cancelled_ ABSL_GUARDED_BY(mutex_) = false;
  uint64_t wait_id_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace

void CheckOptions(const v1::MutationOptions& options, Problems* problems) {
  if (!v1::Wait_IsValid(options.wait())) {
    problems->Add("options.wait",
                  StrCat(options.wait(), " is unknown; write WAIT_ENFORCED or WAIT_STORED"));
  }
  if (TimeoutOf(options) > kMaxWait) {
    problems->Add("options.timeout", "must be between 0 and 60 s");
  }
  if (!IsRequestId(options.request_id())) {
    problems->Add("options.request_id",
                  StrCat(Quote(options.request_id()),
                         " is no request id; write 1 to 128 letters, digits, `-`, `_`, `.`, `:`"));
  }
}

grpc::ServerUnaryReactor* StartMutation(const ControlPlane* control_plane,
                                        grpc::CallbackServerContext* context, Mutation mutation) {
  auto call = std::make_shared<MutationCall>(control_plane, context, std::move(mutation));
  // The raw pointer stays good: OnDone, which lets go of it, comes after this function has returned
  // it to gRPC.
  call->Begin();
  return call.get();
}

}  // namespace sallyport
