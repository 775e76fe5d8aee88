#include "common/pki/channel_credentials.h"

#include <grpcpp/security/tls_certificate_provider.h>
#include <grpcpp/security/tls_certificate_verifier.h>
#include <grpcpp/security/tls_credentials_options.h>

#include <chrono>
#include <functional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include "common/base/status.h"
#include "common/base/strings.h"

namespace sallyport::pki {
namespace {

std::string ToString(grpc::string_ref text) { return {text.data(), text.size()}; }

// Runs when OpenSSL has accepted the chain. Thread-safe.
class ServerVerifier final : public grpc::experimental::ExternalCertificateVerifier {
 public:
  explicit ServerVerifier(std::shared_ptr<const TlsMaterial> material)
      : material_(std::move(material)) {}

  bool Verify(grpc::experimental::TlsCustomVerificationCheckRequest* request,
              std::function<void(grpc::Status)>, grpc::Status* status) override {
    const absl::Status checked =
        Check(ToString(request->target_name()), ToString(request->peer_cert()));
    if (!checked.ok()) {
      *status = grpc::Status(grpc::StatusCode::UNAUTHENTICATED, std::string(checked.message()));
    }
    return true;
  }
  void Cancel(grpc::experimental::TlsCustomVerificationCheckRequest*) override {}

 private:
  absl::Status Check(const std::string& host, const std::string& pem) const {
    ASSIGN_OR_RETURN(const Certificate certificate, Certificate::FromPem(pem));
    RETURN_IF_ERROR(
        certificate.CheckTime("the control plane's certificate", std::chrono::system_clock::now()));
    RETURN_IF_ERROR(material_->trust.CheckRevoked("the control plane's certificate", certificate));
    ASSIGN_OR_RETURN(const Identity identity, certificate.identity());
    if (identity.role != Role::kServer) {
      return absl::UnauthenticatedError(StrCat("what answers at ", Quote(host), " is ",
                                               identity.ToString(), ", and no control plane"));
    }
    if (certificate.CoversHost(host)) return absl::OkStatus();
    return absl::UnauthenticatedError(
        StrCat("the control plane's certificate is not for ", Quote(host),
               "; dial it by a name it was issued for, or issue one with --dns or --ip"));
  }

  const std::shared_ptr<const TlsMaterial> material_;
};

// Files that are being replaced, the key before its certificate, fit together a moment later.
absl::StatusOr<std::shared_ptr<const TlsMaterial>> LoadSettled(const std::string& dir) {
  constexpr int kMoreTries = 5;
  constexpr std::chrono::milliseconds kPause{50};
  for (int tries = 0;; ++tries) {
    absl::StatusOr<std::shared_ptr<const TlsMaterial>> material =
        LoadTlsDirectory(dir, Side::kClient, std::chrono::system_clock::now());
    if (material.ok() || tries == kMoreTries) return material;
    std::this_thread::sleep_for(kPause);
  }
}

}  // namespace

std::shared_ptr<grpc::ChannelCredentials> MakeChannelCredentials(
    std::shared_ptr<const TlsMaterial> material) {
  using grpc::experimental::IdentityKeyCertPair;
  grpc::experimental::TlsChannelCredentialsOptions options;
  options.set_certificate_provider(
      std::make_shared<grpc::experimental::StaticDataCertificateProvider>(
          material->authorities_pem,
          std::vector<IdentityKeyCertPair>{{material->key_pem, material->certificate_pem}}));
  options.watch_root_certs();
  options.watch_identity_key_cert_pairs();
  options.set_certificate_verifier(
      grpc::experimental::ExternalCertificateVerifier::Create<ServerVerifier>(material));
  // The verifier does it, by our own rules.
  options.set_check_call_host(false);
  return grpc::experimental::TlsCredentials(options);
}

absl::StatusOr<std::shared_ptr<grpc::ChannelCredentials>> CredentialsFor(
    const std::string& address, const std::string& tls_dir) {
  if (tls_dir.empty() || address.starts_with("unix:")) return grpc::InsecureChannelCredentials();
  ASSIGN_OR_RETURN(std::shared_ptr<const TlsMaterial> material, LoadSettled(tls_dir));
  return MakeChannelCredentials(std::move(material));
}

std::string ExplainConnectFailure(const std::string& message) {
  constexpr std::string_view kOurs = "Custom verification check failed with error: ";
  if (const size_t at = message.find(kOurs); at != message.npos) {
    return message.substr(at + kOurs.size());
  }
  if (message.find("certificate verify failed") != message.npos) {
    return StrCat(
        "the certificate that it shows is not signed by ca.crt, is not a server's, is out "
        "of date, or this machine's clock (",
        FormatTime(std::chrono::system_clock::now()), ") is wrong");
  }
  if (message.find("WRONG_VERSION_NUMBER") != message.npos ||
      message.find("wrong version number") != message.npos) {
    return "it does not speak TLS";
  }
  return message;
}

}  // namespace sallyport::pki
