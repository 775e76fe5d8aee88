// Cuts the pieces of a Write into chunks of at most one TLS record.

#ifndef SALLYPORT_AGENT_PROXY_TLS_RECORD_GATHER_H_
#define SALLYPORT_AGENT_PROXY_TLS_RECORD_GATHER_H_

#include <span>
#include <string>
#include <string_view>

namespace sallyport::proxy {

// Plaintext of the largest record (RFC 8446 section 5.1). A chunk of this size is written whole or
// not at all by SSL_write.
inline constexpr size_t kMaxRecordPlaintext = 16 * 1024;

// Small neighbours are copied together, large pieces are handed out as they are. The pieces outlive
// this object.
class RecordGather {
 public:
  explicit RecordGather(std::span<const std::string_view> pieces) : pieces_(pieces) {}

  // Empty at the end. Valid until the next call.
  std::string_view Next();

 private:
  void DropEmptyPieces();

  std::span<const std::string_view> pieces_;
  size_t offset_ = 0;  // In the first piece.
  std::string gathered_;
};

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_TLS_RECORD_GATHER_H_
