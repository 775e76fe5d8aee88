#include "cli/handler_security_flags.h"

#include "common/base/status.h"
#include "common/base/strings.h"
#include "common/pki/whole_file.h"
#include "common/policy/duration.h"

namespace sallyport::cli {

void HandlerSecurityFlags::AddTo(FlagSet* flags) {
  flags->String("ca", &ca_file, "FILE",
                "CA certificates (PEM) that its endpoints are verified by, in place of the roots "
                "that origins are verified by. For grpcs:// and https://, as the next two.");
  flags->Bool("client-certificate", &client_certificate,
              "Its endpoints are shown the host's certificate (mutual TLS): see "
              "--handler-certificate of sallyport-agent.");
  flags->String("tls-server-name", &tls_server_name, "NAME",
                "The name in its endpoints' certificates. Default: the endpoint's host.");
  flags->Optional("identity-token", &identity_token, "AUDIENCE",
                  "Each call bears a signed token that says which container asked. Default "
                  "audience: the handler's name.");
  flags->Duration("identity-ttl", &identity_ttl, "DURATION",
                  "How long a token holds, 10s to 1h; 0: 5 minutes.");
}

absl::Status HandlerSecurityFlags::Fill(v1::Handler* handler) const {
  if (!ca_file.empty()) {
    const absl::StatusOr<std::string> pem = pki::ReadWholeFile(ca_file);
    if (!pem.ok()) return absl::InvalidArgumentError(StrCat("--ca: ", pem.status().message()));
    if (pem->empty())
      return absl::InvalidArgumentError(StrCat("--ca: ", ca_file, " is empty; name a CA's file"));
    handler->mutable_tls()->set_ca_certificates(*pem);
  }
  if (client_certificate) handler->mutable_tls()->set_client_certificate(true);
  if (!tls_server_name.empty()) handler->mutable_tls()->set_server_name(tls_server_name);
  if (!identity_token.has_value()) {
    if (identity_ttl.count() == 0) return absl::OkStatus();
    return absl::InvalidArgumentError("--identity-ttl is for --identity-token; give both");
  }
  v1::IdentityToken& token = *handler->mutable_identity_token();
  token.set_audience(*identity_token);
  if (identity_ttl.count() > 0) SetMilliseconds(identity_ttl.count(), token.mutable_ttl());
  return absl::OkStatus();
}

}  // namespace sallyport::cli
