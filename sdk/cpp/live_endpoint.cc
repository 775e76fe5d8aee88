#include "sdk/cpp/live_endpoint.h"

#include <grpcpp/create_channel.h>

#include <algorithm>
#include <random>
#include <utility>

#include "common/base/log.h"
#include "common/base/status.h"
#include "common/base/strings.h"
#include "common/pki/channel_credentials.h"
#include "proto/sallyport/v1/registry.grpc.pb.h"

namespace sallyport {
inline namespace handler_sdk {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// Until the next attempt: it doubles.
constexpr milliseconds kFirstWait{100};
constexpr milliseconds kLongestWait{3000};
// Until the control plane has answered: it waits 5 s for hosts.
constexpr seconds kAnswer{10};
constexpr seconds kFarewell{1};

// No attempt will fare better until somebody acts.
bool IsRefusal(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kNotFound:
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kPermissionDenied:
    case absl::StatusCode::kUnauthenticated:
    case absl::StatusCode::kResourceExhausted:
    case absl::StatusCode::kUnimplemented:
    case absl::StatusCode::kFailedPrecondition:  // Of the files in `tls_dir`.
      return true;
    default:
      return false;
  }
}

absl::Status ToAbslStatus(const grpc::Status& status) {
  if (status.ok()) return absl::UnavailableError("the control plane ended the stream");
  return absl::Status(static_cast<absl::StatusCode>(status.error_code()),
                      pki::ExplainConnectFailure(status.error_message()));
}

// Between half of it and all: those that lost the same control plane come back one by one.
milliseconds Spread(milliseconds wait) {
  static thread_local std::minstd_rand random(std::random_device{}());
  return wait / 2 + milliseconds(random() % (static_cast<uint64_t>(wait.count()) / 2 + 1));
}

v1::ServeHandlerRequest StartMessage(const std::string& name, const std::string& endpoint,
                                     milliseconds grace_period) {
  v1::ServeHandlerRequest message;
  v1::ServeHandlerRequest::Start& start = *message.mutable_start();
  start.set_name(name);
  start.set_endpoint(endpoint);
  google::protobuf::Duration& grace = *start.mutable_grace_period();
  grace.set_seconds(grace_period.count() / 1000);
  grace.set_nanos(static_cast<int32_t>(grace_period.count() % 1000 * 1'000'000));
  return message;
}

}  // namespace

// One thread reads while another writes.
struct LiveEndpoint::Stream {
  std::unique_ptr<v1::HandlerRegistry::Stub> stub;
  grpc::ClientContext context;
  std::unique_ptr<grpc::ClientReaderWriter<v1::ServeHandlerRequest, v1::ServeHandlerResponse>> call;
};

LiveEndpoint::LiveEndpoint(Live live, std::string name, std::string endpoint)
    : live_(std::move(live)),
      name_(std::move(name)),
      endpoint_(std::move(endpoint)),
      wait_(kFirstWait),
      thread_([this] { Run(); }) {}

LiveEndpoint::~LiveEndpoint() {
  const Clock::time_point until = Clock::now() + kFarewell;
  std::shared_ptr<Stream> stream;
  {
    MutexLock lock(&mutex_);
    ending_ = true;
    stream = stream_;
  }
  changed_.SignalAll();
  if (stream != nullptr) {
    HalfClose(stream.get());
    MutexLock lock(&mutex_);
    while (!over_ && changed_.WaitUntil(&mutex_, until)) continue;
  }
  if (stream != nullptr) stream->context.TryCancel();
  thread_.join();
}

absl::Status LiveEndpoint::AwaitFirst() {
  const Clock::time_point until = Clock::now() + kAnswer;
  MutexLock lock(&mutex_);
  while (!first_.has_value() && changed_.WaitUntil(&mutex_, until)) continue;
  if (first_.has_value()) return *first_;
  LogWarning(ToString(), " is not registered: ", live_.control_plane,
             " has not answered so far; waiting for it");
  first_ = absl::OkStatus();
  return *first_;
}

void LiveEndpoint::Drain() {
  const Clock::time_point until = Clock::now() + kAnswer;
  std::shared_ptr<Stream> stream;
  {
    MutexLock lock(&mutex_);
    ending_ = true;
    if (!registered_) return changed_.SignalAll();
    if (!std::exchange(draining_, true)) stream = stream_;
  }
  changed_.SignalAll();
  if (stream != nullptr) {
    v1::ServeHandlerRequest message;
    message.mutable_drain();
    stream->call->Write(message);  // If it is lost, the stream is over.
  }
  MutexLock lock(&mutex_);
  while (!drained_ && !over_) {
    if (!changed_.WaitUntil(&mutex_, until)) {
      return LogWarning(ToString(), " drained without the control plane's word");
    }
  }
}

void LiveEndpoint::Run() {
  while (Pause(Serve())) continue;
  {
    MutexLock lock(&mutex_);
    over_ = true;
  }
  changed_.SignalAll();
}

bool LiveEndpoint::Pause(const absl::Status& ended) {
  MutexLock lock(&mutex_);
  stream_ = nullptr;
  if (std::exchange(registered_, false)) wait_ = kFirstWait;
  const bool refused = IsRefusal(ended);
  if (!first_.has_value()) {
    first_ = refused ? ended : absl::OkStatus();
    changed_.SignalAll();
  }
  if (ending_ || !first_->ok()) return false;
  LogLine(refused ? LogLevel::kError : LogLevel::kWarning,
          StrCat(ToString(), " is not registered: ", ToStd(ended.message()), "; trying again"));
  const Clock::time_point until = Clock::now() + Spread(wait_);
  wait_ = std::min(wait_ * 2, kLongestWait);
  while (!ending_ && changed_.WaitUntil(&mutex_, until)) continue;
  return !ending_;
}

absl::StatusOr<std::shared_ptr<LiveEndpoint::Stream>> LiveEndpoint::Open() const {
  // Files that were replaced meanwhile are read anew.
  ASSIGN_OR_RETURN(const std::shared_ptr<grpc::ChannelCredentials> credentials,
                   pki::CredentialsFor(live_.control_plane, live_.tls_dir));
  grpc::ChannelArguments arguments;
  // A control plane that went without a word is noticed.
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 20'000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 10'000);
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  // Each attempt connects anew, after our wait and not gRPC's.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  auto stream = std::make_shared<Stream>();
  stream->stub = v1::HandlerRegistry::NewStub(
      grpc::CreateCustomChannel(live_.control_plane, credentials, arguments));
  stream->call = stream->stub->ServeHandler(&stream->context);
  return stream;
}

absl::Status LiveEndpoint::Serve() {
  ASSIGN_OR_RETURN(const std::shared_ptr<Stream> stream, Open());
  {
    MutexLock lock(&mutex_);
    if (ending_) return absl::CancelledError("it ends");
    stream_ = stream;
    started_ = half_closed_ = false;
  }
  // What it fails for, Finish says.
  if (stream->call->Write(StartMessage(name_, endpoint_, live_.grace_period))) {
    bool ending = false;
    {
      MutexLock lock(&mutex_);
      started_ = true;
      ending = ending_;
    }
    if (ending) HalfClose(stream.get());
  }
  v1::ServeHandlerResponse response;
  while (stream->call->Read(&response)) Take(response.has_registered(), response.has_drained());
  return ToAbslStatus(stream->call->Finish());
}

void LiveEndpoint::Take(bool registered, bool drained) {
  {
    MutexLock lock(&mutex_);
    if (drained) drained_ = true;
    if (registered) {
      registered_ = true;
      if (!first_.has_value()) first_ = absl::OkStatus();
    }
  }
  changed_.SignalAll();
  if (registered) LogInfo(ToString(), " is registered");
}

void LiveEndpoint::HalfClose(Stream* stream) {
  {
    MutexLock lock(&mutex_);
    if (!started_ || std::exchange(half_closed_, true)) return;
  }
  stream->call->WritesDone();
}

std::string LiveEndpoint::ToString() const {
  return StrCat("handler ", name_, ", endpoint ", endpoint_);
}

}  // namespace handler_sdk
}  // namespace sallyport
