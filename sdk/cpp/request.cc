#include <algorithm>
#include <limits>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "sdk/cpp/body_source.h"
#include "sdk/cpp/request_builder.h"

namespace sallyport {
inline namespace handler_sdk {
namespace {

bool SameName(std::string_view a, std::string_view b) {
  return absl::EqualsIgnoreCase(absl::string_view(a.data(), a.size()),
                                absl::string_view(b.data(), b.size()));
}

std::optional<std::string> FirstOf(const std::vector<Header>& headers, std::string_view name) {
  for (const Header& header : headers) {
    if (SameName(header.name, name)) return header.value;
  }
  return std::nullopt;
}

// Of a Request or an OriginResponse.
template <typename Message>
absl::StatusOr<std::string> ReadAll(const Message& message, size_t limit) {
  std::string body;
  while (true) {
    absl::StatusOr<std::optional<std::string>> piece = message.ReadPiece();
    if (!piece.ok()) return piece.status();
    if (!piece->has_value()) return body;
    if ((*piece)->size() > limit - body.size()) {
      return absl::ResourceExhaustedError(
          absl::StrCat("the body is longer than ", limit, " bytes"));
    }
    body += **piece;
  }
}

}  // namespace

std::string Context::Param(const std::string& name, std::string fallback) const {
  const auto found = params.fields().find(name);
  if (found == params.fields().end() || !found->second.has_string_value()) return fallback;
  return found->second.string_value();
}

std::optional<std::string> Request::header(std::string_view name) const {
  return FirstOf(headers_, name);
}

std::optional<std::string> OriginResponse::header(std::string_view name) const {
  return FirstOf(headers, name);
}

absl::StatusOr<std::string> Request::ReadBody(size_t limit) const { return ReadAll(*this, limit); }

absl::StatusOr<std::optional<std::string>> Request::ReadPiece() const {
  if (!has_body_) return std::nullopt;
  return body_->NextPiece();
}

absl::StatusOr<std::string> OriginResponse::ReadBody(size_t limit) const {
  return ReadAll(*this, limit);
}

absl::StatusOr<std::optional<std::string>> OriginResponse::ReadPiece() const {
  if (!has_body || body_ == nullptr) return std::nullopt;
  return body_->NextPiece();
}

Request RequestBuilder::BuildRequest(v1::RequestStart&& start, BodySource* body) {
  Request request;
  request.method_ = std::move(*start.mutable_method());
  request.scheme_ = std::move(*start.mutable_scheme());
  request.authority_ = std::move(*start.mutable_authority());
  request.path_ = std::move(*start.mutable_path());
  request.headers_.reserve(start.headers_size());
  for (v1::Header& header : *start.mutable_headers()) {
    request.headers_.push_back(
        {std::move(*header.mutable_name()), std::move(*header.mutable_value())});
  }
  request.has_body_ = start.has_body();
  if (start.has_content_length()) request.content_length_ = start.content_length();
  request.body_ = body;
  return request;
}

Context RequestBuilder::BuildContext(v1::Context&& proto) {
  Context context;
  context.container_id = std::move(*proto.mutable_container_id());
  context.class_name = std::move(*proto.mutable_class_name());
  context.handler = std::move(*proto.mutable_handler());
  context.params.Swap(proto.mutable_params());
  context.rule = std::move(*proto.mutable_rule());
  context.policy_revision = proto.policy_revision();
  context.request_id = std::move(*proto.mutable_request_id());
  context.dialled_address = std::move(*proto.mutable_dialled_address());
  context.dialled_port = static_cast<uint16_t>(proto.dialled_port());
  context.tls_version = std::move(*proto.mutable_tls_version());
  context.tls_server_name = std::move(*proto.mutable_tls_server_name());
  context.http_version = std::move(*proto.mutable_http_version());
  return context;
}

OriginResponse RequestBuilder::BuildResponse(v1::OriginResponse&& proto, BodySource* body) {
  OriginResponse response;
  response.status = static_cast<int>(proto.status());
  response.headers.reserve(proto.headers_size());
  for (v1::Header& header : *proto.mutable_headers()) {
    response.headers.push_back(
        {std::move(*header.mutable_name()), std::move(*header.mutable_value())});
  }
  response.has_body = proto.has_body();
  if (proto.has_content_length()) response.content_length = proto.content_length();
  response.body_ = body;
  return response;
}

}  // namespace handler_sdk
}  // namespace sallyport
