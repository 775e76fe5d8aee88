#include "absl/container/flat_hash_set.h"
#include "common/policy/effective_policy.h"

namespace sallyport {

std::optional<v1::HostList> EffectiveList(const v1::HostList* of_class,
                                          const v1::HostListOverride* of_container) {
  if (of_container == nullptr) {
    if (of_class == nullptr) return std::nullopt;
    return *of_class;
  }
  if (of_container->has_replace()) return of_container->replace();
  const bool has_edits = of_container->added_size() > 0 || of_container->removed_size() > 0;
  if (of_class == nullptr && !has_edits) return std::nullopt;

  v1::HostList list;
  absl::flat_hash_set<std::string> skipped(of_container->removed().begin(),
                                           of_container->removed().end());
  if (of_class != nullptr) {
    for (const std::string& host : of_class->hosts()) {
      if (skipped.insert(host).second) list.add_hosts(host);
    }
  }
  // An entry that is both added and removed is added: the two may meet only in a record that nobody
  // of ours wrote.
  const absl::flat_hash_set<std::string> present(list.hosts().begin(), list.hosts().end());
  for (const std::string& host : of_container->added()) {
    if (!present.contains(host)) list.add_hosts(host);
  }
  return list;
}

}  // namespace sallyport
