#include "agent/proxy/identity/handler_identity.h"

#include <utility>

#include "common/builtin/secret_reference.h"

namespace sallyport::proxy {
namespace {

template <typename Part>
Part UsableOrNull(absl::StatusOr<Part> part, absl::Status* problem) {
  if (part.ok()) return *std::move(part);
  problem->Update(part.status());
  return nullptr;
}

}  // namespace

std::shared_ptr<const HandlerIdentity> HandlerIdentity::Take(internal::Identity* identity,
                                                             const HandlerIdentity& before,
                                                             absl::Status* problem) {
  auto taken = std::make_shared<HandlerIdentity>();
  const std::string& chain = identity->certificate_chain();
  if (before.certificate != nullptr && before.certificate->chain() == chain) {
    taken->certificate = before.certificate;
  } else if (!chain.empty()) {
    taken->certificate =
        UsableOrNull(ClientCertificate::Parse(chain, identity->private_key()), problem);
  }
  if (!identity->token_key().empty()) {
    taken->signer = UsableOrNull(
        TokenSigner::Create(identity->token_key(), identity->token_key_id(), identity->issuer()),
        problem);
  }
  Wipe(identity->mutable_private_key());
  Wipe(identity->mutable_token_key());
  return taken;
}

}  // namespace sallyport::proxy
