#include "agent/proxy/refusal.h"

#include <array>
#include <utility>

#include "common/base/strings.h"

namespace sallyport::proxy {
namespace {

constexpr int kProxyAuthenticationRequired = 407;
// It is this host that has no room, for whatever reason; later it may.
constexpr int kUnavailable = 503;
constexpr std::string_view kRetryAfterSeconds = "1";
constexpr std::chrono::seconds kLingerTime{2};
constexpr uint64_t kMaxDrainBytes = 64 * 1024;
constexpr std::chrono::milliseconds kMaxDrainTime{1000};

ResponseHead TextHead(int status, std::string_view reason, std::string_view content_type) {
  ResponseHead head;
  head.status = status;
  head.headers.Add("content-type", content_type);
  head.headers.Add("sallyport-reason", reason);
  return head;
}

// A client that still waits for "100 Continue" is not asked for a body that nobody wants: the
// connection is given up instead.
Task<bool> MayKeepAlive(const ClientConnection& client, const RequestHead& head) {
  if (!head.keep_alive) co_return false;
  if (client.http->body_complete()) co_return true;
  if (head.expect_continue) co_return false;
  co_return co_await client.http->DrainBody(kMaxDrainBytes, kMaxDrainTime);
}

}  // namespace

Task<Outcome> RefuseByPolicy(const Exchange& exchange, Denial denial) {
  Outcome outcome;
  outcome.decision = "deny";
  outcome.reason = ReasonName(denial.reason);
  outcome.rule = std::move(denial.rule);
  const DenyResponse response =
      exchange.policy != nullptr ? exchange.policy->deny_response : DenyResponse{};
  outcome.status = response.status;
  const bool keep_alive = co_await MayKeepAlive(exchange.client, exchange.head);
  const ResponseHead head = TextHead(response.status, outcome.reason, response.content_type);
  const absl::Status written =
      co_await exchange.client.http->WriteResponse(head, response.body, keep_alive);
  if (!written.ok()) outcome.detail = "the container hung up before the answer";
  co_return outcome;
}

Task<Outcome> RefuseRequest(const ClientConnection& client, Refusal refusal) {
  Outcome outcome;
  outcome.decision = "reject";
  outcome.reason = refusal.reason;
  outcome.status = refusal.status;
  outcome.detail = refusal.detail;
  const std::string body = StrCat(refusal.reason, ": ", refusal.detail, "\n");
  ResponseHead head = TextHead(refusal.status, refusal.reason, "text/plain");
  if (refusal.status == kUnavailable) head.headers.Add("retry-after", kRetryAfterSeconds);
  // The answer is a courtesy; whether it arrives changes nothing.
  (void)co_await client.http->WriteResponse(head, body, false);
  co_return outcome;
}

Task<Outcome> DemandCredential(const ClientConnection& client, std::string detail) {
  Outcome outcome;
  outcome.decision = "reject";
  outcome.reason = "proxy_authentication";
  outcome.status = kProxyAuthenticationRequired;
  outcome.detail = std::move(detail);
  ResponseHead head = TextHead(outcome.status, outcome.reason, "text/plain");
  head.headers.Add("proxy-authenticate", "Basic realm=\"sallyport\", charset=\"UTF-8\"");
  (void)co_await client.http->WriteResponse(
      head, "proxy_authentication: the proxy's URL has the container's id and token in it\n",
      false);
  co_return outcome;
}

Task<int> RefuseForReason(ServerExchange* http, const EffectivePolicy* policy,
                          std::string_view reason) {
  int status = 0;
  if (reason == "origin_unreachable" || reason == "dns_tunnel") status = 502;
  if (reason == "origin_timeout") status = 504;
  if (reason == "overloaded" || reason == "over_budget") status = kUnavailable;
  const bool by_policy = status == 0;
  const DenyResponse denied = policy != nullptr ? policy->deny_response : DenyResponse{};
  if (by_policy) status = denied.status;
  const std::string ours = StrCat(reason, "\n");
  const ResponseHead head =
      TextHead(status, reason, by_policy ? denied.content_type : "text/plain");
  // What follows may not be HTTP.
  (void)co_await http->WriteResponse(head, by_policy ? denied.body : ours, false);
  co_return status;
}

Task<Outcome> RefuseOverBudget(const Exchange& exchange, OverBudget over) {
  Outcome outcome;
  outcome.decision = "reject";
  outcome.reason = over.reason();
  outcome.status = over.status;
  outcome.detail = over.name();
  const bool keep_alive = co_await MayKeepAlive(exchange.client, exchange.head);
  ResponseHead head = TextHead(over.status, outcome.reason, "text/plain");
  head.headers.Add("retry-after", kRetryAfterSeconds);
  const std::string body =
      StrCat(outcome.reason, over.name().empty() ? "" : ": ", over.name(), "\n");
  (void)co_await exchange.client.http->WriteResponse(head, body, keep_alive);
  co_return outcome;
}

Task<absl::Status> AnswerHere(const Exchange& exchange, ResponseHead head, std::string_view body) {
  const bool keep_alive = co_await MayKeepAlive(exchange.client, exchange.head);
  co_return co_await exchange.client.http->WriteResponse(head, body, keep_alive);
}

Task<Outcome> AnswerFailure(const Exchange& exchange, int status, std::string_view reason,
                            std::string detail) {
  Outcome outcome;
  outcome.decision = "error";
  outcome.reason = reason;
  outcome.detail = std::move(detail);
  if (exchange.client.http->response_begun()) {
    exchange.client.http->Abort();
    co_return outcome;
  }
  const bool ours = reason == "overloaded" || reason == "over_budget";
  outcome.status = ours ? kUnavailable : status;
  const bool keep_alive = co_await MayKeepAlive(exchange.client, exchange.head);
  const std::string body = StrCat(reason, "\n");
  ResponseHead head = TextHead(outcome.status, reason, "text/plain");
  if (outcome.status == kUnavailable) head.headers.Add("retry-after", kRetryAfterSeconds);
  (void)co_await exchange.client.http->WriteResponse(head, body, keep_alive);
  co_return outcome;
}

Task<Outcome> RefuseBody(const Exchange& exchange, absl::Status status) {
  if (absl::IsInvalidArgument(status) && !exchange.client.http->response_begun()) {
    co_return co_await RefuseRequest(exchange.client,
                                     Refusal{400, "bad_request", std::string(status.message())});
  }
  Outcome outcome;
  outcome.decision = "reject";
  outcome.reason = "bad_request";
  outcome.detail = std::string(status.message());
  exchange.client.http->Abort();
  co_return outcome;
}

Task<void> LingeringClose(Stream* stream) {
  stream->SetDeadline(std::chrono::steady_clock::now() + kLingerTime);
  const absl::Status shut = co_await stream->ShutdownWrite();
  std::array<char, 4096> dropped;
  bool open = shut.ok();
  // However much it is: many a client reads its answer only when it has sent its whole body.
  while (open) {
    const absl::StatusOr<size_t> count = co_await stream->Read(dropped);
    open = count.ok() && *count > 0;
  }
  stream->Close(Stream::How::kGraceful);
}

}  // namespace sallyport::proxy
