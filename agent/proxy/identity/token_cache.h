// The identity tokens of one container.

#ifndef SALLYPORT_AGENT_PROXY_IDENTITY_TOKEN_CACHE_H_
#define SALLYPORT_AGENT_PROXY_IDENTITY_TOKEN_CACHE_H_

#include <cstdint>
#include <ctime>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/functional/function_ref.h"
#include "agent/proxy/identity/token_signer.h"
#include "common/policy/handler_spec.h"

namespace sallyport::proxy {

// One token a handler, kept for half of the time that it holds: a call costs no signature, and each
// is sent one that holds for as long again. Belongs to one worker.
class TokenCache {
 public:
  // `now`: seconds since 1970.
  explicit TokenCache(
      std::string container_id, std::function<time_t()> now = [] { return time(nullptr); })
      : container_id_(std::move(container_id)), now_(std::move(now)) {}

  // REQUIRES: handler->identity_token. Good until the next call.
  const std::string& Get(const std::shared_ptr<const TokenSigner>& signer,
                         const std::shared_ptr<const HandlerSpec>& handler,
                         const std::string& class_name);
  // Forgets those of handlers that are registered otherwise now, or not at all: null.
  using Registry = absl::FunctionRef<std::shared_ptr<const HandlerSpec>(const std::string& name)>;
  void OnPolicyChange(Registry registry);

 private:
  struct Entry {
    std::shared_ptr<const TokenSigner> signer;
    std::shared_ptr<const HandlerSpec> handler;
    std::string class_name;
    int64_t issued_at = 0;
    std::string token;
  };

  const std::string container_id_;
  const std::function<time_t()> now_;
  absl::flat_hash_map<std::string, Entry> entries_;  // By the handler's name.
};

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_IDENTITY_TOKEN_CACHE_H_
