#include "agent/proxy/forward_changes.h"

#include <utility>

#include "absl/strings/numbers.h"
#include "agent/proxy/forged_headers.h"

namespace sallyport::proxy {
namespace {

constexpr std::string_view kRequestId = "sallyport-request-id";

void RemoveAllSpellings(std::string_view name, Headers* headers) {
  headers->RemoveIf([name](const Header& header) { return IsSameVariable(header.name, name); });
}

// Those of the other side go first, so that exactly what the handler set is sent.
void Replace(const Headers& set_headers, Headers* headers) {
  for (const Header& header : set_headers.fields()) RemoveAllSpellings(header.name, headers);
  for (const Header& header : set_headers.fields()) headers->Add(header.name, header.value);
}

}  // namespace

OriginRequest Changed(const Exchange& exchange, const Forward& forward) {
  OriginRequest request = OriginRequestOf(exchange);
  if (!forward.method.empty()) request.method = forward.method;
  if (!forward.path.empty()) request.target = forward.path;
  if (!forward.authority.has_value()) request.within = exchange.within;
  const bool raised = forward.scheme == "https" && request.scheme == RequestScheme::kHttp;
  if (raised) request.scheme = RequestScheme::kHttps;
  if (forward.authority.has_value()) {
    request.host_is_handlers = !(forward.authority->host == request.host);
    request.host = forward.authority->host;
    request.port = forward.authority->port.value_or(DefaultPort(request.scheme));
  } else if (raised && request.port == DefaultPort(RequestScheme::kHttp)) {
    request.port = DefaultPort(RequestScheme::kHttps);
  }
  for (const std::string& name : forward.remove_headers) {
    RemoveAllSpellings(name, &request.headers);
    if (name == "upgrade") request.websocket = false;
  }
  if (request.method != "GET") request.websocket = false;
  Replace(forward.set_headers, &request.headers);
  request.withheld_trailers = forward.remove_headers;
  for (const Header& header : forward.set_headers.fields()) {
    request.withheld_trailers.push_back(header.name);
  }
  if (forward.send_request_id) request.headers.Set(kRequestId, exchange.request_id);
  return request;
}

void Change(const Pass& pass, ResponseHead* head) {
  if (pass.status != 0) {
    head->status = pass.status;
    head->reason.clear();
  }
  for (const std::string& name : pass.remove_headers) head->headers.Remove(name);
  if (pass.transform_body) {
    head->headers.Remove("content-length");
    head->framing = BodyFraming::kChunked;
  }
  for (const Header& header : pass.set_headers.fields()) head->headers.Remove(header.name);
  for (const Header& header : pass.set_headers.fields())
    head->headers.Add(header.name, header.value);
}

absl::Status SetFraming(ResponseHead* head) {
  head->framing = BodyFraming::kChunked;
  head->may_have_trailers = true;
  const std::string* length = head->headers.Find("content-length");
  if (length == nullptr) return absl::OkStatus();
  if (head->headers.Count("content-length") != 1 ||
      !absl::SimpleAtoi(*length, &head->content_length)) {
    return absl::InvalidArgumentError("the handler's content-length is not a length");
  }
  head->framing = BodyFraming::kLength;
  head->headers.Remove("content-length");
  return absl::OkStatus();
}

}  // namespace sallyport::proxy
