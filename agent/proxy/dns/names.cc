#include "agent/proxy/dns/names.h"

#include <list>
#include <utility>

#include "absl/container/flat_hash_map.h"

namespace sallyport::proxy {
namespace {

// 198.18.0.0/15 (RFC 2544), without its first and last address.
constexpr uint32_t kRangeBegin = 0xc6120000;
constexpr uint32_t kFirst = kRangeBegin + 1;
constexpr uint32_t kLast = kRangeBegin + 0x1fffe;

struct Named {
  IpAddress address;
  Host name;
};

// Addresses with their names, the one used last in front.
class Recent {
 public:
  explicit Recent(size_t max) : max_(max) {}

  const Host* Find(const IpAddress& address) {
    const auto found = by_address_.find(address);
    if (found == by_address_.end()) return nullptr;
    order_.splice(order_.begin(), order_, found->second);
    return &found->second->name;
  }

  // REQUIRES: Find(named.address) == nullptr. What had to go for it, if anything.
  std::optional<Named> Add(Named named) {
    std::optional<Named> gone;
    if (order_.size() >= max_) {
      gone = std::move(order_.back());
      by_address_.erase(gone->address);
      order_.pop_back();
    }
    order_.push_front(std::move(named));
    by_address_[order_.front().address] = order_.begin();
    return gone;
  }

  void Rename(const IpAddress& address, const Host& name) {
    by_address_.find(address)->second->name = name;
  }

 private:
  const size_t max_;
  std::list<Named> order_;
  absl::flat_hash_map<IpAddress, std::list<Named>::iterator> by_address_;
};

}  // namespace

struct DnsNames::State {
  Recent placeholders{kMaxPlaceholders};
  absl::flat_hash_map<Host, IpAddress> placeholder_of;
  // Goes round the whole range before an address serves another name, so that a client that still
  // remembers an old answer is not led to a new name.
  uint32_t next = kFirst;
  Recent addresses{kMaxAddresses};
};

bool IsPlaceholderAddress(const IpAddress& address) {
  return address.is_v4() && (address.v4() & 0xfffe0000) == kRangeBegin;
}

DnsNames::DnsNames() : state_(std::make_unique<State>()) {}
DnsNames::~DnsNames() = default;

IpAddress DnsNames::Placeholder(const Host& name) {
  MutexLock lock(&mutex_);
  State& state = *state_;
  if (const auto found = state.placeholder_of.find(name); found != state.placeholder_of.end()) {
    state.placeholders.Find(found->second);  // Marks it as used.
    return found->second;
  }
  // Ends: fewer are kept than the range holds.
  IpAddress address;
  do {
    address = IpAddress::FromV4(state.next);
    state.next = state.next == kLast ? kFirst : state.next + 1;
  } while (state.placeholders.Find(address) != nullptr);
  const std::optional<Named> gone = state.placeholders.Add({address, name});
  if (gone.has_value()) state.placeholder_of.erase(gone->name);
  state.placeholder_of[name] = address;
  return address;
}

void DnsNames::Remember(const IpAddress& address, const Host& name) {
  if (IsPlaceholderAddress(address)) return;
  MutexLock lock(&mutex_);
  if (state_->addresses.Find(address) != nullptr) {
    state_->addresses.Rename(address, name);
  } else {
    state_->addresses.Add({address, name});
  }
}

std::optional<Host> DnsNames::NameOf(const IpAddress& address) const {
  MutexLock lock(&mutex_);
  Recent& recent = IsPlaceholderAddress(address) ? state_->placeholders : state_->addresses;
  const Host* name = recent.Find(address);
  if (name == nullptr) return std::nullopt;
  return *name;
}

}  // namespace sallyport::proxy
