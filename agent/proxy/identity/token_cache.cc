#include "agent/proxy/identity/token_cache.h"

namespace sallyport::proxy {

const std::string& TokenCache::Get(const std::shared_ptr<const TokenSigner>& signer,
                                   const std::shared_ptr<const HandlerSpec>& handler,
                                   const std::string& class_name) {
  Entry& entry = entries_[handler->name];
  const int64_t now = now_();
  const IdentityTokenSpec& spec = *handler->identity_token;
  // A clock that was put back must not make a token last longer.
  const bool fresh = now >= entry.issued_at && now - entry.issued_at <= spec.ttl.count() / 2;
  if (fresh && entry.signer == signer && entry.handler == handler &&
      entry.class_name == class_name) {
    return entry.token;
  }
  entry = {signer, handler, class_name, now,
           signer->Sign({.container_id = container_id_,
                         .audience = spec.audience,
                         .class_name = class_name,
                         .handler = handler->name,
                         .issued_at = now,
                         .ttl = spec.ttl})};
  return entry.token;
}

void TokenCache::OnPolicyChange(Registry registry) {
  absl::erase_if(entries_,
                 [&](const auto& one) { return registry(one.first) != one.second.handler; });
}

}  // namespace sallyport::proxy
