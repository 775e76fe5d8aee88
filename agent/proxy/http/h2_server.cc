#include "agent/proxy/http/h2_server.h"

#include <utility>

#include "agent/proxy/http/deadlines.h"
#include "agent/proxy/http/h2_request.h"

namespace sallyport::proxy {

H2ServerConnection::H2ServerConnection(boost::asio::io_context& context, Stream* stream,
                                       std::string_view early, const H2Limits& limits,
                                       const H2Timeouts& timeouts, bool connect_to_proxy,
                                       ContainerBudget* budget)
    : timeouts_(timeouts),
      connect_to_proxy_(connect_to_proxy),
      session_(context, H2Session::Role::kServer, limits, budget),
      transport_(stream, &session_, timeouts, early),
      idle_until_(Deadlines::In(timeouts.idle)),
      head_until_(Deadlines::In(timeouts.head)) {}

void H2ServerConnection::SetDeadline() {
  const bool awaits_head = session_.awaits_head();
  if (awaits_head && !awaited_head_) head_until_ = Deadlines::In(timeouts_.head);
  awaited_head_ = awaits_head;
  transport_.SetReadDeadline(awaits_head ? head_until_ : idle() ? idle_until_ : SteadyTime::max());
}

Task<std::vector<H2ServerConnection::Request>> H2ServerConnection::ReadRequests() {
  std::vector<Request> requests;
  while (requests.empty() && !session_.finished()) {
    SetDeadline();
    const bool was_idle = idle();
    const absl::Status read = co_await transport_.ReadOnce();
    if (absl::IsDeadlineExceeded(read) && !session_.finished()) {
      if (session_.awaits_head()) {
        session_.Terminate(H2Error::kEnhanceYourCalm, read);
        transport_.SayFarewell();
      } else if (idle()) {
        session_.Retire();
      }
      continue;
    }
    // Streams that came and went again.
    if (!was_idle && idle()) idle_until_ = Deadlines::In(timeouts_.idle);
    for (std::shared_ptr<H2Stream>& stream : session_.TakeNewStreams())
      requests.push_back(RequestOf(std::move(stream)));
    served_ += requests.size();
  }
  co_return requests;
}

H2ServerConnection::Request H2ServerConnection::RequestOf(std::shared_ptr<H2Stream> stream) {
  H2Stream& accepted = *stream;
  Request request;
  request.exchange =
      std::make_unique<H2ServerExchange>(&session_, std::move(stream), timeouts_.body);
  if (accepted.heads.empty()) {
    request.head = BadMessage{0, std::string(accepted.failure.message())};
    return request;
  }
  request.head = ParseH2Request(std::move(accepted.heads.front()), connect_to_proxy_);
  accepted.heads.clear();
  if (const auto* head = std::get_if<RequestHead>(&request.head)) {
    request.exchange->Begin(*head);
    return request;
  }
  const auto& bad = std::get<BadMessage>(request.head);
  if (bad.status == 0) {
    session_.Reset(accepted, H2Error::kProtocolError, absl::InvalidArgumentError(bad.detail));
  }
  session_.Blame(accepted);
  return request;
}

void H2ServerConnection::RequestServed() {
  --served_;
  if (!idle() || session_.finished()) return;
  idle_until_ = Deadlines::In(timeouts_.idle);
  SetDeadline();
}

void H2ServerConnection::CloseNow() {
  session_.Terminate(H2Error::kNoError, absl::UnavailableError("the connection was closed here"));
  transport_.SayFarewell();
}

}  // namespace sallyport::proxy
