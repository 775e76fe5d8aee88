#include "agent/proxy/builtin/secret_table.h"

#include "common/base/strings.h"
#include "common/builtin/secret_reference.h"

namespace sallyport::proxy {

std::shared_ptr<const SecretTable> SecretTable::Take(internal::SecretValues* values) {
  auto table = std::make_shared<SecretTable>();
  for (internal::SecretValues::Entry& entry : *values->mutable_entries()) {
    auto kept = std::make_unique<Entry>();
    kept->value = entry.value();
    kept->problem = entry.problem();
    Wipe(entry.mutable_value());
    table->entries_[NameOf(entry.reference())] = std::move(kept);
  }
  return table;
}

SecretTable::~SecretTable() {
  for (auto& [name, entry] : entries_) Wipe(&entry->value);
}

const SecretTable::Entry* SecretTable::Find(std::string_view name) const {
  const auto found = entries_.find(ToAbsl(name));
  return found == entries_.end() ? nullptr : found->second.get();
}

}  // namespace sallyport::proxy
