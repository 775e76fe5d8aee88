#include "cli/audit_follow.h"

#include <chrono>
#include <cstdio>
#include <string>
#include <thread>
#include <utility>

#include "cli/run/audit_printer.h"
#include "common/audit/json_line.h"
#include "common/audit/json_text.h"
#include "common/base/strings.h"
#include "proto/sallyport/v1/audit_stream.grpc.pb.h"

namespace sallyport::cli {
namespace {

// Between attempts, when the control plane is away.
constexpr std::chrono::milliseconds kPause{200};

void PrintLine(const std::string& line) {
  std::printf("%s\n", line.c_str());
  std::fflush(stdout);
}

std::string RecordLine(const v1::AuditRecord& record, bool json) {
  if (json) return ToJsonLine(record);
  return StrCat(FormatAuditRecord(record), "   ", record.container_id());
}

std::string GapLine(const v1::FollowResponse::Gap& gap, bool json) {
  if (json) {
    std::string host;
    AppendJsonText(gap.host(), &host);
    return StrCat("{\"gap\":{\"host\":\"", host, "\",\"missing\":", gap.missing(), "}}");
  }
  const std::string whose = gap.host().empty() ? "" : StrCat(" of host ", Quote(gap.host()));
  if (gap.missing() > 0)
    return StrCat(" ", gap.missing(), " records", whose,
                  " are missing here; audit files have them");
  return StrCat(" records", whose,
                " may be missing here: ", gap.host().empty() ? "the control plane" : "its agent",
                " was away");
}

class Follower {
 public:
  Follower(const v1::AuditFilter& filter, bool json) : json_(json) {
    *request_.mutable_filter() = filter;
  }

  // One stream, from its beginning to its end.
  grpc::Status Follow(v1::AuditStream::Stub* stub) {
    grpc::ClientContext context;
    const auto stream = stub->Follow(&context, request_);
    v1::FollowResponse event;
    while (stream->Read(&event)) Take(event);
    return stream->Finish();
  }
  bool has_begun() const { return has_begun_; }
  void NoteAway() {
    if (std::exchange(away_, true)) return;
    std::fprintf(stderr, "sallyport: the control plane is away; going on when it is back\n");
  }

 private:
  void Take(const v1::FollowResponse& event) {
    if (std::exchange(away_, false)) PrintLine(GapLine({}, json_));
    if (event.has_ready()) SayReady(event.ready());
    if (event.has_record()) PrintLine(RecordLine(event.record(), json_));
    if (event.has_gap()) PrintLine(GapLine(event.gap(), json_));
    has_begun_ = true;
  }

  static void SayReady(const v1::FollowResponse::Ready& ready) {
    for (const std::string& host : ready.silent()) {
      std::fprintf(stderr,
                   "sallyport: %s sends no records: its agent has just connected, or is of an "
                   "older version\n",
                   Quote(host).c_str());
    }
    std::fprintf(stderr, "sallyport: following\n");
  }

  v1::FollowRequest request_;
  const bool json_;
  bool has_begun_ = false;
  bool away_ = false;
};

}  // namespace

int FollowAudit(const CommonFlags& flags, const v1::AuditFilter& filter) {
  const Connection connection(Connection::Server::kControlPlane, flags);
  const auto stub = v1::AuditStream::NewStub(connection.channel());
  Follower follower(filter, flags.json);
  while (true) {
    const grpc::Status status = follower.Follow(stub.get());
    const bool away = status.error_code() == grpc::StatusCode::UNAVAILABLE;
    if (!away || !follower.has_begun()) return connection.Report(status);
    follower.NoteAway();
    std::this_thread::sleep_for(kPause);
  }
}

}  // namespace sallyport::cli
