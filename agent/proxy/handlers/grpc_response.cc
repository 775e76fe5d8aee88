#include "agent/proxy/handlers/grpc_response.h"

#include <algorithm>
#include <array>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

namespace sallyport::proxy {
namespace {

constexpr size_t kMaxGrpcMessageText = 256;

// By code, from 0. https://grpc.github.io/grpc/core/md_doc_statuscodes.html
constexpr std::array<std::string_view, 17> kCodeNames = {
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
};

std::optional<size_t> ParseCode(std::string_view text) {
  if (text.empty() || text.size() > 2) return std::nullopt;
  size_t code = 0;
  for (const char c : text) {
    if (!absl::ascii_isdigit(c)) return std::nullopt;
    code = code * 10 + (c - '0');
  }
  if (code >= kCodeNames.size()) return std::nullopt;
  return code;
}

bool IsGrpcContentType(std::string_view value) {
  constexpr std::string_view kType = "application/grpc";
  if (!value.starts_with(kType)) return false;
  const std::string_view rest = value.substr(kType.size());
  return rest.empty() || rest[0] == '+' || rest[0] == ';';
}

bool IsInformational(std::string_view http_status) {
  return http_status.size() == 3 && http_status[0] == '1';
}

int HexValue(char c) {
  if (absl::ascii_isdigit(c)) return c - '0';
  return absl::ascii_isxdigit(c) ? absl::ascii_tolower(c) - 'a' + 10 : -1;
}

}  // namespace

std::string PrintableGrpcMessage(std::string_view encoded) {
  std::string text;
  for (size_t i = 0; i < encoded.size() && text.size() < kMaxGrpcMessageText; ++i) {
    char c = encoded[i];
    if (c == '%' && i + 2 < encoded.size() && HexValue(encoded[i + 1]) >= 0 &&
        HexValue(encoded[i + 2]) >= 0) {
      c = static_cast<char>(HexValue(encoded[i + 1]) * 16 + HexValue(encoded[i + 2]));
      i += 2;
    }
    text.push_back(absl::ascii_isprint(c) ? c : '?');
  }
  return text;
}

void GrpcResponse::OnField(std::string_view name, std::string_view value) {
  if (result_.has_value()) return;
  field_bytes_ += name.size() + value.size() + 32;
  if (field_bytes_ > kMaxFieldBytes) {
    Fail(absl::InternalError("the handler's header fields are longer than 16 KiB"));
  } else if (name == ":status") {
    SetOnce(&http_status_, value);
  } else if (name == "content-type" && !have_headers_) {
    SetOnce(&content_type_, value);
  } else if (name == "grpc-status") {
    SetOnce(&grpc_status_, value);
  } else if (name == "grpc-message") {
    SetOnce(&grpc_message_, value);
  }
}

void GrpcResponse::SetOnce(std::optional<std::string>* field, std::string_view value) {
  if (field->has_value()) {
    Fail(absl::InternalError("the handler sent a gRPC header field twice"));
    return;
  }
  field->emplace(value);
}

void GrpcResponse::OnFieldsEnd() {
  field_bytes_ = 0;
  if (result_.has_value() || have_headers_) return;
  if (http_status_.has_value() && IsInformational(*http_status_)) {
    http_status_.reset();
    content_type_.reset();
    grpc_status_.reset();
    grpc_message_.reset();
    return;
  }
  have_headers_ = true;
  if (http_status_ != "200") {
    Fail(absl::InternalError(absl::StrCat("the handler answered HTTP status ",
                                          PrintableGrpcMessage(http_status_.value_or("none")),
                                          " to a gRPC call")));
  } else if (!IsGrpcContentType(content_type_.value_or(""))) {
    Fail(absl::InternalError("the handler's content-type is not application/grpc"));
  }
}

void GrpcResponse::OnData(std::string_view bytes) {
  if (result_.has_value()) return;
  absl::Status appended = decoder_.Append(bytes);
  if (!appended.ok()) Fail(std::move(appended));
}

void GrpcResponse::OnEnd() {
  if (!result_.has_value()) result_ = FinalStatus();
}

void GrpcResponse::Fail(absl::Status status) {
  if (!result_.has_value()) result_ = std::move(status);
}

absl::Status GrpcResponse::FinalStatus() const {
  if (!grpc_status_.has_value()) {
    return absl::InternalError("the handler ended the call without a grpc-status");
  }
  const std::optional<size_t> code = ParseCode(*grpc_status_);
  if (!code.has_value())
    return absl::InternalError("the handler's grpc-status is not a status code");
  if (*code != 0) {
    const std::string text = PrintableGrpcMessage(grpc_message_.value_or(""));
    return absl::InternalError(
        absl::StrCat("the handler ended the call with ",
                     absl::string_view(kCodeNames[*code].data(), kCodeNames[*code].size()),
                     text.empty() ? "" : ": ", text));
  }
  if (!decoder_.at_boundary())
    return absl::InternalError("the handler ended the call within a message");
  return absl::OutOfRangeError("the handler ended the call");
}

}  // namespace sallyport::proxy
