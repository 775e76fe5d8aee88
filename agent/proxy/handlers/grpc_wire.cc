#include "agent/proxy/handlers/grpc_wire.h"

#include <google/protobuf/message_lite.h>

#include "absl/strings/str_cat.h"

namespace sallyport::proxy {
namespace {

size_t LengthAt(std::string_view buffer, size_t prefix) {
  size_t length = 0;
  for (size_t i = 1; i < kGrpcPrefixBytes; ++i) {
    length = length << 8 | static_cast<unsigned char>(buffer[prefix + i]);
  }
  return length;
}

absl::Status AppendPrefix(size_t length, std::string* out) {
  if (length > kMaxGrpcMessageBytes) {
    return absl::InvalidArgumentError(absl::StrCat(
        "a message of ", length, " bytes to a handler; at most ", kMaxGrpcMessageBytes));
  }
  out->push_back(0);
  for (int shift = 24; shift >= 0; shift -= 8) out->push_back(static_cast<char>(length >> shift));
  return absl::OkStatus();
}

}  // namespace

absl::Status AppendGrpcMessage(const google::protobuf::MessageLite& message, std::string* out) {
  absl::Status status = AppendPrefix(message.ByteSizeLong(), out);
  if (status.ok()) message.AppendToString(out);
  return status;
}

absl::Status AppendGrpcBytes(std::string_view message, std::string* out) {
  absl::Status status = AppendPrefix(message.size(), out);
  if (status.ok()) out->append(message);
  return status;
}

absl::Status GrpcDecoder::Append(std::string_view bytes) {
  if (taken_ == buffer_.size()) {
    buffer_.clear();
    next_prefix_ -= taken_;
    taken_ = 0;
  } else if (taken_ >= buffer_.size() - taken_) {
    // Moves fewer bytes than were taken since the last move.
    buffer_.erase(0, taken_);
    next_prefix_ -= taken_;
    taken_ = 0;
  }
  buffer_.append(bytes);
  while (next_prefix_ < buffer_.size()) {
    if (buffer_[next_prefix_] != 0) {
      return absl::InternalError(buffer_[next_prefix_] == 1
                                     ? "the handler compressed a message; none was offered"
                                     : "the handler's bytes are not gRPC messages");
    }
    if (buffer_.size() - next_prefix_ < kGrpcPrefixBytes) break;
    const size_t length = LengthAt(buffer_, next_prefix_);
    if (length > kMaxGrpcMessageBytes) {
      return absl::InternalError(absl::StrCat("the handler announced a message of ", length,
                                              " bytes; at most ", kMaxGrpcMessageBytes));
    }
    next_prefix_ += kGrpcPrefixBytes + length;
  }
  return absl::OkStatus();
}

std::optional<std::string_view> GrpcDecoder::Next() {
  const std::string_view rest = std::string_view(buffer_).substr(taken_);
  if (rest.size() < kGrpcPrefixBytes || rest[0] != 0) return std::nullopt;
  const size_t length = LengthAt(rest, 0);
  if (length > kMaxGrpcMessageBytes || rest.size() - kGrpcPrefixBytes < length) return std::nullopt;
  taken_ += kGrpcPrefixBytes + length;
  return rest.substr(kGrpcPrefixBytes, length);
}

}  // namespace sallyport::proxy
