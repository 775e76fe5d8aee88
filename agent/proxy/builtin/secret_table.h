// The secrets that built-in handlers refer to, as the agent has resolved them.

#ifndef SALLYPORT_AGENT_PROXY_BUILTIN_SECRET_TABLE_H_
#define SALLYPORT_AGENT_PROXY_BUILTIN_SECRET_TABLE_H_

#include <memory>
#include <string>
#include <string_view>

#include "absl/container/flat_hash_map.h"
#include "agent/proxy/control.pb.h"

namespace sallyport::proxy {

// In memory only; values are overwritten when it is destroyed. Immutable, shared by the workers.
class SecretTable {
 public:
  struct Entry {
    std::string value;
    std::string problem;  // Not empty: there is no value, because of this.
  };

  SecretTable() = default;
  // Overwrites the values in the message.
  static std::shared_ptr<const SecretTable> Take(internal::SecretValues* values);
  ~SecretTable();
  SecretTable(const SecretTable&) = delete;
  SecretTable& operator=(const SecretTable&) = delete;

  // By NameOf its reference; null: the agent has said nothing about it.
  const Entry* Find(std::string_view name) const;

 private:
  // Entries stay where they are: a moved std::string may leave a copy of a short value behind.
  absl::flat_hash_map<std::string, std::unique_ptr<Entry>> entries_;
};

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_BUILTIN_SECRET_TABLE_H_
