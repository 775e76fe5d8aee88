#include "agent/identity/identity_keeper.h"

#include <utility>

#include "common/base/log.h"
#include "common/builtin/secret_reference.h"

namespace sallyport::agent {

IdentityKeeper::IdentityKeeper(std::string host_name, HandlerCertificateFiles files,
                               TokenKeys* keys, ProxySupervisor* supervisor, SyncClient* sync,
                               std::chrono::milliseconds period)
    : host_name_(std::move(host_name)),
      files_(std::move(files)),
      keys_(keys),
      supervisor_(supervisor),
      sync_(sync) {
  // Before any container is attached.
  ReadCertificate();
  TellProxy();
  look_.emplace(period, [this] { Look(); });
}

IdentityKeeper::~IdentityKeeper() {
  look_.reset();
  Wipe(&pair_.private_key);
}

void IdentityKeeper::Look() {
  const bool turned = keys_->Turn(sync_->told_identity_keys());
  if (turned) sync_->AnnounceIdentityKeys();
  if (ReadCertificate() || turned) TellProxy();
}

bool IdentityKeeper::ReadCertificate() {
  if (files_.certificate.empty()) return false;
  absl::StatusOr<pki::KeyPair> pair = pki::ReadKeyPair(files_.certificate, files_.key);
  // Files are replaced one after the other: what is wrong is so at the next look, too.
  const std::string problem = pair.ok() ? "" : std::string(pair.status().message());
  if (!problem.empty() && problem != problem_) {
    LogWarning("the certificate for handlers cannot be used: ", problem,
               pair_.private_key.empty() ? "" : "; the former one is shown");
  }
  problem_ = problem;
  if (!pair.ok() || (pair->certificate_chain == pair_.certificate_chain &&
                     pair->private_key == pair_.private_key)) {
    if (pair.ok()) Wipe(&pair->private_key);
    return false;
  }
  Wipe(&pair_.private_key);
  pair_ = *std::move(pair);
  return true;
}

void IdentityKeeper::TellProxy() {
  internal::Identity identity;
  TokenKeys::Signing signing = keys_->signing();
  identity.set_certificate_chain(pair_.certificate_chain);
  identity.set_private_key(pair_.private_key);
  identity.set_token_key(std::move(signing.seed));
  identity.set_token_key_id(std::move(signing.id));
  identity.set_issuer(host_name_);
  supervisor_->SetIdentity(std::move(identity));
}

}  // namespace sallyport::agent
