#include <algorithm>
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
  return message;
}

const std::string& AnswerWriter::Body(const Respond& respond) { return respond.body_; }

const std::function<void(BodyWriter&)>& AnswerWriter::Stream(const Respond& respond) {
  return respond.stream_;
}

}  // namespace handler_sdk
}  // namespace sallyport
