#include <algorithm>
#include <chrono>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "sdk/cpp/answer_writer.h"

namespace sallyport {
inline namespace handler_sdk {
namespace {

void RemoveAll(std::vector<Header>* headers, std::string_view name) {
  std::erase_if(*headers, [name](const Header& header) {
    return absl::EqualsIgnoreCase(header.name, absl::string_view(name.data(), name.size()));
  });
}

void AddTo(google::protobuf::RepeatedPtrField<v1::Header>* list, const Header& header) {
  v1::Header* added = list->Add();
  added->set_name(absl::AsciiStrToLower(header.name));
  added->set_value(header.value);
}

void SetLeaseIn(const Lease& lease, v1::Lease* proto) {
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(lease.ttl);
  proto->mutable_ttl()->set_seconds(seconds.count());
  proto->mutable_ttl()->set_nanos(
      static_cast<int32_t>(std::chrono::nanoseconds(lease.ttl - seconds).count()));
  proto->set_max_uses(lease.max_uses);
  for (const std::string& method : lease.methods) proto->add_methods(method);
  proto->set_path_prefix(lease.path_prefix);
}

// RFC 9110 section 8.6: no content-length for these.
bool HasNoLength(int status) { return status == 204 || status == 304; }

}  // namespace

Forward& Forward::SetHeader(std::string name, std::string value) {
  RemoveAll(&set_headers_, name);
  set_headers_.push_back({std::move(name), std::move(value)});
  return *this;
}

Forward& Forward::RemoveHeader(std::string name) {
  RemoveAll(&set_headers_, name);
  remove_headers_.push_back(std::move(name));
  return *this;
}

Forward& Forward::SetMethod(std::string method) {
  method_ = std::move(method);
  return *this;
}

Forward& Forward::SetPath(std::string path_and_query) {
  path_ = std::move(path_and_query);
  return *this;
}

Forward& Forward::SetAuthority(std::string host_and_port) {
  authority_ = std::move(host_and_port);
  return *this;
}

Forward& Forward::UpgradeToHttps() {
  https_ = true;
  return *this;
}

Forward& Forward::SendRequestId() {
  send_request_id_ = true;
  return *this;
}

Forward& Forward::TransformRequest(BodyTransform transform, std::optional<uint64_t> length) {
  transform_ = std::move(transform);
  length_ = length;
  return *this;
}

Forward& Forward::SetBody(std::string body) {
  body_ = std::move(body);
  return *this;
}

Forward& Forward::InspectResponse(std::function<ResponseAnswer(const OriginResponse&)> inspect) {
  inspect_ = std::move(inspect);
  return *this;
}

Forward& Forward::SetLease(Lease lease) {
  lease_ = std::move(lease);
  return *this;
}

Forward& Forward::RevokeLeases() {
  revoke_leases_ = true;
  return *this;
}

Pass& Pass::SetStatus(int status) {
  status_ = status;
  return *this;
}

Pass& Pass::SetHeader(std::string name, std::string value) {
  RemoveAll(&set_headers_, name);
  set_headers_.push_back({std::move(name), std::move(value)});
  return *this;
}

Pass& Pass::RemoveHeader(std::string name) {
  RemoveAll(&set_headers_, name);
  remove_headers_.push_back(std::move(name));
  return *this;
}

Pass& Pass::TransformBody(BodyTransform transform) {
  transform_ = std::move(transform);
  return *this;
}

Pass& Pass::SetBody(std::string body) {
  body_ = std::move(body);
  return *this;
}

Respond::Respond(int status, std::string body, std::vector<Header> headers)
    : status_(status), headers_(std::move(headers)), body_(std::move(body)) {}

Respond& Respond::SetHeader(std::string_view name, std::string value) {
  RemoveAll(&headers_, name);
  return AddHeader(std::string(name), std::move(value));
}

Respond& Respond::AddHeader(std::string name, std::string value) {
  headers_.push_back({std::move(name), std::move(value)});
  return *this;
}

Respond& Respond::SetLease(Lease lease) {
  lease_ = std::move(lease);
  return *this;
}

Respond& Respond::RevokeLeases() {
  revoke_leases_ = true;
  return *this;
}

Respond& Respond::StreamBody(std::function<void(BodyWriter&)> write) {
  stream_ = std::move(write);
  return *this;
}

v1::HandleResponse AnswerWriter::Message(const Forward& forward) {
  v1::HandleResponse message;
  v1::Forward& proto = *message.mutable_forward();
  proto.set_method(forward.method_);
  proto.set_scheme(forward.https_ ? "https" : "");
  proto.set_authority(forward.authority_);
  proto.set_path(forward.path_);
  for (const Header& header : forward.set_headers_) AddTo(proto.mutable_set_headers(), header);
  for (const std::string& name : forward.remove_headers_) {
    proto.add_remove_headers(absl::AsciiStrToLower(name));
  }
  proto.set_inspect_response(forward.inspect_ != nullptr);
  proto.set_transform_request(HasBody(forward));
  if (forward.body_.has_value()) {
    proto.set_content_length(forward.body_->size());
  } else if (forward.length_.has_value()) {
    proto.set_content_length(*forward.length_);
  }
  proto.set_send_request_id(forward.send_request_id_);
  if (forward.lease_.has_value()) SetLeaseIn(*forward.lease_, proto.mutable_lease());
  proto.set_revoke_leases(forward.revoke_leases_);
  return message;
}

bool AnswerWriter::HasBody(const Forward& forward) {
  return forward.transform_ != nullptr || forward.body_.has_value();
}

bool AnswerWriter::GoesOn(const Forward& forward) {
  return forward.inspect_ != nullptr || HasBody(forward);
}

v1::HandleResponse AnswerWriter::Message(const Pass& pass, bool has_body) {
  v1::HandleResponse message;
  v1::PassResponse& proto = *message.mutable_pass_response();
  proto.set_status(static_cast<uint32_t>(pass.status_));
  for (const Header& header : pass.set_headers_) AddTo(proto.mutable_set_headers(), header);
  for (const std::string& name : pass.remove_headers_)
    proto.add_remove_headers(absl::AsciiStrToLower(name));
  const bool sets_body = pass.body_.has_value() && has_body;
  if (sets_body)
    AddTo(proto.mutable_set_headers(), {"content-length", absl::StrCat(pass.body_->size())});
  proto.set_transform_body(sets_body || pass.transform_ != nullptr);
  return message;
}

v1::HandleResponse AnswerWriter::Head(const Respond& respond) {
  v1::HandleResponse message;
  v1::Respond& proto = *message.mutable_respond();
  proto.set_status(static_cast<uint32_t>(respond.status_));
  for (const Header& header : respond.headers_) AddTo(proto.mutable_headers(), header);
  const bool has_length = std::any_of(
      respond.headers_.begin(), respond.headers_.end(),
      [](const Header& header) { return absl::EqualsIgnoreCase(header.name, "content-length"); });
  if (!respond.stream_ && !has_length && !HasNoLength(respond.status_)) {
    AddTo(proto.mutable_headers(), {"content-length", absl::StrCat(respond.body_.size())});
  }
  if (respond.lease_.has_value()) SetLeaseIn(*respond.lease_, proto.mutable_lease());
  proto.set_revoke_leases(respond.revoke_leases_);
  return message;
}

const std::string& AnswerWriter::Body(const Respond& respond) { return respond.body_; }

const std::function<void(BodyWriter&)>& AnswerWriter::Stream(const Respond& respond) {
  return respond.stream_;
}

}  // namespace handler_sdk
}  // namespace sallyport
