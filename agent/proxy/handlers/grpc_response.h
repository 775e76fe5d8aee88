// One call's response as gRPC has it, from the fields and bytes of an HTTP/2 stream. No I/O.

#ifndef SALLYPORT_AGENT_PROXY_HANDLERS_GRPC_RESPONSE_H_
#define SALLYPORT_AGENT_PROXY_HANDLERS_GRPC_RESPONSE_H_

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "agent/proxy/handlers/grpc_wire.h"

namespace sallyport::proxy {

// Headers, messages, trailers; or trailers only. HTTP/2 itself (order of frames, legal fields) is
// checked before. Once there is a result, everything that comes is ignored.
class GrpcResponse {
 public:
  // A block of fields: each field, then its end.
  void OnField(std::string_view name, std::string_view value);
  void OnFieldsEnd();
  void OnData(std::string_view bytes);
  // The peer ended its direction in order.
  void OnEnd();
  // The stream broke.
  void Fail(absl::Status status);

  // The next whole message; holds until the next call. Messages that came before the result precede
  // it.
  std::optional<std::string_view> NextMessage() { return decoder_.Next(); }
  // How it ended, if it did. OUT_OF_RANGE: grpc-status 0, all messages whole. INTERNAL: another
  // grpc-status, or a response that is not gRPC. Else what Fail said.
  const std::optional<absl::Status>& result() const { return result_; }

 private:
  // Of one block; each field counts 32 bytes more (RFC 9113 section 6.5.2).
  static constexpr size_t kMaxFieldBytes = 16 * 1024;

  void SetOnce(std::optional<std::string>* field, std::string_view value);
  absl::Status FinalStatus() const;

  bool have_headers_ = false;
  size_t field_bytes_ = 0;
  std::optional<std::string> http_status_;
  std::optional<std::string> content_type_;
  std::optional<std::string> grpc_status_;
  std::optional<std::string> grpc_message_;
  GrpcDecoder decoder_;
  std::optional<absl::Status> result_;
};

// What a handler wrote in grpc-message, for an operator's eyes: percent-decoded, other than
// printable ASCII replaced by `?`, at most 256 bytes.
std::string PrintableGrpcMessage(std::string_view encoded);

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_HANDLERS_GRPC_RESPONSE_H_
