#include "agent/proxy/sniff.h"

#include <array>
#include <cctype>
#include <utility>

namespace sallyport::proxy {
namespace {

// A method, or the one empty line that RFC 9112 section 2.2 tolerates before it.
bool MayBeginRequestLine(char first) {
  return std::isalpha(static_cast<unsigned char>(first)) != 0 || first == '\r';
}

constexpr std::string_view kHttp2Preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

bool MayBecomePreface(std::string_view early) {
  return early.size() < kHttp2Preface.size() && kHttp2Preface.starts_with(early);
}

// change_cipher_spec, alert or application_data (RFC 8446 section 5.1), as whoever speaks TLS may
// send at the wrong time.
bool IsOtherTlsRecord(std::string_view bytes) {
  constexpr char kChangeCipherSpec = 20, kApplicationData = 23, kVersionMajor = 3;
  return bytes[0] >= kChangeCipherSpec && bytes[0] <= kApplicationData &&
         (bytes.size() == 1 || bytes[1] == kVersionMajor);
}

}  // namespace

Task<Sniffed> Sniff(Stream* stream, SteadyTime deadline, std::string early,
                    ContainerBudget* budget) {
  stream->SetDeadline(deadline);
  HeadRoom room(budget, kMaxClientHelloBytes);
  ClientHelloReader reader;
  std::array<char, 4096> buffer;
  bool unread = early.empty();
  while (true) {
    if (std::exchange(unread, true)) {
      const absl::StatusOr<size_t> count = co_await stream->Read(buffer);
      if (!count.ok() || *count == 0) {
        if (early.empty()) co_return SniffedNothing{};
        if (MayBecomePreface(early)) co_return SniffedHttp{std::move(early)};
        co_return SniffedNeither{"the connection ended within its ClientHello", kAlertDecodeError};
      }
      early.append(buffer.data(), *count);
    }
    if (!LooksLikeTls(early)) {
      if (MayBecomePreface(early)) continue;
      if (early.starts_with(kHttp2Preface)) co_return SniffedHttp2{std::move(early)};
      if (MayBeginRequestLine(early[0])) co_return SniffedHttp{std::move(early)};
      if (IsOtherTlsRecord(early)) {
        co_return SniffedNeither{"TLS that does not begin with a ClientHello",
                                 kAlertUnexpectedMessage};
      }
      co_return SniffedNeither{"neither TLS nor HTTP/1"};
    }
    auto parsed = reader.Read(early);
    if (auto* hello = std::get_if<ClientHello>(&parsed))
      co_return SniffedTls{std::move(early), std::move(*hello), std::move(room)};
    if (auto* bad = std::get_if<NotClientHello>(&parsed))
      co_return SniffedNeither{std::move(bad->detail), bad->alert};
    if (!room.Has(early.size())) co_return SniffedTooMuch{};
  }
}

}  // namespace sallyport::proxy
