#include "common/policy/handler_security.h"

#include <algorithm>
#include <cstdint>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "common/base/status.h"
#include "common/base/strings.h"
#include "common/net/host.h"
#include "common/policy/handler_endpoint.h"

namespace sallyport {
namespace {

constexpr size_t kMaxCertificatesBytes = 64 * 1024;
constexpr size_t kMaxAudienceBytes = 255;
constexpr std::chrono::seconds kDefaultTokenTtl{5 * 60};

constexpr std::string_view kBegin = "-----BEGIN ";
constexpr std::string_view kDashes = "-----";
constexpr size_t kPemColumns = 64;

// Whether the bytes are one DER SEQUENCE (X.690 section 8.1), as a certificate is. Whoever uses it
// reads the rest: programs of ours differ in the library that they do it by.
bool IsSequence(std::string_view der) {
  if (der.size() < 4 || der[0] != '\x30') return false;
  const auto first = static_cast<unsigned char>(der[1]);
  if (first < 0x80) return der.size() == size_t{2} + first;
  const size_t count = first & 0x7f;
  if (count < 1 || count > 3) return false;
  size_t length = 0;
  for (size_t i = 0; i < count; ++i) length = length << 8 | static_cast<unsigned char>(der[2 + i]);
  return der.size() == 2 + count + length;
}

void AppendBlock(std::string_view der, std::string* pem) {
  const std::string text = absl::Base64Escape(ToAbsl(der));
  pem->append("-----BEGIN CERTIFICATE-----\n");
  for (size_t i = 0; i < text.size(); i += kPemColumns) {
    pem->append(text.substr(i, kPemColumns));
    pem->push_back('\n');
  }
  pem->append("-----END CERTIFICATE-----\n");
}

// The certificates of a PEM text (RFC 7468), without what stands between them.
absl::StatusOr<std::string> NormaliseCertificates(std::string_view pem) {
  std::string normal;
  while (true) {
    const size_t begin = pem.find(kBegin);
    if (begin == pem.npos) break;
    pem.remove_prefix(begin + kBegin.size());
    const size_t label_end = pem.find(kDashes);
    const std::string label(pem.substr(0, label_end));
    if (label_end == pem.npos || label != "CERTIFICATE") {
      return absl::InvalidArgumentError(
          StrCat("holds a ", Quote(label), "; give the CA's certificates alone (PEM)"));
    }
    pem.remove_prefix(label_end + kDashes.size());
    const size_t end = pem.find("-----END CERTIFICATE-----");
    std::string der;
    if (end == pem.npos || !absl::Base64Unescape(ToAbsl(pem.substr(0, end)), &der) ||
        !IsSequence(der)) {
      return absl::InvalidArgumentError("holds a damaged certificate; give it as it was issued");
    }
    AppendBlock(der, &normal);
    pem.remove_prefix(end);
  }
  if (normal.empty())
    return absl::InvalidArgumentError("holds no certificate; give the CA's (PEM)");
  return normal;
}

absl::StatusOr<std::string> NormaliseServerName(const std::string& name) {
  if (const absl::StatusOr<IpAddress> address = IpAddress::Parse(name); address.ok())
    return address->ToString();
  const absl::StatusOr<Host> host = Host::Parse(name);
  if (host.ok()) return host->text();
  return absl::InvalidArgumentError(
      StrCat(Quote(name), " is no name; write the one that is in the endpoint's certificate"));
}

// Of endpoints that can be read; others are a problem already.
bool SpeaksTls(const v1::Handler& handler, std::string* other) {
  for (const std::string& text : handler.endpoints()) {
    const absl::StatusOr<HandlerEndpoint> endpoint = HandlerEndpoint::Parse(text);
    if (!endpoint.ok() || endpoint->tls) continue;
    *other = text;
    return false;
  }
  return true;
}

// 0: none that is legal.
int64_t SecondsOf(const v1::IdentityToken& token) {
  if (!token.has_ttl()) return kDefaultTokenTtl.count();
  const int64_t seconds = token.ttl().seconds();
  const bool legal = token.ttl().nanos() == 0 && seconds >= kMinTokenTtl.count() &&
                     seconds <= kMaxTokenTtl.count();
  return legal ? seconds : 0;
}

}  // namespace

void NormaliseHandlerTls(std::string_view path, v1::Handler* handler, Problems* problems) {
  if (!handler->has_tls()) return;
  const std::string field = Member(path, "tls");
  std::string other;
  if (handler->has_builtin()) {
    return problems->Add(field, "a builtin asks no service; leave it out");
  }
  if (!SpeaksTls(*handler, &other)) {
    problems->Add(field, StrCat("the endpoint ", Quote(other),
                                " speaks no TLS; write grpcs:// or https://, or leave it out"));
  }
  v1::HandlerTls& tls = *handler->mutable_tls();
  if (tls.ca_certificates().size() > kMaxCertificatesBytes) {
    problems->Add(Member(field, "ca_certificates"),
                  "is larger than 64 KiB; give only the CAs that sign this handler's endpoints");
  } else if (!tls.ca_certificates().empty()) {
    absl::StatusOr<std::string> normal = NormaliseCertificates(tls.ca_certificates());
    if (normal.ok()) {
      tls.set_ca_certificates(*std::move(normal));
    } else {
      problems->Add(Member(field, "ca_certificates"), ToStd(normal.status().message()));
    }
  }
  if (!tls.server_name().empty()) {
    absl::StatusOr<std::string> name = NormaliseServerName(tls.server_name());
    if (name.ok()) {
      tls.set_server_name(*std::move(name));
    } else {
      problems->Add(Member(field, "server_name"), ToStd(name.status().message()));
    }
  }
}

void CheckIdentityToken(std::string_view path, const v1::Handler& handler, Problems* problems) {
  if (!handler.has_identity_token()) return;
  const std::string field = Member(path, "identity_token");
  if (handler.has_builtin()) {
    return problems->Add(field, "a builtin asks no service; leave it out");
  }
  const v1::IdentityToken& token = handler.identity_token();
  const std::string& audience = token.audience();
  if (audience.size() > kMaxAudienceBytes) {
    problems->Add(Member(field, "audience"), "is longer than 255 bytes; shorten it");
  } else if (std::ranges::any_of(audience, [](unsigned char c) { return c < 0x20 || c == 0x7f; })) {
    problems->Add(Member(field, "audience"),
                  "has a control character; write a name or a URL, as https://keys.internal");
  }
  if (SecondsOf(token) == 0)
    problems->Add(Member(field, "ttl"), "must be whole seconds from 10 s to 1 h");
}

HandlerTlsSpec TlsSpecOf(const v1::HandlerTls& tls) {
  return {tls.ca_certificates(), tls.client_certificate(), tls.server_name()};
}

IdentityTokenSpec TokenSpecOf(const v1::Handler& handler) {
  const v1::IdentityToken& token = handler.identity_token();
  return {token.audience().empty() ? handler.name() : token.audience(),
          std::chrono::seconds(SecondsOf(token))};
}

}  // namespace sallyport
