#include "agent/proxy/handlers/lease_table.h"

#include <openssl/mem.h>

#include <algorithm>
#include <utility>

namespace sallyport::proxy {
namespace {

// What an entry takes besides its texts.
constexpr size_t kEntryBytes = 256;

size_t BytesOf(const Headers& headers) {
  size_t bytes = 0;
  for (const Header& header : headers.fields())
    bytes += header.name.size() + header.value.size() + sizeof(Header);
  return bytes;
}

// The object is not const; only this access to it is.
void Wipe(const std::string& text) { OPENSSL_cleanse(const_cast<char*>(text.data()), text.size()); }

void Wipe(const Headers& headers) {
  for (const Header& header : headers.fields()) Wipe(header.value);
}

bool MatchesPath(std::string_view path, std::string_view leased, bool below) {
  return path == leased || (below && LiesBelow(path, leased));
}

}  // namespace

LeasedAnswer::LeasedAnswer(std::variant<Forward, LeasedResponse> answer)
    : answer_(std::move(answer)) {
  if (const auto* forward = std::get_if<Forward>(&answer_)) {
    bytes_ = BytesOf(forward->set_headers) + forward->path.size() + kEntryBytes;
    for (const std::string& name : forward->remove_headers) bytes_ += name.size();
  } else if (const auto* response = std::get_if<LeasedResponse>(&answer_)) {
    bytes_ = BytesOf(response->head.headers) + response->body.size() + BytesOf(response->trailers) +
             kEntryBytes;
  }
}

LeasedAnswer::~LeasedAnswer() {
  if (const auto* forward = std::get_if<Forward>(&answer_)) {
    Wipe(forward->set_headers);
    Wipe(forward->path);
  } else if (const auto* response = std::get_if<LeasedResponse>(&answer_)) {
    Wipe(response->head.headers);
    Wipe(response->body);
    Wipe(response->trailers);
  }
}

bool LeaseTable::empty() const {
  MutexLock lock(&mutex_);
  return leases_.empty();
}

std::shared_ptr<const LeasedAnswer> LeaseTable::Use(const LeaseScopeView& scope,
                                                    std::string_view method,
                                                    std::string_view target, SteadyTime now) {
  const std::string_view path = PathOf(target);
  if (!IsPlainPath(path)) return nullptr;
  std::shared_ptr<const LeasedAnswer> answer;
  MutexLock lock(&mutex_);
  const auto found = leases_.find(scope);
  if (found == leases_.end()) return nullptr;
  std::vector<Lease>& leases = found->second;
  // The latest is what the handler thinks now.
  for (size_t i = leases.size(); i-- > 0 && answer == nullptr;) {
    Lease& lease = leases[i];
    if (now >= lease.end || !MatchesPath(path, lease.path, lease.below) ||
        std::find(lease.methods.begin(), lease.methods.end(), method) == lease.methods.end()) {
      continue;
    }
    answer = lease.answer;
    if (lease.uses_left == 0) break;
    --lease.uses_left;
    if (lease.uses_left > 0) break;
    bytes_ -= lease.answer->bytes();
    --count_;
    leases.erase(leases.begin() + static_cast<std::ptrdiff_t>(i));
    if (leases.empty()) leases_.erase(found);
    break;
  }
  return answer;
}

void LeaseTable::Grant(LeaseScope scope, const IpAddress& dialled, LeaseTerms terms,
                       std::string_view method, std::string_view target,
                       std::shared_ptr<const LeasedAnswer> answer, SteadyTime now) {
  Lease lease;
  lease.dialled = dialled;
  lease.end = now + terms.ttl;
  lease.methods = std::move(terms.methods);
  if (lease.methods.empty()) lease.methods.emplace_back(method);
  lease.below = !terms.path_prefix.empty();
  lease.path = lease.below ? std::move(terms.path_prefix) : std::string(PathOf(target));
  if (!IsPlainPath(lease.path)) return;
  lease.uses_left = terms.max_uses;
  lease.answer = std::move(answer);
  const size_t bytes = lease.answer->bytes();
  if (bytes > kMaxBytes) return;
  MutexLock lock(&mutex_);
  DropIf([&](const LeaseScope& of, const Lease& old) {
    return now >= old.end || (AreSame()(of, scope) && old.path == lease.path &&
                              old.below == lease.below && old.methods == lease.methods);
  });
  MakeRoom(bytes);
  leases_[std::move(scope)].push_back(std::move(lease));
  bytes_ += bytes;
  ++count_;
}

void LeaseTable::RevokeOf(std::string_view handler) {
  MutexLock lock(&mutex_);
  DropIf([handler](const LeaseScope& scope, const Lease&) { return scope.handler == handler; });
}

void LeaseTable::DropUnless(Holds holds) {
  MutexLock lock(&mutex_);
  DropIf([&](const LeaseScope& scope, const Lease& lease) { return !holds(scope, lease.dialled); });
}

void LeaseTable::Clear() {
  MutexLock lock(&mutex_);
  leases_.clear();
  count_ = 0;
  bytes_ = 0;
}

bool LeaseTable::TakeSweeping() {
  MutexLock lock(&mutex_);
  return !std::exchange(sweeping_, true);
}

bool LeaseTable::Sweep(SteadyTime now) {
  MutexLock lock(&mutex_);
  DropIf([now](const LeaseScope&, const Lease& lease) { return now >= lease.end; });
  sweeping_ = !leases_.empty();
  return sweeping_;
}

void LeaseTable::DropIf(absl::FunctionRef<bool(const LeaseScope&, const Lease&)> drop) {
  size_t count = 0;
  size_t bytes = 0;
  for (auto entry = leases_.begin(); entry != leases_.end();) {
    std::erase_if(entry->second, [&](const Lease& lease) {
      if (!drop(entry->first, lease)) return false;
      bytes += lease.answer->bytes();
      ++count;
      return true;
    });
    const auto here = entry++;
    if (here->second.empty()) leases_.erase(here);
  }
  count_ -= count;
  bytes_ -= bytes;
}

void LeaseTable::MakeRoom(size_t bytes) {
  while (count_ >= kMaxLeases || bytes_ + bytes > kMaxBytes) {
    const Lease* first = nullptr;
    for (const auto& [scope, leases] : leases_) {
      for (const Lease& lease : leases) {
        if (first == nullptr || lease.end < first->end) first = &lease;
      }
    }
    if (first == nullptr) return;
    DropIf([first](const LeaseScope&, const Lease& lease) { return &lease == first; });
  }
}

}  // namespace sallyport::proxy
