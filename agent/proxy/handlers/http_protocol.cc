#include "agent/proxy/handlers/http_protocol.h"

#include <google/protobuf/util/json_util.h>

#include <algorithm>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_format.h"
#include "agent/proxy/handlers/lease_header.h"
#include "common/base/status.h"
#include "common/base/strings.h"

namespace sallyport::proxy {
namespace {

constexpr std::string_view kPrefix = "sallyport-";
constexpr std::string_view kLease = "sallyport-lease";
constexpr std::string_view kRevokeLeases = "sallyport-revoke-leases";

// One code point of UTF-8 at the front of `text`, which is valid: a Struct holds nothing else.
char32_t TakeCodePoint(std::string_view* text) {
  const auto lead = static_cast<unsigned char>((*text)[0]);
  const size_t length = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
  char32_t point = lead & (0x7f >> length);
  for (size_t i = 1; i < length && i < text->size(); ++i)
    point = point << 6 | (static_cast<unsigned char>((*text)[i]) & 0x3f);
  text->remove_prefix(std::min(length, text->size()));
  return point;
}

// Only ASCII is the same to every web server in a header. In JSON other than ASCII stands in
// strings alone, where it may be escaped.
std::string AsciiJson(std::string_view json) {
  std::string ascii;
  ascii.reserve(json.size());
  while (!json.empty()) {
    if (static_cast<unsigned char>(json[0]) < 0x7f) {
      ascii.push_back(json[0]);
      json.remove_prefix(1);
      continue;
    }
    char32_t point = json[0] == '\x7f' ? 0x7f : 0;
    if (point != 0) {
      json.remove_prefix(1);
    } else {
      point = TakeCodePoint(&json);
    }
    if (point >= 0x10000) {
      absl::StrAppendFormat(&ascii, "\\u%04x\\u%04x", 0xd800 + ((point - 0x10000) >> 10),
                            0xdc00 + (point & 0x3ff));
    } else {
      absl::StrAppendFormat(&ascii, "\\u%04x", point);
    }
  }
  return ascii;
}

std::string ParamsOf(const v1::Context& context) {
  std::string json;
  // Cannot fail: the policy was checked (ValidateParams).
  if (!google::protobuf::util::MessageToJsonString(context.params(), &json).ok()) return "{}";
  return AsciiJson(json);
}

std::string DialledOf(const v1::Context& context) {
  const bool v6 = absl::StrContains(context.dialled_address(), ':');
  return StrCat(v6 ? "[" : "", context.dialled_address(), v6 ? "]" : "", ":",
                context.dialled_port());
}

absl::Status Wrong(std::string_view name, std::string_view what) {
  return absl::InvalidArgumentError(
      StrCat("the handler's header ", Quote(name.substr(0, 64)), " ", what));
}

// nullptr: there is no such header.
std::string* MutableField(std::string_view name, v1::Forward* forward) {
  if (name == "sallyport-forward-method") return forward->mutable_method();
  if (name == "sallyport-forward-scheme") return forward->mutable_scheme();
  if (name == "sallyport-forward-authority") return forward->mutable_authority();
  if (name == "sallyport-forward-path") return forward->mutable_path();
  return nullptr;
}

absl::Status SetFlag(std::string_view name, std::string_view value, bool* flag) {
  if (value != "1" || *flag) return Wrong(name, "is not `1`, once");
  *flag = true;
  return absl::OkStatus();
}

absl::Status AddSetHeader(std::string_view value, v1::Forward* forward) {
  const size_t colon = value.find(':');
  if (colon == value.npos) return Wrong("sallyport-set-header", "is not `NAME: VALUE`");
  v1::Header* const header = forward->add_set_headers();
  header->set_name(std::string(absl::StripAsciiWhitespace(ToAbsl(value.substr(0, colon)))));
  header->set_value(std::string(absl::StripAsciiWhitespace(ToAbsl(value.substr(colon + 1)))));
  return absl::OkStatus();
}

}  // namespace

RequestHead HttpRequestOf(const v1::RequestStart& start) {
  const v1::Context& context = start.context();
  RequestHead head;
  head.method = start.method();
  head.target = start.path();
  head.absolute_scheme = start.scheme();
  head.headers.Reserve(static_cast<size_t>(start.headers_size()) + 10);
  for (const v1::Header& header : start.headers()) head.headers.Add(header.name(), header.value());
  head.headers.Add("sallyport-container-id", context.container_id());
  head.headers.Add("sallyport-class", context.class_name());
  head.headers.Add("sallyport-handler", context.handler());
  head.headers.Add("sallyport-params", ParamsOf(context));
  head.headers.Add("sallyport-rule", context.rule());
  head.headers.Add("sallyport-policy-revision", StrCat(context.policy_revision()));
  head.headers.Add("sallyport-request-id", context.request_id());
  head.headers.Add("sallyport-dialled", DialledOf(context));
  head.expect_continue = start.has_body();
  return head;
}

absl::StatusOr<v1::Forward> ForwardOf(const Headers& headers) {
  v1::Forward forward;
  bool said = false;
  bool revoke = false;
  for (const Header& header : headers.fields()) {
    const std::string name = absl::AsciiStrToLower(header.name);
    if (!name.starts_with(kPrefix)) continue;
    if (name == "sallyport-forward") {
      RETURN_IF_ERROR(SetFlag(name, header.value, &said));
    } else if (name == kLease) {
      if (forward.has_lease()) return Wrong(name, "stands twice");
      ASSIGN_OR_RETURN(*forward.mutable_lease(), ParseLeaseHeader(header.value));
    } else if (name == kRevokeLeases) {
      RETURN_IF_ERROR(SetFlag(name, header.value, &revoke));
    } else if (name == "sallyport-set-header") {
      RETURN_IF_ERROR(AddSetHeader(header.value, &forward));
    } else if (name == "sallyport-remove-header") {
      forward.add_remove_headers(header.value);
    } else if (std::string* const field = MutableField(name, &forward); field == nullptr) {
      return Wrong(name, "is not known; docs/http-handlers.md lists those that are");
    } else if (!field->empty() || header.value.empty()) {
      return Wrong(name, "stands twice, or is empty");
    } else {
      *field = header.value;
    }
  }
  if (!said) {
    return absl::InvalidArgumentError("the handler answered 299 without `sallyport-forward: 1`");
  }
  forward.set_revoke_leases(revoke);
  return forward;
}

absl::StatusOr<LeaseOrders> TakeLeaseOrders(Headers* headers) {
  LeaseOrders orders;
  if (headers->Count(kLease) > 1) return Wrong(kLease, "stands twice");
  if (const std::string* value = headers->Find(kLease)) {
    ASSIGN_OR_RETURN(const v1::Lease lease, ParseLeaseHeader(*value));
    ASSIGN_OR_RETURN(orders.lease, ValidateLease(lease));
    headers->Remove(kLease);
  }
  if (headers->Count(kRevokeLeases) > 1) return Wrong(kRevokeLeases, "is not `1`, once");
  if (const std::string* value = headers->Find(kRevokeLeases)) {
    RETURN_IF_ERROR(SetFlag(kRevokeLeases, *value, &orders.revoke_leases));
    headers->Remove(kRevokeLeases);
  }
  return orders;
}

}  // namespace sallyport::proxy
