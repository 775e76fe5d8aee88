// gRPC's framing of messages inside HTTP/2 DATA: one byte of flags, four bytes of length
// (big-endian), the message. https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md

#ifndef SALLYPORT_AGENT_PROXY_HANDLERS_GRPC_WIRE_H_
#define SALLYPORT_AGENT_PROXY_HANDLERS_GRPC_WIRE_H_

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace google::protobuf {
class MessageLite;
}

namespace sallyport::proxy {

inline constexpr size_t kGrpcPrefixBytes = 5;
// A body piece of 1 MiB, and what Protobuf adds to it.
inline constexpr size_t kMaxGrpcMessageBytes = (size_t{1} << 20) + 64;

// Appends the message with its prefix. INVALID_ARGUMENT if it is too long; then nothing is
// appended.
absl::Status AppendGrpcMessage(const google::protobuf::MessageLite& message, std::string* out);
// The same of a message that is serialized already.
absl::Status AppendGrpcBytes(std::string_view message, std::string* out);

// Cuts received bytes into messages. Holds what was appended and not yet taken.
class GrpcDecoder {
 public:
  // INTERNAL for a compressed message (none was offered), an unknown flag, or one above the limit:
  // as soon as its prefix is there. Messages before it can still be taken; nothing more may be
  // appended.
  absl::Status Append(std::string_view bytes);
  // The next whole message; holds until the next call of either method.
  std::optional<std::string_view> Next();
  // Whether the bytes so far end with a whole message.
  bool at_boundary() const { return next_prefix_ == buffer_.size(); }

 private:
  std::string buffer_;
  size_t taken_ = 0;  // Bytes of buffer_ that Next returned already.
  size_t next_prefix_ =
      0;  // Where in buffer_ the first unchecked prefix begins; beyond its end within a message.
};

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_HANDLERS_GRPC_WIRE_H_
