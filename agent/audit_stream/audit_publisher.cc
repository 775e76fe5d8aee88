#include "agent/audit_stream/audit_publisher.h"

#include <optional>
#include <utility>

#include "agent/back_off.h"
#include "common/base/log.h"
#include "common/base/status.h"
#include "proto/sallyport/v1/audit_stream.grpc.pb.h"

namespace sallyport::agent {
namespace {

constexpr std::chrono::milliseconds kFirstPause{200};
constexpr std::chrono::milliseconds kLongestPause{10'000};
constexpr size_t kBatchBytes = 256 << 10;

}  // namespace

// One stream, and the tap that it has open.
class AuditPublisher::Stream {
 public:
  Stream(AuditPublisher* publisher, v1::AuditStream::Stub* stub, grpc::ClientContext* context)
      : publisher_(publisher), context_(context), stream_(stub->Publish(context)) {}

  // Until it ends.
  grpc::Status Serve() {
    v1::PublishRequest first;
    first.set_host_name(publisher_->host_name_);
    if (Write(first)) {
      v1::PublishResponse wanted;
      while (stream_->Read(&wanted)) {
        if (const absl::Status status = Heed(wanted); !status.ok()) {
          LogError("audit records cannot be followed: ", status.message());
          context_->TryCancel();
          break;
        }
        v1::PublishRequest heeded;
        heeded.set_following(wanted.number());
        Write(heeded);
      }
    }
    CloseTap();
    return stream_->Finish();
  }

 private:
  absl::Status Heed(const v1::PublishResponse& wanted) {
    AuditFilters filters(wanted.filters().begin(), wanted.filters().end());
    if (!filters.empty() && tap_ == nullptr) return OpenTap(std::move(filters));
    filters.empty() ? CloseTap() : tap_->SetFilters(std::move(filters));
    return absl::OkStatus();
  }

  absl::Status OpenTap(AuditFilters filters) {
    UniqueFd writer;
    ASSIGN_OR_RETURN(tap_, AuditTapReader::Open(std::move(filters), &writer));
    publisher_->following_ = true;
    publisher_->set_tap_(std::move(writer));
    sender_ = std::thread([this] { SendAll(); });
    return absl::OkStatus();
  }

  void CloseTap() {
    if (tap_ == nullptr) return;
    publisher_->set_tap_(UniqueFd());
    tap_->Close();
    sender_.join();
    tap_.reset();
    publisher_->following_ = false;
  }

  // While the control plane is slow, or gone, this waits, and nobody waits for it.
  void SendAll() {
    while (std::optional<v1::PublishRequest::Entries> entries = tap_->Read(kBatchBytes)) {
      for (const v1::AuditEntry& entry : entries->entries()) publisher_->lost_ += entry.missing();
      v1::PublishRequest request;
      *request.mutable_entries() = *std::move(entries);
      if (!Write(request)) return;
    }
  }

  bool Write(const v1::PublishRequest& request) {
    MutexLock lock(&write_mutex_);
    return stream_->Write(request);
  }

  AuditPublisher* const publisher_;
  grpc::ClientContext* const context_;
  const std::unique_ptr<grpc::ClientReaderWriter<v1::PublishRequest, v1::PublishResponse>> stream_;
  Mutex write_mutex_;  // Of the stream: it takes one write at a time.
  std::unique_ptr<AuditTapReader> tap_;
  std::thread sender_;  // While there is a tap.
};

AuditPublisher::AuditPublisher(std::string host_name, SetTap set_tap)
    : host_name_(std::move(host_name)), set_tap_(std::move(set_tap)) {}

AuditPublisher::~AuditPublisher() { Stop(); }

void AuditPublisher::Start(std::shared_ptr<grpc::Channel> channel) {
  thread_ = std::thread([this, channel = std::move(channel)] { Run(channel); });
}

void AuditPublisher::Stop() {
  if (!thread_.joinable()) return;
  {
    MutexLock lock(&mutex_);
    stopping_ = true;
    changed_.SignalAll();
    if (context_ != nullptr) context_->TryCancel();
  }
  thread_.join();
  MutexLock lock(&mutex_);
  stopping_ = false;
}

void AuditPublisher::Run(std::shared_ptr<grpc::Channel> channel) {
  BackOff back_off(kFirstPause, kLongestPause);
  do {
    const auto begin = std::chrono::steady_clock::now();
    const grpc::Status status = RunStream(channel);
    // A stream that always breaks soon is no reason to hurry.
    if (std::chrono::steady_clock::now() - begin >= kLongestPause) back_off.Reset();
    // An older control plane.
    if (status.error_code() == grpc::StatusCode::UNIMPLEMENTED) return;
    MutexLock lock(&mutex_);
    if (!stopping_ && status.error_code() != grpc::StatusCode::UNAVAILABLE)
      LogWarning("audit records cannot be followed from afar now: ", status.error_message());
  } while (Pause(back_off.Next()));
}

grpc::Status AuditPublisher::RunStream(std::shared_ptr<grpc::Channel> channel) {
  const auto stub = v1::AuditStream::NewStub(channel);
  grpc::ClientContext context;
  {
    MutexLock lock(&mutex_);
    if (stopping_) return grpc::Status::CANCELLED;
    context_ = &context;
  }
  const grpc::Status status = Stream(this, stub.get(), &context).Serve();
  MutexLock lock(&mutex_);
  context_ = nullptr;
  return status;
}

bool AuditPublisher::Pause(std::chrono::milliseconds duration) {
  MutexLock lock(&mutex_);
  const auto end = std::chrono::steady_clock::now() + duration;
  while (!stopping_ && std::chrono::steady_clock::now() < end) changed_.WaitUntil(&mutex_, end);
  return !stopping_;
}

}  // namespace sallyport::agent
