#include "agent/proxy/tls/client_hello.h"

#include <openssl/bytestring.h>

#include <algorithm>
#include <utility>

namespace sallyport::proxy {
namespace {

// RFC 8446 sections 5.1, 4 and 4.2; RFC 6066 section 3.
constexpr uint8_t kHandshakeRecord = 22;
constexpr uint8_t kAlertRecord = 21;
constexpr uint8_t kVersionMajor = 3;
constexpr size_t kRecordHeader = 5;
constexpr size_t kMaxRecordBody = 16 * 1024;
constexpr uint8_t kClientHelloMessage = 1;
constexpr size_t kMessageHeader = 4;
constexpr uint16_t kServerNameExtension = 0;
constexpr uint16_t kAlpnExtension = 16;
constexpr uint8_t kHostName = 0;

CBS ToCbs(std::string_view bytes) {
  CBS cbs;
  CBS_init(&cbs, reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
  return cbs;
}

std::string_view ToView(const CBS& cbs) {
  return {reinterpret_cast<const char*>(CBS_data(&cbs)), CBS_len(&cbs)};
}

// What an extension lacks, or nullptr.
const char* ReadServerName(CBS extension, ClientHello* hello) {
  CBS list, name;
  uint8_t type;
  if (!CBS_get_u16_length_prefixed(&extension, &list) || CBS_len(&extension) != 0 ||
      !CBS_get_u8(&list, &type) || type != kHostName ||
      !CBS_get_u16_length_prefixed(&list, &name) || CBS_len(&name) == 0) {
    return "a malformed server name";
  }
  if (CBS_len(&list) != 0) return "more than one server name";
  if (CBS_contains_zero_byte(&name)) return "a NUL byte in the server name";
  hello->server_name = std::string(ToView(name));
  return nullptr;
}

const char* ReadAlpn(CBS extension, ClientHello* hello) {
  CBS list;
  if (!CBS_get_u16_length_prefixed(&extension, &list) || CBS_len(&extension) != 0 ||
      CBS_len(&list) == 0) {
    return "a malformed ALPN list";
  }
  while (CBS_len(&list) != 0) {
    CBS protocol;
    if (!CBS_get_u8_length_prefixed(&list, &protocol) || CBS_len(&protocol) == 0) {
      return "a malformed ALPN list";
    }
    hello->alpn.emplace_back(ToView(protocol));
  }
  return nullptr;
}

const char* ReadExtensions(CBS extensions, ClientHello* hello) {
  std::vector<uint16_t> seen;
  while (CBS_len(&extensions) != 0) {
    uint16_t type;
    CBS data;
    if (!CBS_get_u16(&extensions, &type) || !CBS_get_u16_length_prefixed(&extensions, &data)) {
      return "a malformed extension";
    }
    seen.push_back(type);
    const char* error = nullptr;
    if (type == kServerNameExtension) error = ReadServerName(data, hello);
    if (type == kAlpnExtension) error = ReadAlpn(data, hello);
    if (error != nullptr) return error;
  }
  // Readers differ in whether the first or the last of two counts; so nobody gets to read two.
  std::sort(seen.begin(), seen.end());
  if (std::adjacent_find(seen.begin(), seen.end()) != seen.end()) return "an extension twice";
  return nullptr;
}

const char* ReadBody(CBS body, ClientHello* hello) {
  uint16_t version;
  CBS random, session_id, cipher_suites, compression, extensions;
  if (!CBS_get_u16(&body, &version) || !CBS_get_bytes(&body, &random, 32) ||
      !CBS_get_u8_length_prefixed(&body, &session_id) || CBS_len(&session_id) > 32 ||
      !CBS_get_u16_length_prefixed(&body, &cipher_suites) || CBS_len(&cipher_suites) < 2 ||
      CBS_len(&cipher_suites) % 2 != 0 || !CBS_get_u8_length_prefixed(&body, &compression) ||
      CBS_len(&compression) == 0) {
    return "malformed fields";
  }
  if (CBS_len(&body) == 0)
    return nullptr;  // Before TLS 1.3 extensions could be left out altogether.
  if (!CBS_get_u16_length_prefixed(&body, &extensions) || CBS_len(&body) != 0) {
    return "malformed extensions";
  }
  return ReadExtensions(extensions, hello);
}

NotClientHello Not(std::string_view what, uint8_t alert) {
  return NotClientHello{"not a TLS ClientHello: " + std::string(what), alert};
}

// With its header; as large as can be while the header is not all there.
size_t MessageSize(std::string_view header) {
  if (header.size() < kMessageHeader) return kMaxClientHelloBytes;
  return kMessageHeader + static_cast<uint8_t>(header[1]) * size_t{65536} +
         static_cast<uint8_t>(header[2]) * size_t{256} + static_cast<uint8_t>(header[3]);
}

ClientHelloReader::Result ParseMessage(std::string_view message) {
  auto parsed = ParseClientHelloBody(message.substr(kMessageHeader));
  if (auto* bad = std::get_if<NotClientHello>(&parsed)) return std::move(*bad);
  return std::move(std::get<ClientHello>(parsed));
}

}  // namespace

bool LooksLikeTls(std::string_view bytes) {
  if (bytes.empty() || bytes[0] != kHandshakeRecord) return false;
  return bytes.size() == 1 || bytes[1] == kVersionMajor;
}

std::variant<ClientHello, NotClientHello> ParseClientHelloBody(std::string_view body) {
  ClientHello hello;
  if (const char* error = ReadBody(ToCbs(body), &hello)) return Not(error, kAlertDecodeError);
  return hello;
}

ClientHelloReader::Result ClientHelloReader::Read(std::string_view bytes) {
  bytes = bytes.substr(0, kMaxClientHelloBytes);
  while (next_record_ < bytes.size()) {
    const std::string_view rest = bytes.substr(next_record_);
    if (!LooksLikeTls(rest)) {
      return Not("a record of another type or version", kAlertUnexpectedMessage);
    }
    if (rest.size() < kRecordHeader) break;
    const size_t record_size =
        static_cast<uint8_t>(rest[3]) * size_t{256} + static_cast<uint8_t>(rest[4]);
    if (record_size == 0) return Not("an empty record", kAlertUnexpectedMessage);
    if (record_size > kMaxRecordBody) {
      return Not("a record that is too long", kAlertRecordOverflow);
    }
    const std::string_view fragment = rest.substr(kRecordHeader, record_size);
    std::string header = message_.substr(0, kMessageHeader);
    header.append(fragment.substr(0, kMessageHeader - header.size()));
    if (header.empty()) break;
    if (header[0] != kClientHelloMessage) {
      return Not("another handshake message", kAlertUnexpectedMessage);
    }
    const size_t message_size = MessageSize(header);
    if (message_size > kMaxClientHelloBytes) return Not("too long", kAlertIllegalParameter);
    if (message_size == kMessageHeader) return Not("empty", kAlertDecodeError);
    if (message_.size() + record_size > message_size) {
      return Not("more than one message in a record", kAlertUnexpectedMessage);
    }
    if (fragment.size() < record_size) break;
    message_.append(fragment);
    next_record_ += kRecordHeader + record_size;
    if (message_.size() == message_size) return ParseMessage(message_);
  }
  if (bytes.size() == kMaxClientHelloBytes) return Not("too long", kAlertIllegalParameter);
  return ClientHelloNeedsMore{};
}

ClientHelloReader::Result ParseClientHello(std::string_view bytes) {
  return ClientHelloReader().Read(bytes);
}

std::string FatalAlert(uint8_t description) {
  constexpr char kFatal = 2;
  // The record version is TLS 1.2's in every version (RFC 8446 section 5.1).
  return {static_cast<char>(kAlertRecord), 3, 3, 0, 2, kFatal, static_cast<char>(description)};
}

}  // namespace sallyport::proxy
