// Long random runs of edits and of changes of the class, against a model that keeps plain sets.
// Seeds are fixed.

#include <gtest/gtest.h>

#include <optional>
#include <random>
#include <set>

#include "common/policy/edits.h"
#include "common/policy/effective_policy.h"

namespace sallyport {
namespace {

using Set = std::set<std::string>;

// What a reader of the calls' documentation would keep.
struct Model {
  std::optional<Set> of_class;
  std::optional<Set> replaced;
  Set added, removed;
  // Whether the container's edits keep a list in being.
  bool HasList() const {
    return replaced.has_value() || of_class.has_value() || !added.empty() || !removed.empty();
  }
  std::optional<Set> Effective() const {
    if (!HasList()) return std::nullopt;
    if (replaced.has_value()) return replaced;
    Set out = of_class.value_or(Set());
    for (const std::string& host : removed) out.erase(host);
    out.insert(added.begin(), added.end());
    return out;
  }
  void Add(const std::string& host) {
    if (replaced.has_value()) {
      replaced->insert(host);
      return;
    }
    removed.erase(host);
    added.insert(host);
  }
  void Remove(const std::string& host) {
    const std::optional<Set> now = Effective();
    if (!now.has_value() || !now->contains(host)) return;
    if (replaced.has_value()) {
      replaced->erase(host);
      return;
    }
    added.erase(host);
    const bool class_has_it = of_class.has_value() && of_class->contains(host);
    if (class_has_it || !HasList()) removed.insert(host);
  }
  void Replace(const Set& hosts) {
    Clear();
    replaced = hosts;
  }
  void Clear() {
    replaced.reset();
    added.clear();
    removed.clear();
  }
};

std::optional<Set> Effective(const v1::ContainerClass& c, const v1::ContainerPolicy& policy) {
  const auto list =
      EffectiveList(c.has_allowed_hosts() ? &c.allowed_hosts() : nullptr, &policy.allowed_hosts());
  if (!list.has_value()) return std::nullopt;
  const Set set(list->hosts().begin(), list->hosts().end());
  EXPECT_EQ(set.size(), static_cast<size_t>(list->hosts_size())) << "a host is listed twice";
  return set;
}

TEST(ListEditsPropertyTest, AgreesWithPlainSets) {
  const absl::flat_hash_set<std::string> handlers;
  for (uint32_t seed = 0; seed < 300; ++seed) {
    std::mt19937 random(seed);
    const auto host = [&] { return std::string(1, static_cast<char>('a' + random() % 4)); };
    const auto hosts = [&] {
      Set set;
      for (size_t n = random() % 4; n > 0; --n) set.insert(host());
      return set;
    };
    v1::ContainerClass c;
    v1::ContainerPolicy policy;
    const PolicyContext context{c, handlers};
    Model model;
    for (int step = 0; step < 60; ++step) {
      v1::HostRequest one;
      one.set_host(host());
      const Set some = hosts();
      v1::HostsRequest many;
      many.mutable_hosts()->Assign(some.begin(), some.end());
      switch (random() % 8) {
        case 0:
        case 1:
          ASSERT_TRUE(ApplyAllowHost(context, one, &policy).ok());
          model.Add(one.host());
          break;
        case 2:
        case 3:
        case 4:
          ASSERT_TRUE(ApplyRemoveAllowedHost(context, one, &policy).ok());
          model.Remove(one.host());
          break;
        case 5:
          if (random() % 3 == 0) {
            ASSERT_TRUE(ApplySetAllowedHosts(context, many, &policy).ok());
            model.Replace(some);
          }
          break;
        case 6:
          if (random() % 3 == 0) {
            ASSERT_TRUE(ApplyClearAllowedHosts(context, {}, &policy).ok());
            model.Clear();
          }
          break;
        case 7:
          c.clear_allowed_hosts();
          model.of_class.reset();
          if (random() % 2 == 0) {
            c.mutable_allowed_hosts()->mutable_hosts()->Assign(some.begin(), some.end());
            model.of_class = some;
          }
          break;
      }
      ASSERT_EQ(Effective(c, policy), model.Effective()) << "seed " << seed << " step " << step;
    }
  }
}

}  // namespace
}  // namespace sallyport
